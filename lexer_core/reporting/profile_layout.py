"""How are the profiles of a report shown: a table of modules, and sentences?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.reporting.layout_records import Column, Layout, printable
from lexer_core.reporting.numbers import MISSING, significant, time_unit
from lexer_core.reporting.profile_table import operator_shares, profile_table
from lexer_core.reporting.sentences import titles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.reporting.profile_table import ProfileLine, ProfileTable
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["lay_out_profiles", "profile_sentences", "profile_text", "profiled_models"]

_MOST_OPERATORS = 6
_WORTH_MENTIONING = 0.05
_MUCH_UNKNOWN = 0.2


def lay_out_profiles(report: ReportData, depth: int | None = None) -> tuple[Layout, ...]:
    """Return the profiles of a report, one table per model; none without profiles.

    Parameters
    ----------
    report
        The report.
    depth
        How many names of a module's path to show. Default: as few as show where most of
        the time goes.
    """
    names = titles(report.results)
    return tuple(
        _lay_out(model, rows, names, depth) for model, rows in profiled_models(report).items()
    )


def profiled_models(report: ReportData) -> dict[str, list[BenchmarkResult]]:
    """Return the rows that have a profile, by the name of their model, the fastest first."""
    models: dict[str, list[BenchmarkResult]] = {}
    for row in sorted(report.results, key=lambda row: row.p50_ms or 0.0):
        if row.profile is not None:
            models.setdefault(row.model, []).append(row)
    return models


def profile_sentences(table: ProfileTable, names: Mapping[str, str]) -> list[str]:
    """Say where each engine spends its time, and where it loses most to the fastest one."""
    fastest, *others = table.rows
    unit = time_unit(table.rows)
    sentences = [_most(table, fastest, names)]
    for row in others:
        line, extra = _largest_difference(table, row, fastest)
        if line is None or extra < _WORTH_MENTIONING * (row.p50_ms or 0.0):
            sentences.append(_most(table, row, names))
            continue
        sentences.append(
            f"{names[row.label]} spends {_percent(line.shares[row.label])} of its time in "
            f"{_quoted(line)}, {significant(extra * unit.per_ms)} {unit.name} more than "
            f"{names[fastest.label]}."
        )
    for row in table.rows:
        unknown = next((line for line in table.lines if line.name == "unattributed"), None)
        share = 0.0 if unknown is None else unknown.shares.get(row.label, 0.0)
        if share > _MUCH_UNKNOWN:
            sentences.append(
                f"{_percent(share)} of the time of {names[row.label]} could not be attributed "
                "to a module."
            )
    return [sentence for sentence in sentences if sentence]


def profile_text(share: float | None, row: BenchmarkResult, unit: TimeUnit) -> str:
    """Format a share of a row's time with its part of the median: ``4.21   61%``."""
    if share is None:
        return MISSING
    ms = "" if row.p50_ms is None else significant(share * row.p50_ms * unit.per_ms)
    return f"{ms} {_percent(share):>5}".lstrip()


def _lay_out(
    model: str, rows: Sequence[BenchmarkResult], names: Mapping[str, str], depth: int | None
) -> Layout:
    table = profile_table(rows, depth)
    title = f"Where the time goes{f' in {model}' if model else ''}"
    columns: tuple[Column, ...] = ()
    sentences: list[str] = []
    heading = [title]
    if table is not None:
        unit = time_unit(table.rows)
        heading.append(
            f"{unit.name} per call and share of the time, by module. From profiled calls, scaled "
            "to the median of the others."
        )
        columns = _columns(table, names, unit)
        sentences = profile_sentences(table, names)
    else:
        columns = _operator_columns(rows, names)
    return Layout(
        heading=printable(heading),
        columns=columns,
        problems=printable(_reasons(rows, names)),
        sentences=printable(sentences),
        facts=printable(_operators(rows, names)) if table is not None else (),
    )


def _columns(table: ProfileTable, names: Mapping[str, str], unit: TimeUnit) -> tuple[Column, ...]:
    def cells(row: BenchmarkResult) -> tuple[str, ...]:
        each = [profile_text(line.shares.get(row.label), row, unit) for line in table.lines]
        return (*each, profile_text(1.0, row, unit))

    return (
        Column(
            heading="module",
            cells=printable([*(line.name for line in table.lines), "all"]),
            align="left",
        ),
        *(Column(heading=printable([names[row.label]])[0], cells=cells(row)) for row in table.rows),
    )


def _operator_columns(
    rows: Sequence[BenchmarkResult], names: Mapping[str, str]
) -> tuple[Column, ...]:
    """Return the types of operators of each row, if no row is known by module."""
    cells = [
        (names[row.label], operator, profile_text(share, row, time_unit([row])))
        for row in rows
        if row.profile is not None
        for operator, share in operator_shares(row.profile.parts)[:_MOST_OPERATORS]
    ]
    if not cells:
        cells = [(names[row.label], MISSING, MISSING) for row in rows]
    headings = ("engine", "operator", "time")
    return tuple(
        Column(heading=heading, cells=printable(column), align="right" if at == 2 else "left")  # noqa: PLR2004
        for at, (heading, column) in enumerate(zip(headings, zip(*cells, strict=True), strict=True))
    )


def _reasons(rows: Sequence[BenchmarkResult], names: Mapping[str, str]) -> list[str]:
    """Say whose time is not known by module, and why."""
    words = {"not_available": "not available", "failed": "profiling failed"}
    return [
        f"{names[row.label]}: {words.get(row.profile.status, 'no modules')}: {row.profile.reason}"
        for row in rows
        if row.profile is not None and row.profile.reason
    ]


def _operators(rows: Sequence[BenchmarkResult], names: Mapping[str, str]) -> list[str]:
    lines = []
    for row in rows:
        shares = operator_shares(row.profile.parts) if row.profile is not None else []
        shown = [f"{operator} {_percent(share)}" for operator, share in shares[:_MOST_OPERATORS]]
        if shown:
            lines.append(f"{names[row.label]} by operator: {', '.join(shown)}")
    return lines


def _most(table: ProfileTable, row: BenchmarkResult, names: Mapping[str, str]) -> str:
    line = max(
        (line for line in table.lines if line.module is not None and row.label in line.shares),
        key=lambda line: line.shares[row.label],
        default=None,
    )
    if line is None:
        return ""
    return (
        f"{names[row.label]} spends {_percent(line.shares[row.label])} of its time in "
        f"{_quoted(line)}."
    )


def _largest_difference(
    table: ProfileTable, row: BenchmarkResult, other: BenchmarkResult
) -> tuple[ProfileLine | None, float]:
    """Return where a row takes the most milliseconds more than another one, and how many."""
    differences = [
        (
            line.shares[row.label] * (row.p50_ms or 0.0)
            - line.shares.get(other.label, 0.0) * (other.p50_ms or 0.0),
            line,
        )
        for line in table.lines
        if line.module is not None and row.label in line.shares
    ]
    if not differences:
        return None, 0.0
    extra, line = max(differences, key=lambda each: each[0])
    return line, extra


def _quoted(line: ProfileLine) -> str:
    return f"`{line.name}`" if line.module else line.name


def _percent(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"  # noqa: PLR2004  it would round to 0
