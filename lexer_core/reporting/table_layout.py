"""Which texts of a report are shown, and in which order?

Pure functions from a report to texts, for the terminal, Markdown and HTML. The
order helps to decide: which engine, how fast, how certain, are its outputs
correct, what does it cost; then problems, the verdict, and how to repeat the run.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from lexer_core.reporting.footnotes import Footnotes, collect_footnotes
from lexer_core.reporting.numbers import (
    MISSING,
    TimeUnit,
    bytes_text,
    confidence_text,
    count_text,
    duration_text,
    error_text,
    half_width,
    rate_text,
    significant,
    time_unit,
    whole_text,
    with_half_width,
)
from lexer_core.reporting.sentences import problem, titles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["Column", "Layout", "in_order", "lay_out", "lay_out_rows"]

_STOPPED = {
    "precise": "stopped when precise enough",
    "launches": "stopped because only more launches (--launches) would be more precise",
    "max_seconds": "stopped at the time limit",
    "num_iterations": "stopped at the requested number of samples",
    "rounds": "stopped at the requested number of rounds",
    "nothing left": "stopped because nothing was left to measure",
}


@frozen(kw_only=True)
class Column:
    """A column: a heading and a cell per row.

    ``tones`` says which cells are good or bad news. Columns of one ``group`` stay
    together if the table is split. ``optional`` columns are left out if there is
    not enough room.
    """

    heading: str
    cells: tuple[str, ...]
    align: Literal["left", "right"] = "right"
    tones: tuple[Literal["good", "bad", ""], ...] = ()
    group: Literal["speed", "cost"] = "speed"
    optional: bool = False


@frozen(kw_only=True)
class Layout:
    """All texts of a report, without control characters.

    ``columns[0]`` names the rows. Show ``command`` on one line, so that it can be
    copied.
    """

    heading: tuple[str, ...]
    columns: tuple[Column, ...]
    footnotes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    command: str = ""


def lay_out(report: ReportData) -> Layout:
    """Convert a report to the texts that are shown."""
    rows = in_order(report.results)
    names = titles(report.results)
    columns, footnotes = lay_out_rows(rows, names)
    return Layout(
        heading=_clean(_heading(report, time_unit(rows))),
        columns=columns,
        footnotes=footnotes,
        problems=_clean(_problems(rows, names)),
        sentences=_clean(report.sentences),
        warnings=_clean((*_warnings(rows, names), *report.notes)),
        facts=_clean(_facts(report)),
        command=" ".join(_clean([report.command])),
    )


def lay_out_rows(
    rows: Sequence[BenchmarkResult], names: dict[str, str]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Convert rows to columns and footnotes.

    ``names`` are the rows' names by label. Empty columns are left out.
    """
    notes = collect_footnotes(rows, names)
    columns = _columns(rows, names, time_unit(rows), notes)
    return tuple(column for column in columns if _is_shown(column)), _clean(notes.lines)


def in_order(rows: Iterable[BenchmarkResult]) -> list[BenchmarkResult]:
    """Sort rows as they are shown: measured first, then correct outputs first, then by speed."""
    return sorted(rows, key=_sort_key)


def _sort_key(row: BenchmarkResult) -> tuple[bool, bool, float]:
    wrong = row.parity is not None and row.parity.status == "fail"
    return row.status != "ok", wrong, math.inf if row.p50_ms is None else row.p50_ms


def _is_shown(column: Column) -> bool:
    return column.heading == "engine" or any(cell != MISSING for cell in column.cells)


# --- Columns. ---


