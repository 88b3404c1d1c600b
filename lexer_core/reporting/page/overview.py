"""How do several benchmarks look side by side?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.reporting.numbers import MISSING, TimeUnit, time_unit
from lexer_core.reporting.page.detail_tables import environment_facts
from lexer_core.reporting.page.parts import Table, from_columns, table
from lexer_core.reporting.sentences import titles
from lexer_core.reporting.table_layout import lay_out_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["difference_table", "overview_table"]


@frozen(kw_only=True, eq=False)
class _Entry:
    """A row of one of the runs; the label of ``row`` is unique among all runs.

    ``unit`` is that of the run, which may be a thousand times slower than another.
    """

    run: str
    engine: str
    row: BenchmarkResult
    unit: TimeUnit

    @property
    def name(self) -> str:
        return f"{self.engine} · {self.run}"


def overview_table(runs: Mapping[str, ReportData]) -> tuple[Table, tuple[str, ...]]:
    """Return a table of all rows of all runs, grouped by engine, and its footnotes."""
    entries = _entries(runs)
    names = {entry.row.label: entry.name for entry in entries}
    units = {entry.row.label: entry.unit for entry in entries}
    columns, footnotes = lay_out_rows([entry.row for entry in entries], names, units=units)
    # A rank is only valid within its run.
    kept = [column for column in columns if column.heading != "rank"]
    return from_columns("All runs side by side", kept), footnotes


def difference_table(runs: Mapping[str, ReportData]) -> Table:
    """Return a table of what differs: model, inputs, machine, versions, settings."""
    facts = [_facts(report) for report in runs.values()]
    names = list(dict.fromkeys(name for each in facts for name in each))
    differing = [name for name in names if len({each.get(name, "") for each in facts}) > 1]
    return table(
        "Differences between the runs",
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
        **{f"{name} version": text for name, text in environment.engines.items()},
        **{f"package {name}": text for name, text in environment.packages.items()},
        **{f"setting {name}": str(value) for name, value in report.settings.items()},
        **{f"{name} digest": text for name, text in report.model_fingerprint.items()},
    }


def _entries(runs: Mapping[str, ReportData]) -> list[_Entry]:
    """Return all rows, grouped by engine, in the order in which engines first appear."""
    entries = [
        _Entry(
            run=run,
            engine=titles(report.results)[row.label],
            row=attrs.evolve(row, label=f"{number}:{row.label}"),
            unit=time_unit(report.results),
        )
        for number, (run, report) in enumerate(runs.items())
        for row in report.results
    ]
    order = list(dict.fromkeys(entry.engine for entry in entries))
    return sorted(entries, key=lambda entry: order.index(entry.engine))
