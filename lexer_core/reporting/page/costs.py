"""What does an engine cost apart from its calls?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import bytes_text, duration_text
from lexer_core.reporting.page.figure_layout import Width, new_figure, panel_for
from lexer_core.reporting.page.parts import Plot, Table, paragraphs, table
from lexer_core.reporting.page.series import series_of
from lexer_core.reporting.table_layout import payback_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.figure import Figure

    from lexer_core.reporting.page.series import Series
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["cost_plot"]

_BAR = 13.0


@frozen(kw_only=True)
class _Cost:
    """A quantity: its name, its value in a row, and that value as text."""

    name: str
    value: Callable[[BenchmarkResult], float | None]
    text: Callable[[BenchmarkResult], str]


def _export_text(row: BenchmarkResult) -> str:
    return f"{duration_text(row.export_ms)}{', cached' if row.export_cached else ''}"


_COSTS = (
    _Cost(name="Export", value=lambda row: row.export_ms, text=_export_text),
    _Cost(name="Load", value=lambda row: row.load_ms, text=lambda row: duration_text(row.load_ms)),
    _Cost(
        name="Compilation (part of load)",
        value=lambda row: row.compile_ms,
        text=lambda row: duration_text(row.compile_ms),
    ),
    _Cost(
        name="First call",
        value=lambda row: row.first_call_ms,
        text=lambda row: duration_text(row.first_call_ms),
    ),
    _Cost(
        name="Peak memory",
        value=lambda row: row.peak_memory_bytes,
        text=lambda row: bytes_text(row.peak_memory_bytes),
    ),
    _Cost(
        name="Peak memory on the device",
        value=lambda row: row.device_peak_memory_bytes,
        text=lambda row: bytes_text(row.device_peak_memory_bytes),
    ),
    _Cost(
        name="Model size",
        value=lambda row: row.model_bytes,
        text=lambda row: bytes_text(row.model_bytes),
    ),
)


def cost_plot(report: ReportData) -> Plot | None:
    """Return the bars of load, first call, memory, …; ``None`` if nothing is known."""
    rows = [row for row in report.results if row.status == "ok"]
    costs = [cost for cost in _COSTS if any(cost.value(row) is not None for row in rows)]
    if not costs:
        return None
    series = series_of(report.results)
    return Plot(
        key="costs",
        title="Start-up time and memory",
        caption=paragraphs(
            "Each group of bars has its own scale from 0. Memory is the peak of the engine's own "
            "process, including its runtime."
        ),
        description=" ".join(_sentence(cost, rows, series) for cost in costs),
        draw=partial(_draw, costs, rows, series),
        table=_table(costs, rows, series),
    )


def _sentence(cost: _Cost, rows: Sequence[BenchmarkResult], series: Mapping[str, Series]) -> str:
    said = ", ".join(
        f"{series[row.label].name} {cost.text(row)}" for row in rows if cost.value(row) is not None
    )
    return f"{cost.name}: {said}."


def _draw(
    costs: Sequence[_Cost],
    rows: Sequence[BenchmarkResult],
    series: Mapping[str, Series],
    width: Width,
) -> Figure:
    bars = [
        (cost, row, value)
        for cost in costs
        for row in rows
        if (value := cost.value(row)) is not None
    ]
    panels = [
        panel_for(
            width,
            _BAR,
            # The name of the quantity is above the first of its bars.
            (
                cost.name if at == 0 or bars[at - 1][0] is not cost else "",
                f"{series[row.label].name} {cost.text(row)}",
            ),
            axis=False,
        )
        for at, (cost, row, _) in enumerate(bars)
    ]
    figure, all_axes = new_figure(width, panels, left=0.0)
    for (cost, row, value), axes in zip(bars, all_axes, strict=True):
        axes.barh(0.0, value, height=1.0, color=series[row.label].colour)
        # If all values are 0, no bar has a length.
        axes.set_xlim(0.0, max(cost.value(each) or 0.0 for each in rows) or 1.0)
        axes.set_ylim(-0.5, 0.5)
        axes.set_axis_off()
    return figure


def _table(
    costs: Sequence[_Cost], rows: Sequence[BenchmarkResult], series: Mapping[str, Series]
) -> Table:
    return table(
        "Costs of each engine; paid back: its faster calls have made up for a longer set-up than "
        "that of the baseline",
        ("engine", *(cost.name.lower() for cost in costs), "paid back after"),
        (
            (series[row.label].name, *(cost.text(row) for cost in costs), payback_text(row))
            for row in rows
        ),
    )
