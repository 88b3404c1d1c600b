"""What are the latencies of one case?

No sample is dropped: outliers are counted and included in every number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.autocorrelation import batch_starts, error_inflation
from lexer_core.statistics.checks import check_positive, group_rounds
from lexer_core.statistics.distributions import t_quantile
from lexer_core.statistics.percentiles import (
    DEFAULT_PERCENTS,
    PercentileInterval,
    percentile_intervals,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.statistics.checks import Grouping

    FloatArray = npt.NDArray[np.float64]

__all__ = ["Summary", "summarise", "throughput"]

_MILD_FENCE = 1.5
_SEVERE_FENCE = 3.0
_FIRST_TAIL_PERCENT = 90.0


@frozen(kw_only=True)
class Summary:
    """Summary of the samples of one case; times in the unit of the samples.

    Parameters
    ----------
    count
        Samples.
    rounds
        Rounds that they come from.
    loops
        Calls per sample. Above 1, a sample is a mean of calls: percentiles are
        those of such means, and there are no tails.
    effective_count
        Independent samples that these are worth for the median; ``None`` with
        a single round.
    mean
        Arithmetic mean.
    mean_low, mean_high
        Its interval; ``None`` with fewer than two rounds.
    variance
        With n - 1, in squared units; ``None`` for a single sample.
    std
        Its root.
    min, max
        Extreme samples.
    percentiles
        Those requested, in that order.
    outliers_mild
        Samples beyond Tukey's inner fences (1.5 interquartile ranges) and
        within the outer ones (3).
    outliers_severe
        Samples beyond the outer fences.
    calls_per_second
        Calls over the sum of their times, closed loop: one call after the other.
    confidence
        Of every interval here.
    """

    count: int
    rounds: int
    loops: int
    effective_count: float | None
    mean: float
    mean_low: float | None
    mean_high: float | None
    variance: float | None
    std: float | None
    min: float
    max: float
    percentiles: tuple[PercentileInterval, ...]
    outliers_mild: int
    outliers_severe: int
    calls_per_second: float
    confidence: float

    def percentile(self, percent: float) -> PercentileInterval:
        """Return one of the requested percentiles."""
        for entry in self.percentiles:
            if entry.percent == percent:
                return entry
        raise StatisticsError(
            f"percentile {percent:g} was not requested; available: "
            + ", ".join(entry.name for entry in self.percentiles),
            problem="out_of_range",
        )


def summarise(
    samples: npt.ArrayLike,
    rounds: npt.ArrayLike,
    *,
    loops: int = 1,
    percents: Sequence[float] = DEFAULT_PERCENTS,
    confidence: float = 0.95,
) -> Summary:
    """Summarise the samples of one case.

    Parameters
    ----------
    samples
        Latencies in seconds per call, shape ``(n,)``, in the order in which they were taken.
    rounds
        Round of each sample, whole numbers, shape ``(n,)``; the samples of one
        round are contiguous, and numbers are unique across launches.
    loops
        Calls per sample.
    percents
        Percentiles wanted, between 0 and 100 exclusive.
    confidence
        Of the two-sided intervals.

    Returns
    -------
    Summary
        Times in seconds.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero; unequal
        counts; a round that is not contiguous; loops below 1; a percent or a
        confidence out of range.

    Notes
    -----
    The mean's interval is a t interval on rounds (on batches of rounds where
    neighbours are correlated above 0.2), with the linearised variance of a
    ratio, since rounds may hold different numbers of samples.
    """
    _check_loops(loops)
    array = check_positive(samples, "samples")
    grouping = group_rounds(rounds, array.size)
    wanted = percentile_intervals(array, rounds, (50.0, *percents), confidence=confidence)
    mean = float(array.mean())
    low, high = _mean_interval(array, mean, grouping, confidence)
    variance = float(array.var(ddof=1)) if array.size > 1 else None
    mild, severe = _count_outliers(array)
    return Summary(
        count=array.size,
        rounds=len(grouping),
        loops=loops,
        effective_count=wanted[0].effective_count,
        mean=mean,
        mean_low=low,
        mean_high=high,
        variance=variance,
        std=None if variance is None else math.sqrt(variance),
        min=float(array.min()),
        max=float(array.max()),
        percentiles=tuple(_as_means(entry, loops) for entry in wanted[1:]),
        outliers_mild=mild,
        outliers_severe=severe,
        calls_per_second=throughput(array, loops),
        confidence=confidence,
    )


def throughput(samples: npt.ArrayLike, loops: int = 1, *, items_per_call: int = 1) -> float:
    """Return items per second: items over the sum of sample × loops.

    The mean of 1 / sample would be too high (by 6.5 % with 2 % outliers).

    Parameters
    ----------
    samples
        Latencies in seconds per call, shape ``(n,)``.
    loops
        Calls per sample.
    items_per_call
        The batch size, or 1 for calls per second.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero; loops or items
        below 1.
    """
    _check_loops(loops)
    if items_per_call < 1:
        raise StatisticsError(
            f"items_per_call must be at least 1, got {items_per_call}", problem="out_of_range"
        )
    array = check_positive(samples, "samples")
    items = array.size * loops * items_per_call
    return items / float((array * loops).sum())


def _check_loops(loops: int) -> None:
    if loops < 1:
        raise StatisticsError(f"loops must be at least 1, got {loops}", problem="out_of_range")


def _as_means(entry: PercentileInterval, loops: int) -> PercentileInterval:
    """Note which distribution a percentile is of, if samples are means of calls."""
    if loops == 1:
        return entry
    if max(entry.percent, 100.0 - entry.percent) >= _FIRST_TAIL_PERCENT:
        # Averaging shortens the tails: this would not be the percentile of calls.
        return evolve(
            entry,
            estimate=None,
            low=None,
            high=None,
            note=f"withheld: samples are means of {loops} calls, which hide the tail",
        )
    note = f"of means of {loops} calls"
    return evolve(entry, note=f"{note}; {entry.note}" if entry.note else note)


def _mean_interval(
    samples: FloatArray, mean: float, grouping: Grouping, confidence: float
) -> tuple[float | None, float | None]:
    excess = np.add.reduceat(samples, grouping.starts) - mean * grouping.counts
    starts = batch_starts(excess)
    units = len(starts)
    if units < 2:  # noqa: PLR2004 - one unit has no spread
        return None, None
    totals = np.add.reduceat(excess, starts)
    error = math.sqrt(units / (units - 1) * float(totals @ totals)) / samples.size
    half = error * error_inflation(totals) * t_quantile(confidence, units - 1)
    return mean - half, mean + half


def _count_outliers(samples: FloatArray) -> tuple[int, int]:
    """Tukey's fences (1977): beyond 1.5 and beyond 3 interquartile ranges."""
    first, third = np.percentile(samples, (25.0, 75.0))
    spread = third - first
    beyond = np.maximum(first - samples, samples - third)
    severe = int((beyond > _SEVERE_FENCE * spread).sum())
    mild = int((beyond > _MILD_FENCE * spread).sum()) - severe
    return mild, severe