def _columns(
    rows: Sequence[BenchmarkResult], names: dict[str, str], unit: TimeUnit, notes: Footnotes
) -> list[Column]:
    def cells(text: Callable[[BenchmarkResult], str]) -> tuple[str, ...]:
        return tuple(_clean([text(row) if row.status == "ok" else MISSING])[0] for row in rows)

    def latency(heading: str, name: str, *, optional: bool = False) -> Column:
        def cell(row: BenchmarkResult) -> str:
            value: float | None = getattr(row, name)
            return notes.marked(significant(_scaled(value, unit)), heading, row)

        return Column(heading=heading, cells=cells(cell), optional=optional)

    def cost(
        heading: str, text: Callable[[BenchmarkResult], str], *, optional: bool = False
    ) -> Column:
        return Column(heading=heading, cells=cells(text), group="cost", optional=optional)

    def rank(row: BenchmarkResult) -> str:
        if row.rank is None:
            return MISSING
        return f"{row.rank}{'=' if [other.rank for other in rows].count(row.rank) > 1 else ''}"

    medians = _aligned([_median(row, unit, notes) for row in rows])
    return [
        Column(
            heading="engine",
            cells=tuple(_clean([_name(row, names)])[0] for row in rows),
            align="left",
        ),
        Column(heading="rank", cells=cells(rank)),
        Column(
            heading="device", cells=tuple(_clean([_device(row)])[0] for row in rows), align="left"
        ),
        Column(
            heading=f"p50 ({unit.name})",
            cells=tuple(medians),
            align="left",
            tones=tuple("" if row.status == "ok" else "bad" for row in rows),
        ),
        latency("p90", "p90_ms"),
        latency("p95", "p95_ms", optional=True),
        latency("p99", "p99_ms"),
        latency("mean", "mean_ms"),
        Column(
            heading="items/s" if any(row.batch_size for row in rows) else "calls/s",
            cells=cells(lambda row: rate_text(row.throughput_per_sec)),
        ),
        Column(
            heading="outputs",
            cells=cells(_outputs),
            align="left",
            tones=tuple(_outputs_tone(row) for row in rows),
        ),
        Column(
            heading="device p50",
            cells=cells(lambda row: significant(_scaled(row.device_p50_ms, unit))),
        ),
        cost("export", _export, optional=True),
        cost("load", lambda row: duration_text(row.load_ms)),
        cost("first call", lambda row: duration_text(row.first_call_ms)),
        cost("memory", lambda row: bytes_text(row.peak_memory_bytes)),
        cost("model size", lambda row: bytes_text(row.model_bytes), optional=True),
        cost("paid back after", _payback, optional=True),
    ]


def _name(row: BenchmarkResult, names: dict[str, str]) -> str:
    name = names[row.label]
    known = {row.engine.casefold(), row.engine_name.casefold()} - {""}
    return name if any(part in name.casefold() for part in known) else f"{name} ({row.engine})"


def _device(row: BenchmarkResult) -> str:
    share = row.placement.share if row.placement else None
    # Rounded down, because 99.6% is not 100%.
    return row.device if share is None or share >= 1 else f"{row.device} {int(share * 100)}%"


def _scaled(ms: float | None, unit: TimeUnit) -> float | None:
    return None if ms is None else ms * unit.per_ms


def _median(row: BenchmarkResult, unit: TimeUnit, notes: Footnotes) -> str:
    if row.status != "ok":
        return row.status
    half = half_width(row.intervals.get("p50_ms"))
    text = with_half_width(_scaled(row.p50_ms, unit), _scaled(half, unit))
    return notes.marked(text, "p50", row)


def _aligned(cells: Sequence[str]) -> list[str]:
    """Align the numbers on both sides of the ±."""
    parts = [cell.partition(" ±") for cell in cells]
    width = max((len(number) for number, sign, _ in parts if sign), default=0)
    return [
        f"{number.rjust(width)}{sign}{rest}" if sign else cell
        for cell, (number, sign, rest) in zip(cells, parts, strict=True)
    ]


def _outputs(row: BenchmarkResult) -> str:
    if row.parity is None:
        return MISSING
    if row.parity.status == "not_judged":
        return "not judged"
    mark = "✓" if row.parity.status == "pass" else "✗"
    return f"{mark} {error_text(row.parity.max_abs_error)}"


def _outputs_tone(row: BenchmarkResult) -> Literal["good", "bad", ""]:
    if row.parity is None or row.status != "ok":
        return ""
    return {"pass": "good", "fail": "bad"}.get(row.parity.status, "")  # type: ignore[return-value]


