"""How is a comparison put into words?

Headings, cells, reasons and changes, shared by the terminal and Markdown.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lexer_core.comparison.records import CASE_VERDICTS
from lexer_core.reporting.numbers import (
    MISSING,
    interval_text,
    percent_text,
    significant,
    unit_of_times,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.comparison.records import CaseVerdict, Change, RunPair

__all__ = [
    "HEADINGS",
    "change_lines",
    "judging_lines",
    "pair_title",
    "reason_lines",
    "table_cells",
    "verdict_counts",
]

HEADINGS = ("case", "verdict", "new / base", "95% interval", "base p50", "new p50")

_CHANGES = {
    "weights": "weights",
    "code": "code",
    "versions": "version",
    "environment": "environment",
    "options": "option",
    "settings": "setting",
}

_METHODS = {
    "canary": "Judged by the launches of both runs, relative to the reference workload",
    "rerun": "Judged by measuring both models again in interleaved rounds",
}


def verdict_counts(cases: Sequence[CaseVerdict]) -> str:
    """Return how often each verdict occurs, the worst first: ``"1 REGRESSION, 2 OK"``."""
    counts = Counter(case.verdict for case in cases)
    parts = [f"{counts[verdict]} {verdict}" for verdict in CASE_VERDICTS if counts[verdict]]
    return ", ".join(parts) or "no cases"


def pair_title(pair: RunPair) -> str:
    """Return what was compared: ``"new against base, AmazingNet"``."""
    models = dict.fromkeys(name for name in (pair.base.model_name, pair.new.model_name) if name)
    return ", ".join([f"{pair.new.title} against {pair.base.title}", " and ".join(models)]).rstrip(
        ", "
    )


def table_cells(pair: RunPair) -> list[tuple[str, ...]]:
    """Return a row of cells under :data:`HEADINGS` for each case."""
    times = [time for case in pair.cases for time in (case.base_p50_ms, case.new_p50_ms)]
    unit = unit_of_times(times)

    def latency(ms: float | None) -> str:
        return MISSING if ms is None else f"{significant(ms * unit.per_ms)} {unit.name}"

    return [
        (
            case.label,
            case.verdict,
            *_ratio(case),
            latency(case.base_p50_ms),
            latency(case.new_p50_ms),
        )
        for case in pair.cases
    ]


def reason_lines(pair: RunPair) -> list[str]:
    """Return each reason once, after the cases that it applies to."""
    labels: dict[str, list[str]] = {}
    for case in pair.cases:
        if case.reason:
            labels.setdefault(case.reason, []).append(case.label)
    return [f"{', '.join(cases)}: {reason}" for reason, cases in labels.items()]


def change_lines(pair: RunPair) -> list[str]:
    """Return a line for each change, those of a single case with its label."""
    lines = [_change(change) for change in pair.changes]
    lines += [f"{case.label}: {_change(change)}" for case in pair.cases for change in case.changes]
    return lines or ["nothing recorded"]


def judging_lines(pair: RunPair, method: str) -> list[str]:
    """Return the threshold and the method, followed by the pair's notes."""
    threshold = f"Threshold {percent_text(pair.threshold)}"
    if pair.threshold_reason:
        threshold += f" ({pair.threshold_reason})"
    corrected = any(
        case.ratio is not None and case.ratio.confidence > 0.95  # noqa: PLR2004 - the uncorrected one
        for case in pair.cases
    )
    judged = _METHODS[method] + (
        "; intervals are corrected for the number of cases (Holm)." if corrected else "."
    )
    return [f"{threshold}. {judged}", *pair.notes]


def _ratio(case: CaseVerdict) -> tuple[str, str]:
    ratio = case.ratio
    if ratio is None:
        return MISSING, MISSING
    if ratio.low is None or ratio.high is None:
        return f"{ratio.estimate:.3f}", MISSING
    low, estimate, high = interval_text(ratio.low, ratio.estimate, ratio.high)
    return estimate, f"{low}–{high}"


def _change(change: Change) -> str:
    # A difference of outputs is recorded under what may have caused it.
    if change.name == change.kind or change.name.startswith("outputs"):
        return str(change)
    return f"{_CHANGES[change.kind]} {change}"
