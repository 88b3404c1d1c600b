"""How much faster is one case than another?

Both met the same rounds, so the machine's drift is common to both and cancels
in each round's ratio; what is left is judged by the spread between rounds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.statistics.checks import check_equal_counts, check_fraction, check_positive
from lexer_core.statistics.estimates import MeanEstimate, estimate_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["RatioInterval", "interval_of_log_mean", "ratio_interval"]


@frozen(kw_only=True)
class RatioInterval:
    """Time of case a over time of case b, with its interval; above 1, b is faster.

    Parameters
    ----------
    estimate
        Geometric mean over rounds, dimensionless.
    low, high
        Interval at ``confidence``; ``None`` with fewer than two rounds.
    rounds
        Rounds that both cases took part in.
    units
        Independent pieces that the interval rests on: the rounds, or batches
        of them where their autocorrelation exceeds 0.2.
    autocorrelation
        Lag-1 autocorrelation of the rounds' log ratios.
    log_standard_error
        Standard error of ``log(estimate)``; ``None`` with fewer than two rounds.
    note
        Why there is no interval; otherwise empty.
    """

    estimate: float
    low: float | None
    high: float | None
    confidence: float
    rounds: int
    units: int
    autocorrelation: float
    log_standard_error: float | None
    note: str = ""

    @property
    def half_width(self) -> float | None:
        """Half-width relative to the estimate: 0.01 for plus or minus 1 %."""
        if self.low is None or self.high is None:
            return None
        return math.sqrt(self.high / self.low) - 1.0


def ratio_interval(
    a: npt.ArrayLike, b: npt.ArrayLike, *, confidence: float = 0.95
) -> RatioInterval:
    """Geometric mean of the per-round ratios a / b, with a paired t interval.

    Parameters
    ----------
    a, b
        Medians (or means) of the two cases in the same rounds, in seconds,
        shape ``(rounds,)``, in the order of taking.
    confidence
        Of the two-sided interval.

    Returns
    -------
    RatioInterval
        Without ``low`` and ``high``, and with a note, for a single round.

    Raises
    ------
    StatisticsError
        Arrays that are empty, NaN, infinite or not above zero; unequal counts.

    Notes
    -----
    A t interval on the log ratios; where neighbouring rounds are correlated
    above 0.2, on batches of rounds, and widened by what correlation is left
    (from 10 rounds on, where it can be told). A bootstrap over as few rounds covers too
    little, and pooling samples as if they were independent covers next to
    nothing.
    """
    check_fraction(confidence, "confidence")
    first = check_positive(a, "medians of a")
    second = check_positive(b, "medians of b")
    check_equal_counts(first, second, "rounds of a and b")
    return interval_of_log_mean(estimate_mean(np.log(first / second)), confidence)


def interval_of_log_mean(mean: MeanEstimate, confidence: float) -> RatioInterval:
    """Turn a mean on the log scale back into a ratio."""
    half = mean.half_width(confidence)
    return RatioInterval(
        estimate=math.exp(mean.mean),
        low=None if half is None else math.exp(mean.mean - half),
        high=None if half is None else math.exp(mean.mean + half),
        confidence=confidence,
        rounds=mean.rounds,
        units=mean.units,
        autocorrelation=mean.autocorrelation,
        log_standard_error=mean.standard_error,
        note="insufficient: 1 round, 2 needed" if half is None else "",
    )
