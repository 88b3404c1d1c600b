"""Which quantiles of Student's t and of the binomial are needed?

``scipy.special`` holds the functions behind ``scipy.stats`` without the
1.25 seconds that importing the latter takes.
"""

from __future__ import annotations

from scipy import special

__all__ = ["clopper_pearson", "t_quantile", "t_two_sided_p"]


def t_quantile(confidence: float, degrees: float) -> float:
    """Half-width, in standard errors, of a two-sided t interval."""
    return float(special.stdtrit(degrees, 0.5 + confidence / 2.0))


def t_two_sided_p(statistic: float, degrees: float) -> float:
    """Probability of a t value at least that far from zero."""
    return float(2.0 * special.stdtr(degrees, -abs(statistic)))


def clopper_pearson(share: float, count: float, confidence: float) -> tuple[float, float]:
    """Exact binomial interval for a share out of ``count``, which need not be whole.

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
