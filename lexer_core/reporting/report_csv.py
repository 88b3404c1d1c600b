"""How is a report converted to CSV?

One line per row of the report; ``docs/csv.md`` documents the columns. Text that a
spreadsheet would interpret as a formula is escaped.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import UsageError
from lexer_core.results import BenchmarkResult
from lexer_core.results.attrs_fields import plain
from lexer_core.results.load_test import LoadConfiguration
from lexer_core.results.tuning import TuningConfiguration
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.results import ReportData

__all__ = [
    "COLUMNS",
    "column_kind",
    "column_numbers",
    "report_to_csv",
    "rows_to_csv",
    "table_values",
]

_PERCENTILES = ("mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms")

_FIELDS = (
    "engine",
    "label",
    "num_samples",
    "throughput_per_sec",
    "variance",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "device",
    "status",
    "rank",
    "model",
    "engine_name",
    "engine_version",
    "engine_distribution",
    "options",
    "device_name",
    "batch_size",
    "threads",
    "precision",
    "computed_precision",
    "dtype",
    "format",
    "exporter",
    "isolation",
    "std_ms",
    "min_ms",
    "max_ms",
    "effective_samples",
    "loops",
    "sampled_ms",
    "rounds",
    "launches",
    "outliers_mild",
    "outliers_severe",
    "load_ms",
    "compile_ms",
    "export_ms",
    "export_cached",
    "first_call_ms",
    "warm_up_calls",
    "warm_up_steady",
    "peak_memory_bytes",
    "device_peak_memory_bytes",
    "model_bytes",
    "device_p50_ms",
    "break_even_calls",
)

# Columns that are not fields of the row itself.
_NUMBERS = ("_low", "_high", "_max_abs_error", "_rmse", "_cosine", "_mismatched_share", "_share")
_LOAD = (
    "instances",
    "shared_session",
    "capacity_per_sec",
    "rate",
    "highest_passing",
    "lowest_failing",
    "reason",
)
_TUNING = ("fate", "reason", "shape", "rounds", "beaten_by", "ratio", "confirmed")

COLUMNS = (
    *_FIELDS,
    *(f"{name}_{side}" for name in _PERCENTILES for side in ("low", "high")),
    "parity",
    "parity_max_abs_error",
    "parity_rmse",
    "parity_cosine",
    "parity_mismatched_share",
    "parity_reason",
    "parity_module",
    "placement_share",
    "placement_fallbacks",
    "notes_on_percentiles",
    "withheld",
    "warnings",
    "error_phase",
    "error_kind",
    "error_reason",
    *(f"tuning_{name}" for name in _TUNING),
    *(f"load_test_{name}" for name in _LOAD),
)
"""The columns, in order."""

# Characters that start a formula, their full-width forms, and white space that a
# spreadsheet skips before them.
_FORMULA = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")


def report_to_csv(report: ReportData) -> str:
    """Return a header and one line per row as CSV."""
    return rows_to_csv(COLUMNS, table_values(report))


def rows_to_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return a header and one line per row, whose values are by column."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return text.getvalue()


def table_values(report: ReportData) -> list[dict[str, object]]:
    """Return the values of every row by column, without converting them to text."""
    known = () if report.tuning is None else report.tuning.configurations
    configurations = {each.label: each for each in known}
    tested = () if report.load_test is None else report.load_test.configurations
    loads = {each.label: each for each in tested}
    return [
        _row_values(row, configurations.get(row.label), loads.get(row.label))
        for row in report.results
    ]


def column_kind(column: str) -> str:
    """Return the type of a column's values: ``"int"``, ``"float"``, ``"bool"`` or ``"text"``."""
    for record, prefix in (
        (TuningConfiguration, "tuning_"),
        (LoadConfiguration, "load_test_"),
        (BenchmarkResult, ""),
    ):
        fields = attrs.fields_dict(record)
        name = column.removeprefix(prefix)
        if column.startswith(prefix) and name in fields:
            kind = str(fields[name].type).removesuffix(" | None")
            return kind if kind in ("int", "float", "bool") else "text"
    return "float" if column.endswith(_NUMBERS) else "text"


def column_numbers(report: ReportData, column: str) -> dict[str, float | None]:
    """Return the values of a column of numbers by the labels of the rows.

    Raises
    ------
    UsageError
        There is no such column, or it does not have numbers.
    """
    known = [name for name in COLUMNS if column_kind(name) in ("int", "float")]
    if column not in known:
        raise UsageError(
            f"no figure is called {column!r}.",
            hint=f"Figures: {', '.join(known)}.{did_you_mean(column, known)}",
        )
    return {
        row.label: None if values[column] is None else float(str(values[column]))
        for row, values in zip(report.results, table_values(report), strict=True)
    }


def _row_values(
    row: BenchmarkResult,
    configuration: TuningConfiguration | None,
    load: LoadConfiguration | None,
) -> dict[str, object]:
    values: dict[str, object] = {name: getattr(row, name) for name in _FIELDS}
    for name in _PERCENTILES:
        interval = row.intervals.get(name)
        values[f"{name}_low"] = interval and interval.low
        values[f"{name}_high"] = interval and interval.high
    parity, placement, error = row.parity, row.placement, row.error
    values["parity"] = parity and parity.status
    for name in ("max_abs_error", "rmse", "cosine", "mismatched_share", "reason"):
        values[f"parity_{name}"] = getattr(parity, name, None)
    found = parity.first_difference if parity else None
    values["parity_module"] = found and found.module
    values["placement_share"] = placement and placement.share
    values["placement_fallbacks"] = "; ".join(placement.fallbacks) if placement else None
    values["notes_on_percentiles"] = "; ".join(
        f"{name}: {note}" for name, note in row.notes_on_percentiles.items()
    )
    values["withheld"] = row.withheld
    values["warnings"] = "; ".join(row.warnings)
    for name in ("phase", "kind", "reason"):
        values[f"error_{name}"] = getattr(error, name, None)
    for name in _TUNING:
        values[f"tuning_{name}"] = getattr(configuration, name, None)
    for name in _LOAD:
        values[f"load_test_{name}"] = getattr(load, name, None)
    return values


def _cell(value: object) -> object:
    """Return what the csv module writes: a number, escaped text, or nothing."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    text = value if isinstance(value, str) else _as_json(value)
    # The csv module writes a carriage return unquoted and cannot read it back.
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if text.startswith(_FORMULA) else text


def _as_json(value: object) -> str:
    content = plain(value)
    return json.dumps(content) if content else ""
