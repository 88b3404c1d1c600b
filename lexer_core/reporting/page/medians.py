"""How fast is each engine, at a glance?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lexer_core.reporting.numbers import MISSING, estimate_text, time_unit
from lexer_core.reporting.page.figure_layout import (
    Width,
    linear_axis,
    new_figure,
    panel_for,
    share_axis,
)
from lexer_core.reporting.page.parts import Plot, Table, paragraphs, table
from lexer_core.reporting.page.series import series_of
from lexer_core.reporting.page.theme import light
from lexer_core.reporting.table_layout import speed_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.reporting.page.series import Series
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["median_plot"]

_BAR = 16.0


def median_plot(report: ReportData) -> Plot | None:
    """Return the bars of the medians with their intervals; ``None`` if nothing was measured."""
    rows = [row for row in report.results if row.status == "ok" and row.p50_ms]
    if not rows:
        return None
    unit = time_unit(rows)
    speeds = speed_texts(rows, report.comparisons)
    series = series_of(report.results)
    return Plot(
        key="medians",
        title="Median latency",
        caption=paragraphs(
            "Shorter is faster. Line: the confidence interval of the median. Speed is relative to "
            "the baseline."
            if speeds
            else "Line: the confidence interval of the median."
        ),
        description=" ".join(
            f"{series[row.label].name}: median {_detail(row, unit, speeds)}." for row in rows
        ),
        draw=partial(_draw, rows, series, unit, speeds),
        table=_table(rows, series, unit, speeds),
    )


def _detail(row: BenchmarkResult, unit: TimeUnit, speeds: Mapping[str, str]) -> str:
    median = estimate_text(row.p50_ms, row.intervals.get("p50_ms"), unit.per_ms)
    speed = speeds.get(row.label, "")
    return f"{median} {unit.name}{f', {speed}' if speed else ''}"


def _draw(
    rows: Sequence[BenchmarkResult],
    series: Mapping[str, Series],
    unit: TimeUnit,
    speeds: Mapping[str, str],
    width: Width,
) -> Figure:
    last = len(rows) - 1
    panels = [
        panel_for(
            width,
            _BAR,
            (series[row.label].name, _detail(row, unit, speeds)),
            axis=at == last,
            label=at == last,
        )
        for at, row in enumerate(rows)
    ]
    figure, all_axes = new_figure(width, panels)
    longest = max(end for row in rows for end in _ends(row)) * unit.per_ms
    for at, (row, axes) in enumerate(zip(rows, all_axes, strict=True)):
        _draw_bar(axes, row, series[row.label], unit)
        linear_axis(axes, "x", longest * 1.02, width.ticks)
        label = f"{unit.name} per call" if at == last else ""
        share_axis(axes, half_height=0.5, label=label)
    return figure


def _ends(row: BenchmarkResult) -> tuple[float, ...]:
    interval = row.intervals.get("p50_ms")
    ends = (row.p50_ms, interval.high if interval is not None else None)
    return tuple(end for end in ends if end is not None)


def _draw_bar(axes: Axes, row: BenchmarkResult, series: Series, unit: TimeUnit) -> None:
    assert row.p50_ms is not None
    axes.barh(0.0, row.p50_ms * unit.per_ms, height=1.0, color=series.colour)
    interval = row.intervals.get("p50_ms")
    if interval is None or interval.low is None or interval.high is None:
        return
    ends = [interval.low * unit.per_ms, interval.high * unit.per_ms]
    # A pale line below makes the dark one visible on the bar.
    for colour, thicker in (("page", 3.0), ("text", 0.0)):
        axes.plot(
            ends,
            [0.0, 0.0],
            color=light(colour),
            linewidth=2.0 + thicker,
            marker="|",
            markersize=10.0 + thicker,
            markeredgewidth=1.5 + thicker,
            solid_capstyle="butt",
        )


def _table(
    rows: Sequence[BenchmarkResult],
    series: Mapping[str, Series],
    unit: TimeUnit,
    speeds: Mapping[str, str],
) -> Table:
    return table(
        "Median of each engine, with its interval and its speed relative to the baseline",
        ("engine", f"median ({unit.name})", "speed"),
        (
            (
                series[row.label].name,
                estimate_text(row.p50_ms, row.intervals.get("p50_ms"), unit.per_ms),
                speeds.get(row.label, MISSING),
            )
            for row in rows
        ),
    )
