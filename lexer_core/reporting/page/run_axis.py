"""Where is a round, a sample or a warm-up along the axis of a run?

Samples have no time stamp, only their round and launch, so the axis counts
rounds: the samples of the first round are between 0 and 1. All engines share the
rounds, so what happened to the machine is at the same place in every panel. The
warm-up of a launch is before its first round, on a strip with its own width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.reporting.numbers import whole_text
from lexer_core.reporting.page.decimation import stretches
from lexer_core.reporting.page.figure_layout import WIDE, Width, linear_locator
from lexer_core.reporting.page.theme import light
from lexer_core.statistics import round_medians

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from lexer_core.reporting.page.measured import Measured

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = [
    "MOST_ROUND_MARKS",
    "RoundMedians",
    "RunAxis",
    "Strip",
    "describe_point",
    "lines_of_medians",
    "mark_rounds",
    "medians_of_rounds",
    "positions_in_run",
    "run_axis",
    "shade_warm_up",
    "warm_up_positions",
]

MOST_ROUND_MARKS = 40
"""Up to this many rounds are separated by lines."""

_MOST_POINTS = 600
"""Up to this many rounds have their own point in a line."""

_WARM_UP_SHARE = 0.12
"""Width of all warm-ups together, as a share of that of the rounds."""


@frozen(kw_only=True)
class Strip:
    """The part of the axis where a launch warmed up; its width may be 0."""

    launch: int
    start: float
    end: float


@frozen(kw_only=True, eq=False)
class RunAxis:
    """Where the rounds and warm-ups are.

    ``rounds`` are the numbers of all rounds, ascending, and ``starts`` where each
    begins; each has width 1. ``end`` is the end of the last round.
    """

    rounds: Indices
    starts: Floats
    strips: tuple[Strip, ...]
    end: float


@frozen(kw_only=True, eq=False)
class RoundMedians:
    """Median of each round in seconds, and the round's number, ascending."""

    rounds: Indices
    seconds: Floats


def run_axis(rows: Sequence[Measured]) -> RunAxis:
    """Place the rounds of all rows and their warm-ups, one launch after the other."""
    rounds, first = np.unique(np.concatenate([each.rounds for each in rows]), return_index=True)
    launch_of = np.concatenate([each.launches for each in rows])[first]
    launches = np.unique(launch_of)
    warmed = any(each.warm_up.size for each in rows)
    width = max(1.0, _WARM_UP_SHARE * rounds.size / launches.size) if warmed else 0.0
    starts = np.zeros(rounds.size)
    strips = []
    at = 0.0
    for launch in launches.tolist():
        strips.append(Strip(launch=launch, start=at, end=at + width))
        at += width
        mine = launch_of == launch
        starts[mine] = at + np.arange(mine.sum())
        at += float(mine.sum())
    return RunAxis(rounds=rounds, starts=starts, strips=tuple(strips), end=at)


def positions_in_run(each: Measured, axis: RunAxis) -> Floats:
    """Return the positions of a row's samples: evenly within their rounds, in order."""
    index = np.searchsorted(axis.rounds, each.rounds)
    order = np.argsort(index, kind="stable")
    counts = np.bincount(index, minlength=axis.rounds.size)
    before = np.cumsum(counts) - counts
    within = np.empty(index.size)
    within[order] = np.arange(index.size) - before[index[order]]
    places: Floats = axis.starts[index] + (within + 0.5) / counts[index]
    return places


def warm_up_positions(each: Measured, strip: Strip) -> tuple[Floats, Floats]:
    """Return the positions and seconds of one launch's warm-up, evenly on its strip."""
    seconds = each.warm_up[each.warm_up_launches == strip.launch]
    share = (np.arange(seconds.size) + 0.5) / max(seconds.size, 1)
    return strip.start + share * (strip.end - strip.start), seconds


def medians_of_rounds(samples: Floats, rounds: Indices) -> RoundMedians:
    """Return the median of each round."""
    found = round_medians(samples, rounds)
    order = np.argsort(found.rounds)
    return RoundMedians(
        rounds=np.asarray(found.rounds)[order], seconds=np.asarray(found.values)[order]
    )


def lines_of_medians(
    medians: RoundMedians, values: Floats, axis: RunAxis
) -> Iterator[tuple[Floats, Floats]]:
    """Yield one line per launch: positions on the axis, and ``values`` of its rounds.

    If there are too many rounds, neighbours share a point at the median of their
    values.
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


def describe_point(axis: RunAxis) -> str:
    """Say what one point of such a line is."""
    if axis.rounds.size <= _MOST_POINTS:
        return "the median of each round"
    most = whole_text(-(-axis.rounds.size // _MOST_POINTS))
    return f"the median of up to {most} round medians per point"


# --- Drawing. ---


def shade_warm_up(axes: Axes, axis: RunAxis, *, named: bool) -> None:
    """Shade the strips of the warm-ups, and draw a line where each later launch begins."""
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
    """Number some rounds, and draw lines between all of them if there are few."""
    axes.set_xlim(axis.strips[0].start, axis.end)
    if axis.rounds.size <= MOST_ROUND_MARKS * width.pixels / WIDE.pixels:
        for start in axis.starts:
            axes.axvline(start, color=light("grid"), linewidth=1.0, zorder=0.6)
    ticks = linear_locator(width.ticks, integer=True).tick_values(1, max(2, axis.rounds.size))
    shown = [round(tick) for tick in ticks if 1 <= tick <= axis.rounds.size]
    places = [axis.starts[number - 1] + 0.5 for number in shown]
    axes.set_xticks(places, labels=[whole_text(number) for number in shown] if labelled else [])
    axes.tick_params(axis="x", length=4 if labelled else 0, pad=4)
    if labelled:
        axes.set_xlabel("round")
