"""What is the value of the typical round, and how precisely is it known?

The one estimator behind every ratio, verdict and stopping decision: the median
over rounds, with an interval from order statistics that accounts for
autocorrelated rounds. On a shared machine a third of the rounds may be off by
half; a mean follows them, a median hardly notices.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, field, frozen
from scipy import special

from lexer_core.statistics.checks import check_fraction, check_values
from lexer_core.statistics.distributions import normal_quantile

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["RobustCentre", "robust_centre"]

_MOST_CORRELATION = 0.6
_MOST_INFLATION = 8.0
# Error rates are searched between these; below the first, no verdict needs more.
_LEAST_ERROR = 1e-12
_BISECTIONS = 50


@frozen(kw_only=True, eq=False)
class RobustCentre:
    """The median over rounds, and what is needed for its interval at any confidence.

    Parameters
    ----------
    estimate
        The median, in the unit of the values.
    rounds
        Number of rounds.
    effective_rounds
        Number of independent rounds that would determine the median equally
        well; at most ``rounds``.
    autocorrelation
        Lag-1 autocorrelation of which side of the median each round is on.
    known_variance
        Variance of the estimate that the rounds cannot show, from elsewhere
        (what launches differ by); part of every interval.
    """

    estimate: float
    rounds: int
    effective_rounds: float
    autocorrelation: float
    known_variance: float = 0.0
    ordered: FloatArray = field(repr=False)

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Return the two-sided interval, or ``None`` if there are too few effective rounds.

        Parameters
        ----------
        confidence
            Between 0 and 1. At 95 %, six effective rounds are the minimum.
        """
        check_fraction(confidence, "confidence")
        return self._interval(1.0 - confidence)

    def with_variance(self, variance: float) -> RobustCentre:
        """Return the same centre with a variance that the rounds cannot show."""
        return evolve(self, known_variance=variance)

    def smallest_error(self, holds: Callable[[float, float], bool]) -> float:
        """Return the smallest error rate at which the interval has a property.

        Parameters
        ----------
        holds
            Given the ends of an interval, whether it has the property; true for
            every interval inside one that has it.

        Returns
        -------
        float
            Between 1e-12 and 1; 1 if no interval has the property.
        """

        def holds_at(error: float) -> bool:
            ends = self._interval(error)
            return ends is not None and holds(*ends)

        low, high = math.log(_LEAST_ERROR), 0.0
        if not holds_at(math.exp(high) * (1.0 - 1e-9)):
            return 1.0
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2.0
            if holds_at(math.exp(middle)):
                high = middle
            else:
                low = middle
        return math.exp(high)

    def _interval(self, error: float) -> tuple[float, float] | None:
        count = self.rounds
        shape = (self.effective_rounds + 1.0) / 2.0
        position = float(special.betaincinv(shape, shape, error / 2.0)) * (count + 1)
        if position < 1.0:
            return None
        # Rounding must not put the two ends on the wrong sides of the median.
        position = min(position, (count + 1) / 2.0)
        low = self._order_statistic(position)
        high = self._order_statistic(count + 1 - position)
        if self.known_variance > 0.0:
            known = normal_quantile(1.0 - error) * math.sqrt(self.known_variance)
            low = self.estimate - math.hypot(self.estimate - low, known)
            high = self.estimate + math.hypot(high - self.estimate, known)
        return low, high

    def _order_statistic(self, position: float) -> float:
        """Return the value at a fractional rank from 1 to the number of rounds."""
        index = math.floor(position)
        lower = float(self.ordered[index - 1])
        if index == position:
            return lower
        return lower + (position - index) * (float(self.ordered[index]) - lower)


def robust_centre(values: npt.ArrayLike) -> RobustCentre:
    """Return the median over rounds, with its interval at any confidence.

    Parameters
    ----------
    values
        One finite number per round, such as the logarithm of a ratio, shape
        ``(rounds,)``, in the order in which the rounds were taken.

    Returns
    -------
    RobustCentre
        In the unit of the values.

    Raises
    ------
    StatisticsError
        Values that are empty, NaN or infinite.

    Notes
    -----
    Hutson's interval (1999): order statistics at the fractional ranks that are
    beta quantiles, valid for any distribution of independent rounds. For
    autocorrelated rounds, the number of rounds that sets the ranks is the
    effective one, n / V. V is the variance inflation of the mean of the signs
    (which side of the median a round is on), the larger of a first-order
    autoregression's and of the sum of the first n^(1/3) autocorrelations. A
    known variance adds to each side as a square (the MOVER method; Zou and
    Donner 2008).

    The signs, unlike the values, have a bounded and known variance, so a few
    extreme rounds neither hide an autocorrelation nor simulate one.

    Simulated (November 2026; 3000 trials per cell, 10 to 160 rounds), 95 %
    intervals cover 95-98 % on independent, bursty, bimodal and contaminated
    rounds, and 93-98.6 % on recorded ones, except two with an autocorrelation
    over many rounds (91-94 %). A trimmed mean with a
    Tukey-McLaughlin interval needs up to half as many rounds where rounds are
    unimodal, but covers only 80-90 % with 10 to 20 rounds of the recordings,
    and calls up to 10 % of the families wrong; with trimming chosen by the data
    (Jaeckel 1971) it covers 57-94 %.
    """
    array = check_values(values, "rounds")
    count = array.size
    estimate = float(np.median(array))
    signs = np.sign(array - estimate)
    inflation, first = _variance_inflation(signs)
    return RobustCentre(
        estimate=estimate,
        rounds=count,
        effective_rounds=count / inflation,
        autocorrelation=first,
        ordered=np.sort(array),
    )


def _variance_inflation(signs: FloatArray) -> tuple[float, float]:
    """Return the variance of a mean of signs over that of independent ones, and lag 1."""
    count = signs.size
    power = float(signs @ signs)
    if count < 3 or power <= 0.0:  # noqa: PLR2004 - two neighbouring pairs at least
        return 1.0, 0.0
    lags = round(count ** (1.0 / 3.0))
    correlations = [float(signs[lag:] @ signs[:-lag]) / power for lag in range(1, lags + 1)]
    first = min(max(correlations[0], 0.0), _MOST_CORRELATION)
    autoregressive = (1.0 + first) / (1.0 - first)
    # Centring at the median lowers each autocorrelation by 1/n on average.
    total = sum(correlations) + lags / count
    summed = min(max(1.0 + 2.0 * total, 1.0), _MOST_INFLATION)
    return max(autoregressive, summed), correlations[0]
