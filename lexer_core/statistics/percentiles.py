"""What is a percentile, and do the samples bound it?

Design-adjusted order statistics: Woodruff (1952) inverts an interval for the
share of samples below the percentile; Korn and Graubard (1998) compute that
interval from the effective sample size, because samples of one round are
correlated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction, check_positive, group_rounds
from lexer_core.statistics.design_effect import share_design_effect, trusted_count
from lexer_core.statistics.distributions import clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.statistics.checks import Grouping

    FloatArray = npt.NDArray[np.float64]

__all__ = [
    "DEFAULT_PERCENTS",
    "PercentileInterval",
    "percentile_intervals",
    "smallest_effective_count",
    "smallest_round_count",
]

DEFAULT_PERCENTS = (50.0, 90.0, 95.0, 99.0)

_TAIL_PERCENT = 99.0
_TAIL_ROUNDS = 20
_MIN_ROUNDS = 2


@frozen(kw_only=True)
class PercentileInterval:
    """One percentile of one case's samples, in their unit, with its interval.

    Parameters
    ----------
    percent
        Between 0 and 100.
    estimate
        By numpy's linear rule; ``None`` if it is not shown.
    low, high
        Interval at ``confidence``; both ``None`` if it is insufficient.
    effective_count
        Independent samples that these are worth for this percentile;
        ``None`` with a single round.
    design_effect
        Count over effective count, at least 1; ``None`` with a single round.
    note
        To be shown with it, such as ``"insufficient: 36 effective samples, 368
        needed"``; otherwise empty.
    """

    percent: float
    estimate: float | None
    low: float | None
    high: float | None
    confidence: float
    effective_count: float | None
    design_effect: float | None
    note: str = ""

    @property
    def name(self) -> str:
        """The usual name: ``p50``, ``p99.9``."""
        return f"p{self.percent:g}"

    @property
    def sufficient(self) -> bool:
        """Whether the samples bound the percentile on both sides."""
        return self.low is not None


def smallest_effective_count(percent: float, *, confidence: float = 0.95) -> int:
    """Return the number of independent samples that a finite two-sided interval needs.

    The extreme samples bound a percentile only if it is unlikely enough that
    all samples fall on one side of it.
    """
    check_fraction(percent / 100.0, "percent / 100")
    check_fraction(confidence, "confidence")
    wider = max(percent, 100.0 - percent) / 100.0
    return math.ceil(math.log((1.0 - confidence) / 2.0) / math.log(wider))


def smallest_round_count(percent: float) -> int:
    """Return the rounds that an interval needs: 20 from p99 on (and up to p1), else 2."""
    far = max(percent, 100.0 - percent) >= _TAIL_PERCENT
    return _TAIL_ROUNDS if far else _MIN_ROUNDS


def percentile_intervals(
    samples: npt.ArrayLike,
    rounds: npt.ArrayLike,
    percents: Sequence[float] = DEFAULT_PERCENTS,
    *,
    confidence: float = 0.95,
) -> tuple[PercentileInterval, ...]:
    """Return percentiles with intervals that account for rounds.

    Parameters
    ----------
    samples
        Latencies in seconds, shape ``(n,)``, in the order in which they were taken.
    rounds
        Round of each sample, shape ``(n,)``.
    percents
        Between 0 and 100, exclusive.
    confidence
        Of the two-sided intervals.

    Returns
    -------
    tuple of PercentileInterval
        In the order of ``percents``, in seconds. A percentile that the
        samples do not bound has its estimate, no interval, and a note.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero; unequal
        counts; a round that is not contiguous; a percent out of range.

    Notes
    -----
    The share of samples at or below the estimate varies from round to round;
    its variance over that of independent samples is the design effect (at
    least 1; from batches of rounds where the shares of neighbouring rounds are
    correlated above 0.2). It is taken at the percentile and further in, where
    two and four times as many samples lie outside, and the largest counts. It
    turns the count into an effective count, adjusted for the few rounds that
    the variance is known from; Clopper and Pearson's bounds at that count pick
    the order statistics.

    No method bounds a tail that the run did not encounter: most runs show no
    trace of a burst that is rarer than a few per run.
    """
    check_fraction(confidence, "confidence")
    array = check_positive(samples, "samples")
    grouping = group_rounds(rounds, array.size)
    for percent in percents:
        if not 0.0 < percent < 100.0:  # noqa: PLR2004 - the range of a percent
            raise StatisticsError(
                f"percent must be strictly between 0 and 100, got {percent!r}",
                problem="out_of_range",
            )
    shares = _Shares(samples=array, ordered=np.sort(array), grouping=grouping)
    return tuple(_percentile_interval(shares, percent, confidence) for percent in percents)


@frozen(kw_only=True, eq=False)
class _Shares:
    """The samples, with what several percentiles share."""

    samples: FloatArray
    ordered: FloatArray
    grouping: Grouping
    known: dict[float, tuple[float, int]] = field(factory=dict)

    def design_effect(self, share: float) -> tuple[float, int]:
        """Return that of the share of samples at or below a quantile, and its number of units."""
        if share not in self.known:
            quantile = _linear_quantile(self.ordered, share)
            below = (self.samples <= quantile).astype(np.float64)
            self.known[share] = share_design_effect(below, self.grouping)
        return self.known[share]


def _percentile_interval(shares: _Shares, percent: float, confidence: float) -> PercentileInterval:
    share = percent / 100.0
    ordered = shares.ordered
    count = ordered.size
    rounds = len(shares.grouping)
    design_effect: float | None = None
    effective: float | None = None
    low: float | None = None
    high: float | None = None
    note = ""
    if rounds < _MIN_ROUNDS:
        note = f"insufficient: {rounds} round, {smallest_round_count(percent)} needed"
    else:
        design_effect, units = max(
            (shares.design_effect(inner) for inner in _inner_shares(share)),
            # Of equal effects, the one estimated from fewer units.
            key=lambda effect: (effect[0], -effect[1]),
        )
        effective = count / design_effect
        note = _shortage(percent, effective, rounds, confidence)
        if not note:
            trusted = trusted_count(count, design_effect, units, confidence)
            below, above = clopper_pearson(share, trusted, confidence)
            low = float(ordered[max(math.floor(count * below), 1) - 1])
            high = float(ordered[min(math.ceil(count * above), count) - 1])
    return PercentileInterval(
        percent=percent,
        estimate=_linear_quantile(ordered, share),
        low=low,
        high=high,
        confidence=confidence,
        effective_count=effective,
        design_effect=design_effect,
        note=note,
    )


def _inner_shares(share: float) -> tuple[float, ...]:
    """Return the percentile itself, and those with two and four times its tail.

    A run that happened to miss the slow rounds has both a low percentile and a
    low design effect there: by itself it would be trusted most when it is
    furthest off. Further in, where there are more samples, the correlation
    within rounds shows.
    """
    tail = min(share, 1.0 - share)
    inner = sorted({min(0.5, round(factor * tail, 12)) for factor in (1, 2, 4)})
    return tuple(part if share < 0.5 else 1.0 - part for part in inner)  # noqa: PLR2004 - median


def _shortage(percent: float, effective: float, rounds: int, confidence: float) -> str:
    needed_rounds = smallest_round_count(percent)
    if rounds < needed_rounds:
        return f"insufficient: {rounds} rounds, {needed_rounds} needed"
    needed = smallest_effective_count(percent, confidence=confidence)
    if effective < needed:
        return f"insufficient: {math.floor(effective)} effective samples, {needed} needed"
    return ""


def _linear_quantile(ordered: FloatArray, share: float) -> float:
    """Return the quantile by numpy's default rule, from sorted samples."""
    position = (ordered.size - 1) * share
    index = min(int(position), ordered.size - 1)
    lower = float(ordered[index])
    if index + 1 == ordered.size:
        return lower
    return lower + (position - index) * (float(ordered[index + 1]) - lower)
