"""Which quantiles of the normal, Student's t and the binomial distribution are needed?

``scipy.special`` has the functions behind ``scipy.stats``, which takes 1.25
seconds to import.
"""

from __future__ import annotations

from scipy import special

__all__ = ["clopper_pearson", "normal_quantile", "t_quantile", "t_two_sided_p"]


def normal_quantile(confidence: float) -> float:
    """Return the half-width, in standard errors, of a two-sided normal interval."""
    return float(special.ndtri(0.5 + confidence / 2.0))


def t_quantile(confidence: float, degrees: float) -> float:
    """Return the half-width, in standard errors, of a two-sided t interval."""
    return float(special.stdtrit(degrees, 0.5 + confidence / 2.0))


def t_two_sided_p(statistic: float, degrees: float) -> float:
    """Return the probability of a t value at least that far from zero."""
    return float(2.0 * special.stdtr(degrees, -abs(statistic)))


def clopper_pearson(share: float, count: float, confidence: float) -> tuple[float, float]:
    """Return the exact binomial interval for a share out of ``count``, which may be fractional.

    Clopper and Pearson (1934), in the incomplete-beta form that Korn and
    Graubard (1998) use with an effective count.
    """
    successes = share * count
    tail = (1.0 - confidence) / 2.0
    low = special.betaincinv(successes, count - successes + 1.0, tail) if successes > 0.0 else 0.0
    high = (
        special.betaincinv(successes + 1.0, count - successes, 1.0 - tail)
        if successes < count
        else 1.0
    )
    return float(low), float(high)
