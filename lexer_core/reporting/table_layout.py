"""Which texts of a report are shown, and in which order?

Pure functions from a report to texts, for the terminal, Markdown and HTML. The
order helps to decide: which engine, how fast, how certain, are its outputs
correct, what does it cost; then problems, the verdict, and how to repeat the run.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

from lexer_core.reporting.baseline import baseline_of, with_baseline
from lexer_core.reporting.caveats import caveats_of, condition_of
from lexer_core.reporting.footnotes import Footnotes, collect_footnotes
from lexer_core.reporting.layout_records import Column, Layout, printable
from lexer_core.reporting.load_layout import lay_out_load
from lexer_core.reporting.numbers import (
    MISSING,
    TimeUnit,
    bytes_text,
    count_text,
    duration_text,
    error_text,
    estimate_text,
    interval_text,
    rate_text,
    significant,
    time_unit,
)
from lexer_core.reporting.run_lines import detail_lines, fact_lines, heading_lines
from lexer_core.reporting.sentences import is_interrupted, same_problems, titles
from lexer_core.reporting.tuning_layout import lay_out_tuning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from lexer_core.results import BenchmarkResult, Comparison, ReportData

__all__ = ["Column", "Layout", "in_order", "lay_out", "lay_out_rows", "payback_text", "speed_texts"]


def lay_out(report: ReportData) -> Layout:
    """Convert a report to the texts that are shown."""
    if report.tuning is not None:
        return lay_out_tuning(report, report.tuning)
    if report.load_test is not None:
        return lay_out_load(report, report.load_test)
    rows = in_order(report.results)
    names = titles(report.results)
    columns, footnotes = lay_out_rows(rows, names, report.comparisons)
    condition, caveats = condition_of(report), caveats_of(report)
    return Layout(
        heading=printable(heading_lines(report, time_unit(rows))),
        columns=columns,
        footnotes=footnotes,
        problems=printable(_problems(rows, names)),
        sentences=printable(_sentences(report, rows, names)),
        condition=printable([condition.text])[0] if condition else "",
        is_noisy=condition is not None and condition.is_noisy,
        warnings=printable(caveats.main),
        noise=printable(caveats.noise),
        facts=printable(fact_lines(report)),
        details=printable(detail_lines(report)),
        command=" ".join(printable([report.command])),
    )


def lay_out_rows(
    rows: Sequence[BenchmarkResult],
    names: dict[str, str],
    comparisons: Sequence[Comparison] = (),
    *,
    units: Mapping[str, TimeUnit] | None = None,
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Convert rows to columns and footnotes.

    ``names`` are the rows' names by label. ``units`` are those of the rows' latencies by
    label; if they differ, each cell names its unit. Default: one that suits all rows.
    Empty columns are left out.
    """
    notes = collect_footnotes(rows, names)
    if units is None:
        units = dict.fromkeys(names, time_unit(rows))
    columns = _columns(rows, names, units, notes, comparisons)
    return tuple(column for column in columns if _is_shown(column)), printable(notes.lines)


def in_order(rows: Iterable[BenchmarkResult]) -> list[BenchmarkResult]:
    """Sort rows as they are shown: measured first, then correct outputs first, then by speed."""
    return sorted(rows, key=_sort_key)


def speed_texts(
    rows: Iterable[BenchmarkResult], comparisons: Sequence[Comparison]
) -> dict[str, str]:
    """Return how fast each row is compared with the baseline, by label: ``2.8x [2.7–2.9]``."""
    pairs = with_baseline(comparisons)
    baseline = baseline_of(comparisons)
    return {
        row.label: "baseline" if row.label == baseline else _speed(pairs[row.label])
        for row in rows
        if row.label in pairs or row.label == baseline
    }


def _sort_key(row: BenchmarkResult) -> tuple[bool, bool, float]:
    wrong = row.parity is not None and row.parity.status == "fail"
    return row.status != "ok", wrong, math.inf if row.p50_ms is None else row.p50_ms


def _is_shown(column: Column) -> bool:
    return column.heading == "engine" or any(cell != MISSING for cell in column.cells)


# --- Columns. ---


