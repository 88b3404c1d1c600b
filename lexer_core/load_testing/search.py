"""Which rate is tried next?

First the shares of the capacity that show the whole curve, from below, until a rate
fails. Then the gap between the highest rate that keeps to the objective and the lowest
that does not is halved until it is at most 5 %. The rest of the time goes to those two,
until both are certain.

Rates are on a fixed grid in steps of 2.5 %, so that two runs try the same rates, with the
same arrivals.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.statistics.isotonic import falling

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results.load_test import RatePoint

__all__ = ["Bracket", "RateSearch", "bracket_of", "snapped"]

LADDER = (0.5, 0.7, 0.8, 0.9, 0.95)
"""Shares of the capacity."""

_STEP = 1.025
_RESOLUTION = 1.05
_LOWEST_SHARE = 0.01
_DIGITS = 4


@frozen(kw_only=True)
class Bracket:
    """The highest rate that keeps to the objective, and the lowest that does not.

    As far as was measured: the shares of neighbouring rates are pooled where a higher
    rate did better than a lower one.
    """

    low: float | None
    high: float | None


def snapped(rate: float) -> float:
    """Return the nearest rate of the grid."""
    on_grid = _STEP ** round(math.log(rate) / math.log(_STEP))
    return float(f"{on_grid:.{_DIGITS}g}")


def bracket_of(points: Mapping[float, RatePoint], share: float) -> Bracket:
    """Return between which rates the objective ceases to be kept.

    Parameters
    ----------
    points
        What is known of each rate.
    share
        The share of requests that must be within the limit.
    """
    rates = sorted(rate for rate, point in points.items() if point.verdict != "withheld")
    smooth = falling(
        [points[rate].share for rate in rates], [points[rate].requests for rate in rates]
    )
    failing = {rate for rate in rates if points[rate].verdict == "fails"}
    low = high = None
    for rate, within in zip(rates, smooth, strict=True):
        if within >= share and rate not in failing:
            low = rate
        else:
            high = rate
            break
    return Bracket(low=low, high=high)


class RateSearch:
    """Chooses the rates of one configuration.

    Parameters
    ----------
    capacity
        The most requests per second that it can serve.
    share
        The share of requests that must be within the limit.
    expected
        The highest rate that is expected to keep to the objective; 0.0 if none is.
    rates
        Try these and no others.
    """

    def __init__(
        self, capacity: float, share: float, *, expected: float = 0.0, rates: Sequence[float] = ()
    ) -> None:
        self._capacity, self._share = capacity, share
        self._given = tuple(rates)
        shares = sorted({*LADDER, *([expected / capacity] if expected else [])})
        self._ladder = [snapped(part * capacity) for part in shares]

    def next_rate(self, points: Mapping[float, RatePoint]) -> float | None:
        """Return the rate to try next; ``None`` if there is nothing left to find out.

        Parameters
        ----------
        points
            What is known of each rate that was tried.
        """
        if self._given:
            return self._least_known(self._given, points)
        for rate in self._ladder:
            if rate not in points:
                return rate
            if points[rate].verdict == "fails":
                break
        bracket = bracket_of(points, self._share)
        low, high = bracket.low, bracket.high
        if low is None:
            withheld = [
                rate
                for rate, point in points.items()
                if point.verdict == "withheld" and (high is None or rate < high)
            ]
            if withheld:  # perhaps they are dispatched in time
                return self._least_known(withheld, points)
            lower = snapped(min(points) / 2.0)
            return lower if lower >= _LOWEST_SHARE * self._capacity else None
        end = high if high is not None else self._capacity
        middle = snapped(math.sqrt(low * end))
        if end / low > _RESOLUTION * 1.001 and low < middle < end and middle not in points:
            return middle
        return self._least_known([low, *([] if high is None else [high])], points)

    def _least_known(
        self, rates: Sequence[float], points: Mapping[float, RatePoint]
    ) -> float | None:
        """Return the rate with the fewest requests among those that are not certain."""
        open_rates = [
            rate
            for rate in rates
            if rate not in points or points[rate].verdict in ("undecided", "withheld")
        ]
        return min(
            open_rates,
            key=lambda rate: points[rate].requests if rate in points else 0,
            default=None,
        )
