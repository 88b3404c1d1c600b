"""Will more rounds still lead to a verdict?

Two engines that differ by about as much as matters, on a noisy machine, stay undecided
however long one waits within the time that there is. Then waiting is of no use.
"""

from __future__ import annotations

import math

from scipy import special

from lexer_core.statistics.distributions import normal_quantile

__all__ = ["chance_of_verdict"]

_REMAINING = 0.3
"""The least share of its present size that the variance of a round may turn out to have:
early intervals are wide, because they allow for autocorrelation and uneven rounds."""


def chance_of_verdict(
    estimate: float,
    variance: float,
    *,
    share: float,
    confidence: float,
    band: float,
) -> float:
    """Return the probability that a pair has a verdict when the time is up.

    Parameters
    ----------
    estimate
        The logarithm of the ratio so far.
    variance
        Its variance by the rounds so far. Without that between launches: where it is in the
        way, more launches may still decide.
    share
        Rounds so far as a share of those at the end, above 0 and at most 1.
    confidence
        Of the last look at this pair.
    band
        Logarithm of the edge of the tie band.

    Returns
    -------
    float
        From 0 to 1.

    Notes
    -----
    Stochastic curtailment by predictive power (Spiegelhalter, Freedman and Blackburn
    1986): given the rounds so far, the final estimate is normal around the present one
    with the variance that is still to come, ``variance * (1 - share)``. It is rather too
    high, because the final interval is taken to be as narrow as it may become. Stopping
    without a verdict never makes one wrong.
    """
    half = normal_quantile(confidence) * math.sqrt(_REMAINING * variance * share)
    spread = math.sqrt(variance * (1.0 - share))

    def below(value: float) -> float:
        if spread == 0.0:
            return float(value > estimate)
        return float(special.ndtr((value - estimate) / spread))

    apart = below(-band - half) + 1.0 - below(band + half)
    tie = max(0.0, below(band - half) - below(half - band)) if half < band else 0.0
    return apart + tie
