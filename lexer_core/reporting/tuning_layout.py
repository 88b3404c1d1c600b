"""Which texts of a tuning are shown, and in which order?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.reporting.layout_records import Column, Layout, printable
from lexer_core.reporting.numbers import (
    MISSING,
    bytes_text,
    error_text,
    estimate_text,
    rate_text,
    significant,
    time_unit,
)
from lexer_core.reporting.run_lines import fact_lines, heading_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration

__all__ = ["FATE_WORDS", "lay_out_tuning"]

FATE_WORDS = {
    "winner": "best",
    "tie": "tie",
    "front": "front",
    "slower": "slower",
    "over_limit": "over limit",
    "failed": "failed",
    "unsupported": "unsupported",
    "not_reached": "not decided",
}
"""How the table calls the fates, in the order in which it shows them."""


def lay_out_tuning(report: ReportData, tuning: Tuning) -> Layout:
    """Convert a tuning to the texts that are shown: one line per configuration."""
    order = list(FATE_WORDS)
    rows = {row.label: row for row in report.results}
    shown = sorted(
        tuning.configurations,
        key=lambda each: (order.index(each.fate), _seconds(rows[each.label])),
    )
    return Layout(
        heading=printable(
            [
                *heading_lines(report, time_unit(report.results)),
                "; ".join([*tuning.goals, *(f"limit {limit}" for limit in tuning.limits)]),
            ]
        ),
        columns=_columns(shown, rows),
        sentences=printable(report.sentences),
        facts=printable([_race_line(tuning), *fact_lines(report)]),
        command=" ".join(printable([report.command])),
    )


def _race_line(tuning: Tuning) -> str:
    return (
        f"{len(tuning.configurations)} configurations raced in {tuning.race_rounds} rounds: "
        f"{tuning.race_samples} blocks. The numbers of those that left are from the race."
    )


def _seconds(row: BenchmarkResult) -> float:
    if row.p50_ms is None:
        return float("inf")
    return row.p50_ms / (row.batch_size or 1)


def _columns(
    shown: Sequence[TuningConfiguration], rows: dict[str, BenchmarkResult]
) -> tuple[Column, ...]:
    results = [rows[each.label] for each in shown]
    unit = time_unit(results)

    def cells(text: Callable[[BenchmarkResult], str]) -> tuple[str, ...]:
        return printable([text(row) if row.num_samples else MISSING for row in results])

    def median(row: BenchmarkResult) -> str:
        return estimate_text(row.p50_ms, row.intervals.get("p50_ms"), unit.per_ms)

    def tail(row: BenchmarkResult) -> str:
        return significant(None if row.p99_ms is None else row.p99_ms * unit.per_ms)

    def outputs(row: BenchmarkResult) -> str:
        if row.parity is None or row.parity.status == "not_judged":
            return MISSING
        mark = "✓" if row.parity.status == "pass" else "✗"
        return f"{mark} {error_text(row.parity.max_abs_error)}"

    columns = (
        Column(
            heading="configuration",
            cells=printable([each.label for each in shown]),
            align="left",
        ),
        Column(
            heading="result",
            cells=tuple(FATE_WORDS[each.fate] for each in shown),
            align="left",
            tones=tuple("good" if each.fate in ("winner", "front") else "" for each in shown),
        ),
        Column(heading=f"p50 ({unit.name})", cells=cells(median), align="left"),
        Column(heading="p99", cells=cells(tail)),
        Column(heading="items/s", cells=cells(lambda row: rate_text(row.throughput_per_sec))),
        Column(heading="memory", cells=cells(lambda row: bytes_text(row.peak_memory_bytes))),
        Column(heading="outputs", cells=cells(outputs), align="left"),
        Column(heading="why", cells=printable([each.reason for each in shown]), align="left"),
    )
    return tuple(
        column
        for column in columns
        if column.heading == "configuration" or any(cell != MISSING for cell in column.cells)
    )
