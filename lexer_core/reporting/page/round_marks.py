"""How are rounds, launches and warm-ups marked along a plot's axis?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.reporting.page.decimation import stretches
from lexer_core.reporting.page.figure_layout import WIDE, Width, linear_ticks
from lexer_core.reporting.page.text_utils import whole
from lexer_core.reporting.page.theme import light
from lexer_core.statistics import round_medians

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from lexer_core.reporting.page.run_axis import RunAxis

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = [
    "MOST_ROUND_MARKS",
    "RoundMedians",
    "lines_of_medians",
    "mark_rounds",
    "medians_of_rounds",
    "shade_warm_up",
    "what_a_point_is",
]

MOST_ROUND_MARKS = 40
"""So many rounds are told apart by lines between them."""

_MOST_POINTS = 600
"""So many rounds have a point of their own in a line."""


@frozen(kw_only=True, eq=False)
class RoundMedians:
    """The median of each round, in seconds, and the round's number; ascending by round."""

    rounds: Indices
    seconds: Floats


def medians_of_rounds(samples: Floats, rounds: Indices) -> RoundMedians:
    """Take the median of each round."""
    found = round_medians(samples, rounds)
    order = np.argsort(found.rounds)
    return RoundMedians(
        rounds=np.asarray(found.rounds)[order], seconds=np.asarray(found.values)[order]
    )


def lines_of_medians(
    medians: RoundMedians, values: Floats, axis: RunAxis
) -> Iterator[tuple[Floats, Floats]]:
    """Yield a line for each launch: positions on the axis, and ``values`` of the rounds there.

    Of very many rounds, neighbours share a point, at the median of their values.
    """
    places = axis.starts[np.searchsorted(axis.rounds, medians.rounds)] + 0.5
    ends = [strip.start for strip in axis.strips[1:]] + [axis.end]
    most = _MOST_POINTS // len(axis.strips)
    for strip, end in zip(axis.strips, ends, strict=True):
        inside = (places >= strip.end) & (places < end)
        if not inside.any():
            continue
        if axis.rounds.size <= _MOST_POINTS:
            yield places[inside], values[inside]
        else:
            found = stretches(places[inside], values[inside], max(most, 1))
            yield (found.start + found.end) / 2, found.median


def what_a_point_is(axis: RunAxis) -> str:
    """Say what a point of such a line stands for."""
    if axis.rounds.size <= _MOST_POINTS:
        return "the median of each round"
    return (
        f"the medians of the rounds, up to {whole(-(-axis.rounds.size // _MOST_POINTS))} in a point"
    )


def shade_warm_up(axes: Axes, axis: RunAxis, *, named: bool) -> None:
    """Shade the strips of the warm-ups, and mark where a further launch begins."""
    for strip in axis.strips:
        if strip.end > strip.start:
            axes.axvspan(strip.start, strip.end, color=light("band"), linewidth=0, zorder=0.4)
        if strip.launch != axis.strips[0].launch:
            axes.axvline(strip.start, color=light("muted"), linewidth=1.5)
        if named and len(axis.strips) > 1:
            axes.annotate(
                f"launch {strip.launch + 1}",
                (strip.start, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -2),
                textcoords="offset points",
                va="top",
                fontsize=11.0,
                color=light("muted"),
            )


def mark_rounds(axes: Axes, axis: RunAxis, width: Width, *, labelled: bool) -> None:
    """Draw lines between rounds where they can be told apart, and number some."""
    axes.set_xlim(axis.strips[0].start, axis.end)
    if axis.rounds.size <= MOST_ROUND_MARKS * width.pixels / WIDE.pixels:
        for start in axis.starts:
            axes.axvline(start, color=light("grid"), linewidth=1.0, zorder=0.6)
    numbers = linear_ticks(1.0, max(2.0, axis.rounds.size), width.ticks)
    shown = [round(number) for number in numbers if number == round(number)]
    shown = [number for number in shown if number <= axis.rounds.size]
    places = [axis.starts[number - 1] + 0.5 for number in shown]
    axes.set_xticks(places, labels=[str(number) for number in shown] if labelled else [])
    axes.tick_params(axis="x", length=4 if labelled else 0, pad=4)
    if labelled:
        axes.set_xlabel("round")
