"""Which configurations of a tuning are the best compromises, and why did the others leave?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lexer_core.reporting.numbers import MISSING, rate_text, significant
from lexer_core.reporting.page.figure_layout import (
    Width,
    linear_axis,
    log_axis,
    new_figure,
    panel_for,
    share_axis,
)
from lexer_core.reporting.page.parts import Plot, Table, paragraphs, table
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import light
from lexer_core.reporting.tuning_layout import FATE_WORDS
from lexer_core.reporting.tuning_plane import plane_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.reporting.tuning_plane import Plane, PlanePoint
    from lexer_core.results import ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration

__all__ = ["front_plot", "race_plot"]

_NAMES = {"p50": "median"}
_SHADE = 0.12
_HEIGHT = {"wide": 360.0, "narrow": 300.0}
_STRIP = 12.0
_ROOM = 1.15


def front_plot(report: ReportData, tuning: Tuning) -> Plot | None:
    """Return throughput over latency, a point per configuration; ``None`` if none was measured."""
    plane = plane_of(report, tuning)
    if plane is None:
        return None
    unit = plane.unit
    has_limit = plane.most_latency is not None or plane.least_throughput is not None
    limits = " Shaded: beyond a limit." if has_limit else ""
    return Plot(
        key="front",
        title="Throughput and latency",
        caption=paragraphs(
            f"Each point is a configuration: its {_NAMES.get(plane.figure, plane.figure)} latency "
            "per call, and the items per second in calls one after the other. Lines: the interval "
            "of the latency. Up and to the left is better. Dark: the best; grey: the others, which "
            f"left the race, with its numbers.{limits}",
        ),
        description=" ".join(
            f"{harmless(point.row.label)}: {significant(point.latency * unit.per_ms)} {unit.name}, "
            f"{rate_text(point.throughput)} items per second."
            for point in [point for point in plane.points if point.is_best] or plane.points
        ),
        draw=partial(_draw_front, plane),
        table=_front_table(plane),
    )


def _draw_front(plane: Plane, width: Width) -> Figure:
    points, unit = plane.points, plane.unit
    figure, (axes,) = new_figure(
        width,
        [panel_for(width, _HEIGHT[width.name], ("items per second",), axis=True, label=True)],
        left=64.0,
    )
    latencies = [point.latency * unit.per_ms for point in points]
    low, high = min(latencies) / _ROOM, max(latencies) * _ROOM
    top = max(point.throughput for point in points) * _ROOM
    log_axis(axes, "x", low, high, width.ticks)
    linear_axis(axes, "y", top, 6)
    axes.set_xlabel(f"{plane.figure} in {unit.name} per call")
    _shade_limits(axes, plane)
    for point in sorted(points, key=lambda each: each.is_best):
        _draw_point(axes, point, unit)
    if len(plane.front) > 1:
        axes.step(
            [point.latency * unit.per_ms for point in plane.front],
            [point.throughput for point in plane.front],
            where="post",
            color=light("series-1"),
            linewidth=1.0,
        )
    return figure


def _shade_limits(axes: Axes, plane: Plane) -> None:
    left, right = axes.get_xlim()
    if plane.most_latency is not None:
        bound = plane.most_latency * plane.unit.per_ms
        if bound < right:
            axes.axvspan(max(bound, left), right, color=light("bad"), alpha=_SHADE, linewidth=0.0)
    if plane.least_throughput is not None:
        bound = min(plane.least_throughput, axes.get_ylim()[1])
        axes.axhspan(0.0, bound, color=light("bad"), alpha=_SHADE, linewidth=0.0)


def _draw_point(axes: Axes, point: PlanePoint, unit: TimeUnit) -> None:
    colour = light("series-1" if point.is_best else "muted")
    interval = point.interval
    if interval is not None and interval.low is not None and interval.high is not None:
        ends = [interval.low * unit.per_ms, interval.high * unit.per_ms]
        axes.plot(ends, [point.throughput] * 2, color=colour, linewidth=1.0)
    axes.plot(
        [point.latency * unit.per_ms],
        [point.throughput],
        marker="o" if point.is_best else "x",
        markersize=8.0 if point.is_best else 5.0,
        color=colour,
    )


def _front_table(plane: Plane) -> Table:
    unit = plane.unit
    return table(
        "Latency and throughput of each configuration",
        ("configuration", f"{plane.figure} ({unit.name})", "items/s", "result"),
        (
            (
                harmless(point.row.label),
                significant(point.latency * unit.per_ms),
                rate_text(point.throughput),
                FATE_WORDS[point.configuration.fate],
            )
            for point in plane.points
        ),
        texts=(3,),
    )


def race_plot(tuning: Tuning) -> Plot | None:
    """Return until which round each configuration took part; ``None`` without a race."""
    raced = sorted(
        (each for each in tuning.configurations if each.rounds and not each.confirmed),
        key=lambda each: -each.rounds,
    )
    if not raced:
        return None
    return Plot(
        key="race",
        title="Who left the race, and when",
        caption=paragraphs(
            "A bar per configuration that left before the end: the rounds in which it took part.",
        ),
        description=" ".join(
            f"{harmless(each.label)} left after {each.rounds} rounds: {harmless(each.reason)}."
            for each in raced
        ),
        draw=partial(_draw_race, raced),
        table=table(
            "Rounds and reasons of those that left",
            ("configuration", "rounds", "result", "why"),
            (
                (
                    harmless(each.label),
                    str(each.rounds),
                    FATE_WORDS[each.fate],
                    harmless(each.reason) or MISSING,
                )
                for each in raced
            ),
            texts=(2, 3),
        ),
    )


def _draw_race(raced: Sequence[TuningConfiguration], width: Width) -> Figure:
    last = len(raced) - 1
    figure, all_axes = new_figure(
        width,
        [
            panel_for(width, _STRIP, (harmless(each.label),), axis=at == last, label=at == last)
            for at, each in enumerate(raced)
        ],
    )
    longest = max(each.rounds for each in raced)
    for at, (each, axes) in enumerate(zip(raced, all_axes, strict=True)):
        colour = light("bad" if each.fate in ("failed", "over_limit") else "muted")
        axes.barh(0.0, each.rounds, height=1.0, color=colour)
        linear_axis(axes, "x", longest * 1.02, width.ticks)
        label = "rounds" if at == last else ""
        share_axis(axes, half_height=0.5, label=label)
    return figure