def _export(row: BenchmarkResult) -> str:
    return "cached" if row.export_cached else duration_text(row.export_ms)


def _payback(row: BenchmarkResult) -> str:
    return MISSING if row.break_even_calls is None else f"{count_text(row.break_even_calls)} calls"


# --- Lines above and below. ---


def _heading(report: ReportData, unit: TimeUnit) -> list[str]:
    inputs = ", ".join(map(str, report.input_specs))
    first = " · ".join(part for part in (report.model_name, inputs) if part)
    rows = [row for row in report.results if row.status == "ok"]
    if not rows:
        return [first] if first else []
    parts = [
        _span((row.num_samples for row in rows), "samples per engine", "sample per engine"),
        _span((row.rounds for row in rows), "rounds", "round"),
        _span((row.threads for row in rows), "threads", "thread"),
        _span((row.batch_size for row in rows), "items per call", "item per call")
        or "1 item per call (assumed)",
        _STOPPED.get(report.stopped_because, report.stopped_because),
    ]
    lines = [first, ", ".join(part for part in parts if part)]
    explained = f"latency per call in {unit.name}"
    if any(half_width(row.intervals.get("p50_ms")) is not None for row in rows):
        confidence = next(
            row.intervals["p50_ms"].confidence for row in rows if "p50_ms" in row.intervals
        )
        explained += f", ± is the {confidence_text(confidence)} confidence interval of the median"
    if any(row.parity for row in rows):
        explained += "; outputs: ✓ agree, ✗ differ, with the maximum error"
    return [line for line in (*lines, explained) if line]


def _span(values: Iterable[int | None], many: str, one: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    if low == high:
        return f"{whole_text(high)} {one if high == 1 else many}"
    return f"{whole_text(low)} to {whole_text(high)} {many}"


def _problems(rows: Sequence[BenchmarkResult], names: dict[str, str]) -> list[str]:
    lines = []
    for row in rows:
        if row.status == "ok":
            continue
        lines.append(f"{names[row.label]} {problem(row)}.")
        if row.error is not None:
            lines += [f"  {line}" for line in row.error.hint.splitlines()]
    return lines


def _warnings(rows: Sequence[BenchmarkResult], names: dict[str, str]) -> list[str]:
    by_warning: dict[str, list[str]] = {}
    for row in rows:
        warnings = list(row.warnings)
        if row.placement is not None and row.placement.fallbacks:
            elsewhere = ", ".join(row.placement.fallbacks)
            warnings.append(f"some of the work did not run on the {row.device}: {elsewhere}")
        for warning in warnings:
            by_warning.setdefault(warning, []).append(names[row.label])
    return [f"{', '.join(who)}: {warning}" for warning, who in by_warning.items()]


def _facts(report: ReportData) -> list[str]:
    environment = report.environment
    measured = {row.engine for row in report.results}
    cores = environment.cores_usable
    machine = [
        environment.cpu_model,
        f"{cores:g} {'core' if cores == 1 else 'cores'}" if cores is not None else "",
        f"Python {environment.python}" if environment.python else "",
        # Only measured engines; the environment lists all installed ones.
        *(f"{name} {version}" for name, version in environment.engines.items() if name in measured),
        *(
            f"{row.label}: {' '.join(filter(None, (row.engine, row.engine_version)))} "
            f"in {row.interpreter}"
            for row in report.results
            if row.interpreter
        ),
    ]
    total = sum(seconds for seconds in report.seconds.values() if seconds)
    phases = ", ".join(
        f"{name.replace('_', ' ')} {duration_text(seconds * 1000)}"
        for name, seconds in report.seconds.items()
        if seconds and seconds >= total / 50
    )
    took = f"Took {duration_text(total * 1000)}: {phases}" if total else ""
    return [line for line in (", ".join(part for part in machine if part), took) if line]


def _clean(lines: Iterable[str]) -> tuple[str, ...]:
    """Remove control characters, so that a plugin's message cannot control the terminal."""
    return tuple(
        "".join(
            character if character.isprintable() else " " if character.isspace() else ""
            for character in line
        )
        for line in lines
    )
