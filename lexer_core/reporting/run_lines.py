"""What was measured, where, and how long did it take? In lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.reporting.baseline import with_baseline
from lexer_core.reporting.numbers import (
    confidence_text,
    duration_text,
    percent_text,
    whole_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["detail_lines", "fact_lines", "heading_lines", "model_title"]

_STOPPED = {
    "precise": "stopped when precise enough",
    "launches": "stopped because only more launches (--launches) would be more precise",
    "no verdict in sight": "stopped because the rest of --max-seconds would hardly decide more",
    "max_seconds": "stopped at the time limit",
    "num_iterations": "stopped at the requested number of samples",
    "rounds": "stopped at the requested number of rounds",
    "nothing left": "stopped because nothing was left to measure",
}
_SHORTEST_PHASE = 0.02


def model_title(report: ReportData) -> str:
    """Return what was measured: the TARGET as typed, and the class if it does not name it.

    >>> model_title(ReportData(target="shop.py:make_ranker", model_name="Ranker"))
    'shop.py:make_ranker (Ranker)'
    """
    target, name = report.target, report.model_name
    if not target or not name:
        return target or name
    # A class is named after its colon, and an .onnx file by its name.
    last = target.replace("\\", "/").rpartition("/")[2]
    known = {last, last.removesuffix(".onnx"), last.rpartition(":")[2]}
    return target if name in known else f"{target} ({name})"


def heading_lines(report: ReportData, unit: TimeUnit) -> list[str]:
    """Return what was measured and how much, and what the columns mean."""
    inputs = ", ".join(map(str, report.input_specs))
    first = " · ".join(part for part in (model_title(report), inputs) if part)
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
    lines = [first, ", ".join(part for part in parts if part), _legend(report, rows, unit)]
    return [line for line in lines if line]


def _legend(report: ReportData, rows: Sequence[BenchmarkResult], unit: TimeUnit) -> str:
    parts = [f"latency per call in {unit.name}"]
    medians = [row.intervals["p50_ms"] for row in rows if "p50_ms" in row.intervals]
    pairs = [pair for pair in with_baseline(report.comparisons).values() if pair.verdict != "none"]
    intervals = ""
    if any(each.low is not None and each.high is not None for each in medians):
        intervals = confidence_text(medians[0].confidence)
    if pairs:
        speed = f"speed vs. the baseline: {confidence_text(pairs[0].ratio.confidence)}"
        intervals = f"{intervals} ({speed})" if intervals else speed
    if intervals:
        parts.append(f"intervals: {intervals}")
    if any(row.parity for row in rows):
        parts.append("outputs: ✓ agree, ✗ differ")
    return "; ".join(parts)


def _span(values: Iterable[int | None], many: str, one: str) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    if low == high:
        return f"{whole_text(high)} {one if high == 1 else many}"
    return f"{whole_text(low)} to {whole_text(high)} {many}"


def fact_lines(report: ReportData) -> list[str]:
    """Return the machine and the versions, and where the time went."""
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
    took = f"Took {duration_text(total * 1000)}"
    if phases := _phases(report, total * _SHORTEST_PHASE):
        took += f": {phases}"
    more = ", ".join(f"{name} (--engine {name})" for name in report.not_run)
    lines = (
        f"Also installed, not run: {more}" if more else "",
        ", ".join(filter(None, machine)),
        took if total else "",
    )
    return [line for line in lines if line]


def detail_lines(report: ReportData) -> list[str]:
    """Return what only a detailed report has: every phase, and the share of kept samples."""
    lines = []
    if phases := _phases(report, 0.0):
        lines.append(f"Phases: {phases}")
    rounds = report.seconds.get("rounds")
    kept = [row.sampled_ms for row in report.results if row.sampled_ms is not None]
    if rounds and kept:
        share = round(sum(kept) / 1000 / rounds, 2)
        lines.append(
            f"Kept samples: {percent_text(share)} of the {duration_text(rounds * 1000)} of rounds; "
            "the rest are first calls after a switch, warm-up and switching itself"
        )
    return lines


def _phases(report: ReportData, shortest: float) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {duration_text(seconds * 1000)}"
        for name, seconds in report.seconds.items()
        if seconds and seconds >= shortest
    )
