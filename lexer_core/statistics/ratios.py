"""How much faster is one case than another?

Both cases take part in the same rounds, so the machine's drift affects both
and cancels in each round's ratio. What remains is judged by the spread between
rounds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_equal_counts, check_fraction, check_positive
from lexer_core.statistics.launch_effect import launch_variance
from lexer_core.statistics.robust_centre import RobustCentre, robust_centre
from lexer_core.statistics.round_centres import align_rounds

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.statistics.round_centres import RoundCentres

__all__ = ["RatioInterval", "interval_of_ratio", "log_ratio_centre", "ratio_interval"]


@frozen(kw_only=True)
class RatioInterval:
    """How many times as long case a takes as case b in the typical round; above 1, b is faster.

    Parameters
    ----------
    estimate
        Median over rounds of the ratio of a round, dimensionless.
    low, high
        Interval at ``confidence``; both ``None`` if there are too few effective
        rounds.
    rounds
        Rounds that both cases took part in.
    effective_rounds
        Independent rounds that these are worth.
    autocorrelation
        Lag-1 autocorrelation of which side of the median each round's ratio is on.
    note
        Why there is no interval; otherwise empty.
    """

    estimate: float
    low: float | None
    high: float | None
    confidence: float
    rounds: int
    effective_rounds: float
    autocorrelation: float
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
    """Return the typical ratio a / b of a round, with its interval.

    Parameters
    ----------
    a, b
        Medians (or means) of the two cases in the same rounds, in seconds,
        shape ``(rounds,)``, in the order in which the rounds were taken.
    confidence
        Of the two-sided interval.

    Returns
    -------
    RatioInterval
        Without ``low`` and ``high``, and with a note, if there are too few
        effective rounds for the confidence (six for 95 %).

    Raises
    ------
    StatisticsError
        Arrays that are empty, NaN, infinite or not above zero; unequal counts.

    Notes
    -----
    The median of the log ratios with the interval of
    :func:`~lexer_core.statistics.robust_centre`. Pooling samples as if they
    were independent would cover 36-50 % instead of 95 %.
    """
    check_fraction(confidence, "confidence")
    first = check_positive(a, "medians of a")
    second = check_positive(b, "medians of b")
    check_equal_counts(first, second, "rounds of a and b")
    return interval_of_ratio(robust_centre(np.log(first / second)), confidence)


def log_ratio_centre(
    a: RoundCentres, b: RoundCentres, launches: int | None = None
) -> RobustCentre | None:
    """Return the centre of log(a / b) over common rounds; ``None`` if there are none.

    Parameters
    ----------
    a, b
        The two cases, in seconds per call.
    launches
        Launches of each that the rounds come from, whose differences the rounds cannot
        show; ``None`` if there are none to account for.
    """
    try:
        first, second = align_rounds(a, b)
    except StatisticsError as error:
        if error.problem != "no_common_rounds":
            raise
        return None
    centre = robust_centre(np.log(first / second))
    if launches is None:
        return centre
    typical = float(np.median(first)), float(np.median(second))
    return centre.with_variance(launch_variance(launches, *typical))


def interval_of_ratio(centre: RobustCentre, confidence: float) -> RatioInterval:
    """Convert a centre of log ratios to a ratio with its interval."""
    ends = centre.interval(confidence)
    note = ""
    if ends is None:
        plural = "" if centre.rounds == 1 else "s"
        note = (
            f"insufficient: {centre.rounds} round{plural}, worth {centre.effective_rounds:.1f} "
            f"independent ones, for an interval at {confidence:.2%}"
        )
    return RatioInterval(
        estimate=math.exp(centre.estimate),
        low=None if ends is None else math.exp(ends[0]),
        high=None if ends is None else math.exp(ends[1]),
        confidence=confidence,
        rounds=centre.rounds,
        effective_rounds=centre.effective_rounds,
        autocorrelation=centre.autocorrelation,
        note=note,
    )