def _columns(
    rows: Sequence[BenchmarkResult],
    names: dict[str, str],
    units: Mapping[str, TimeUnit],
    notes: Footnotes,
    comparisons: Sequence[Comparison],
) -> list[Column]:
    different = {units[row.label] for row in rows}
    shared = different.pop() if len(different) == 1 else None

    def in_unit(text: str, row: BenchmarkResult) -> str:
        return text if shared or text == MISSING else f"{text} {units[row.label].name}"

    def scaled(value: float | None, row: BenchmarkResult) -> str:
        return in_unit(significant(_scaled(value, units[row.label])), row)

    def median(row: BenchmarkResult) -> str:
        if row.status != "ok":
            return "interrupted" if is_interrupted(row) else row.status
        per_ms = units[row.label].per_ms
        text = estimate_text(row.p50_ms, row.intervals.get("p50_ms"), per_ms)
        return notes.marked(in_unit(text, row), "p50", row)

    def cells(text: Callable[[BenchmarkResult], str]) -> tuple[str, ...]:
        return tuple(printable([text(row) if row.status == "ok" else MISSING])[0] for row in rows)

    def latency(heading: str, name: str, *, optional: bool = False) -> Column:
        def cell(row: BenchmarkResult) -> str:
            value: float | None = getattr(row, name)
            return notes.marked(scaled(value, row), heading, row)

        return Column(heading=heading, cells=cells(cell), optional=optional)

    def cost(
        heading: str, text: Callable[[BenchmarkResult], str], *, optional: bool = False
    ) -> Column:
        return Column(heading=heading, cells=cells(text), group="cost", optional=optional)

    def rank(row: BenchmarkResult) -> str:
        if row.rank is None:
            return MISSING
        return f"{row.rank}{'=' if [other.rank for other in rows].count(row.rank) > 1 else ''}"

    speeds = speed_texts(rows, comparisons)
    medians = _aligned([median(row) for row in rows])
    return [
        Column(
            heading="engine",
            cells=tuple(printable([_name(row, names)])[0] for row in rows),
            align="left",
        ),
        Column(heading="rank", cells=cells(rank)),
        Column(
            heading="device",
            cells=tuple(printable([_device(row)])[0] for row in rows),
            align="left",
        ),
        Column(
            heading=f"p50 ({shared.name})" if shared else "p50",
            cells=tuple(medians),
            align="left",
            tones=tuple("" if row.status == "ok" else "bad" for row in rows),
        ),
        Column(
            heading="speed", cells=cells(lambda row: speeds.get(row.label, MISSING)), align="left"
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
            cells=cells(lambda row: scaled(row.device_p50_ms, row)),
        ),
        cost("export", _export, optional=True),
        cost("load", lambda row: duration_text(row.load_ms)),
        cost("first call", lambda row: duration_text(row.first_call_ms)),
        cost("memory", lambda row: bytes_text(row.peak_memory_bytes)),
        cost("device memory", lambda row: bytes_text(row.device_peak_memory_bytes)),
        cost("model size", lambda row: bytes_text(row.model_bytes), optional=True),
        cost("paid back after", payback_text, optional=True),
    ]


def _name(row: BenchmarkResult, names: dict[str, str]) -> str:
    name = names[row.label]
    known = {row.engine.casefold(), row.engine_name.casefold()} - {""}
    return name if any(part in name.casefold() for part in known) else f"{name} ({row.engine})"


def _device(row: BenchmarkResult) -> str:
    share = row.placement.share if row.placement else None
    if share is None or not 0 <= share < 1:
        return row.device
    # Rounded down, because 99.6% is not 100%.
    return f"{row.device} {int(share * 100)}%"


def _scaled(ms: float | None, unit: TimeUnit) -> float | None:
    return None if ms is None else ms * unit.per_ms


def _speed(pair: Comparison) -> str:
    """Format how fast a row is compared with the baseline: ``2.8x [2.7–2.9]``."""
    ratio = pair.ratio
    if pair.verdict == "none":
        return "no verdict"
    if ratio.low is None or ratio.high is None:
        return f"~{significant(ratio.estimate)}x"
    low, estimate, high = interval_text(ratio.low, ratio.estimate, ratio.high)
    return f"{estimate}x [{low}–{high}]"


def _aligned(cells: Sequence[str]) -> list[str]:
    """Align the numbers to the left of ± and of brackets."""
    parts = [re.split("(?= [±[])", cell, maxsplit=1) for cell in cells]
    width = max((len(number) for number, *interval in parts if interval), default=0)
    return [
        f"{number.rjust(width)}{interval[0]}" if interval else cell
        for cell, (number, *interval) in zip(cells, parts, strict=True)
    ]


def _outputs(row: BenchmarkResult) -> str:
    if row.parity is None:
        return MISSING
    if row.parity.status == "not_judged":
        return "reference" if row.parity.reference == row.label else "not judged"
    mark = "✓" if row.parity.status == "pass" else "✗"
    return f"{mark} {error_text(row.parity.max_abs_error)}"


def _outputs_tone(row: BenchmarkResult) -> Literal["good", "bad", ""]:
    if row.parity is None or row.status != "ok":
        return ""
    return {"pass": "good", "fail": "bad"}.get(row.parity.status, "")  # type: ignore[return-value]


def _export(row: BenchmarkResult) -> str:
    return "cached" if row.export_cached else duration_text(row.export_ms)


def payback_text(row: BenchmarkResult) -> str:
    """Format the calls after which a row has paid for its set-up: ``221 calls``, ``at once``."""
    if row.break_even_calls is None:
        return MISSING
    return f"{count_text(row.break_even_calls)} calls" if row.break_even_calls else "at once"


# --- Lines below. ---


def _problems(rows: Sequence[BenchmarkResult], names: dict[str, str]) -> list[str]:
    lines = []
    for sentence, row in same_problems(rows, names):
        lines.append(f"{sentence}.")
        if row.error is not None:
            lines += [f"  {line}" for line in row.error.hint.splitlines()]
    return lines


def _sentences(
    report: ReportData, rows: Sequence[BenchmarkResult], names: dict[str, str]
) -> tuple[str, ...]:
    """Return the verdicts, without the reasons that are listed as problems anyway."""
    reasons = "; ".join(sentence for sentence, _ in same_problems(report.results, names))
    if rows and report.sentences == (f"Nothing was measured: {reasons}.",):
        return ("Nothing was measured.",)
    return report.sentences
