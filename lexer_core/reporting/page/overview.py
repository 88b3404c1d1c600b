"""How do several benchmarks look side by side?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.reporting.numbers import MISSING, significant, time_unit
from lexer_core.reporting.page.detail_tables import environment_facts
from lexer_core.reporting.page.figure_layout import Width, log_axis, new_sheet, panel_for
from lexer_core.reporting.page.measured import median_text
from lexer_core.reporting.page.plots import Plot, paragraphs
from lexer_core.reporting.page.tables import Table, from_columns, table
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import SERIES, light
from lexer_core.reporting.sentences import titles
from lexer_core.reporting.table_layout import lay_out_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["difference_table", "overview_plot", "overview_table"]


@frozen(kw_only=True, eq=False)
class _Entry:
    """A row of one of the runs; ``row`` has a label that no other run's row has."""

    run: str
    run_number: int
    engine: str
    row: BenchmarkResult

    @property
    def name(self) -> str:
        return f"{self.engine} · {self.run}"


def overview_table(runs: Mapping[str, ReportData]) -> tuple[Table, tuple[str, ...]]:
    """Put all rows of all runs into one table, equal engines together; and its footnotes."""
    entries = _entries(runs)
    names = {entry.row.label: entry.name for entry in entries}
    columns, footnotes = lay_out_rows([entry.row for entry in entries], names)
    # A rank holds within its own run.
    kept = [column for column in columns if column.heading != "rank"]
    return from_columns("All runs side by side", kept), footnotes


def overview_plot(runs: Mapping[str, ReportData]) -> Plot | None:
    """Make the plot of all medians; ``None`` where nothing was measured."""
    entries = [entry for entry in _entries(runs) if entry.row.p50_ms]
    if not entries:
        return None
    unit = time_unit(entry.row for entry in entries)
    return Plot(
        key="overview",
        title="Medians of all runs",
        caption=paragraphs(
            "Diamond and bar: the median latency and its interval, in its own run. These runs "
            "were not measured together: what the machine did between them is in the differences "
            "too."
        ),
        description=" ".join(
            f"{harmless(entry.name)}: {median_text(entry.row, unit)}." for entry in entries
        ),
        draw=partial(_draw, entries, unit),
        table=_median_table(entries, unit),
    )


def difference_table(runs: Mapping[str, ReportData]) -> Table:
    """What is not the same in all runs: model, inputs, machine, versions, settings."""
    facts = [_facts(report) for report in runs.values()]
    names = list(dict.fromkeys(name for each in facts for name in each))
    differing = [name for name in names if len({each.get(name, "") for each in facts}) > 1]
    return table(
        "What is not the same in all runs",
        ("what", *runs),
        ((name, *(each.get(name) or MISSING for each in facts)) for name in differing),
        texts=range(len(runs) + 1),
    )


def _facts(report: ReportData) -> dict[str, str]:
    environment = report.environment
    return {
        "model": report.model_name,
        "inputs": ", ".join(map(str, report.input_specs)),
        "measured at": report.created_at,
        **environment_facts(report),
        **{f"version of {name}": text for name, text in environment.engines.items()},
        **{f"package {name}": text for name, text in environment.packages.items()},
        **{f"setting {name}": str(value) for name, value in report.settings.items()},
        **{f"digest of the {name}": text for name, text in report.model_fingerprint.items()},
    }


def _entries(runs: Mapping[str, ReportData]) -> list[_Entry]:
    """All rows, those of one engine together, in the order in which engines first appear."""
    entries = [
        _Entry(
            run=run,
            run_number=number,
            engine=titles(report.results)[row.label],
            row=attrs.evolve(row, label=f"{number}:{row.label}"),
        )
        for number, (run, report) in enumerate(runs.items())
        for row in report.results
    ]
    order = list(dict.fromkeys(entry.engine for entry in entries))
    return sorted(entries, key=lambda entry: order.index(entry.engine))


def _draw(entries: Sequence[_Entry], unit: TimeUnit, width: Width) -> Figure:
    last = len(entries) - 1
    panels = [
        panel_for(
            width,
            26.0,
            (harmless(entry.name), median_text(entry.row, unit)),
            axis=at == last,
            label=at == last,
        )
        for at, entry in enumerate(entries)
    ]
    figure, all_axes = new_sheet(width, panels, left=12.0)
    reached = [value * unit.per_ms for entry in entries for value in _ends(entry.row)]
    for at, (entry, axes) in enumerate(zip(entries, all_axes, strict=True)):
        log_axis(axes, "x", min(reached), max(reached), width.ticks)
        _draw_median(axes, entry, unit)
        axes.set_ylim(-1.0, 1.0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if at < last:
            axes.spines["bottom"].set_visible(False)
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(f"median latency of a call, {unit.name}, logarithmic")
    return figure


def _ends(row: BenchmarkResult) -> list[float]:
    interval = row.intervals.get("p50_ms")
    ends = [interval.low, interval.high] if interval is not None else []
    return [value for value in (row.p50_ms, *ends) if value]


def _draw_median(axes: Axes, entry: _Entry, unit: TimeUnit) -> None:
    colour = light(f"series-{entry.run_number % SERIES + 1}")
    ends = [value * unit.per_ms for value in _ends(entry.row)]
    axes.plot([min(ends), max(ends)], [0, 0], color=colour, linewidth=4.0, solid_capstyle="butt")
    axes.plot([ends[0]], [0], marker="D", markersize=7.0, color=colour)


def _median_table(entries: Sequence[_Entry], unit: TimeUnit) -> Table:
    def cell(entry: _Entry, side: str) -> str:
        interval = entry.row.intervals.get("p50_ms")
        value = getattr(interval, side, None)
        return MISSING if value is None else significant(value * unit.per_ms, 4)

    return table(
        f"Medians in {unit.name}, with their intervals",
        ("engine and run", "median", "from", "to"),
        (
            (
                entry.name,
                significant((entry.row.p50_ms or 0.0) * unit.per_ms, 4),
                cell(entry, "low"),
                cell(entry, "high"),
            )
            for entry in entries
        ),
    )
