"""Which configurations of a tuning are the best compromises, and why did the others leave?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import MISSING, rate_text, significant, time_unit
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration

__all__ = ["front_plot", "race_plot"]

_BEST = ("winner", "tie", "front")
_HEIGHT = {"wide": 360.0, "narrow": 300.0}
_STRIP = 12.0
_ROOM = 1.15


@frozen(kw_only=True)
class _Point:
    """A configuration in the plane of latency and throughput."""

    configuration: TuningConfiguration
    row: BenchmarkResult

    @property
    def is_best(self) -> bool:
        return self.configuration.fate in _BEST

    @property
    def latency(self) -> float:
        assert self.row.p50_ms is not None
        return self.row.p50_ms

    @property
    def throughput(self) -> float:
        assert self.row.throughput_per_sec is not None
        return self.row.throughput_per_sec


def front_plot(report: ReportData, tuning: Tuning) -> Plot | None:
    """Return throughput over latency, a point per configuration; ``None`` if none was measured."""
    points = [
        _Point(configuration=each, row=row)
        for each in tuning.configurations
        if (row := report[each.label]).p50_ms and row.throughput_per_sec
    ]
    if not points:
        return None
    unit = time_unit([point.row for point in points])
    best = [point for point in points if point.is_best]
    return Plot(
        key="front",
        title="Throughput and latency",
        caption=paragraphs(
            "Each point is a configuration: its median latency per call, and the items per second "
            "in calls one after the other. Lines: the interval of the median. Up and to the left "
            "is better. Dark: the best; grey: those that left the race, with its numbers.",
        ),
        description=" ".join(
            f"{harmless(point.row.label)}: {significant(point.latency * unit.per_ms)} {unit.name}, "
            f"{rate_text(point.throughput)} items per second."
            for point in best or points
        ),
        draw=partial(_draw_front, points, unit),
        table=_front_table(points, unit),
    )


def _draw_front(points: Sequence[_Point], unit: TimeUnit, width: Width) -> Figure:
    figure, (axes,) = new_figure(
        width,
        [panel_for(width, _HEIGHT[width.name], ("items per second",), axis=True, label=True)],
        left=64.0,
    )
    latencies = [point.latency * unit.per_ms for point in points]
    log_axis(axes, "x", min(latencies) / _ROOM, max(latencies) * _ROOM, width.ticks)
    linear_axis(axes, "y", max(point.throughput for point in points) * _ROOM, 6)
    axes.set_xlabel(f"{unit.name} per call")
    for point in sorted(points, key=lambda each: each.is_best):
        _draw_point(axes, point, unit)
    best = sorted(
        (point for point in points if point.configuration.fate == "front"),
        key=lambda each: each.latency,
    )
    if len(best) > 1:
        axes.step(
            [point.latency * unit.per_ms for point in best],
            [point.throughput for point in best],
            where="post",
            color=light("series-1"),
            linewidth=1.0,
        )
    return figure


def _draw_point(axes: Axes, point: _Point, unit: TimeUnit) -> None:
    colour = light("series-1" if point.is_best else "muted")
    interval = point.row.intervals.get("p50_ms")
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


def _front_table(points: Sequence[_Point], unit: TimeUnit) -> Table:
    return table(
        "Latency and throughput of each configuration",
        ("configuration", f"median ({unit.name})", "items/s", "result"),
        (
            (
                harmless(point.row.label),
                significant(point.latency * unit.per_ms),
                rate_text(point.throughput),
                FATE_WORDS[point.configuration.fate],
            )
            for point in points
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
