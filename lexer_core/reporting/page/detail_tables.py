"""What else is known of a benchmark: answers, machine, settings, noise?

Tables of what the report holds, complete: what its table leaves out for want
of room is here.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import attrs

from lexer_core.reporting.numbers import (
    MISSING,
    bytes_text,
    duration_text,
    error_text,
    significant,
)
from lexer_core.reporting.page.tables import Table, table
from lexer_core.reporting.page.text_utils import whole
from lexer_core.reporting.sentences import titles
from lexer_core.results.result_records import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.result_records import Parity, ReferenceWorkloadTimes

__all__ = [
    "canary_text",
    "diagnosis_table",
    "engine_table",
    "environment_table",
    "output_table",
    "package_table",
    "parity_table",
    "phase_table",
    "settings_table",
]

_Subject = TypeVar("_Subject")


# --- Are the answers right? ---


def parity_table(report: ReportData) -> Table | None:
    """How far each engine's outputs are from the reference's; ``None`` if nothing was compared."""
    names = titles(report.results)
    judged = {names[row.label]: row.parity for row in report.results if row.parity is not None}
    if not judged:
        return None
    return _by_engine(
        "Outputs of each engine against the reference: the worst over all outputs",
        judged,
        _ANSWERS,
        words=True,
    )


def _by_engine(
    caption: str,
    subjects: Mapping[str, _Subject],
    facts: Sequence[tuple[str, Callable[[_Subject], str]]],
    *,
    words: bool = False,
) -> Table:
    """Tabulate facts, a column for each engine; a fact that is missing of all is left out."""
    rows = [(name, *map(text, subjects.values())) for name, text in facts]
    return table(
        caption,
        ("what", *subjects),
        [row for row in rows if any(cell != MISSING for cell in row[1:])],
        texts=range(len(subjects) + 1) if words else (),
    )


_STATUSES = {"pass": "✓ agree", "fail": "✗ differ", "not_judged": "not judged"}

_RULES = {
    "tolerance": "tolerance of the element type",
    "float64": "the reference's own rounding error",
    "metric": "tolerance asked for",
}


def _cosine(value: float | None) -> str:
    return MISSING if value is None else f"{value:.7f}" if math.isfinite(value) else str(value)


def _share(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}" if value in (0, 1) else f"{value:.2%}"


def _tolerance(parity: Parity) -> str:
    known = {"rtol": parity.rtol, "atol": parity.atol}
    said = [f"{name} {value:g}" for name, value in known.items() if value is not None]
    return ", ".join(said) or MISSING


_ANSWERS: Sequence[tuple[str, Callable[[Parity], str]]] = (
    ("outputs", lambda parity: _STATUSES[parity.status]),
    ("why", lambda parity: parity.reason or MISSING),
    ("largest absolute error", lambda parity: error_text(parity.max_abs_error)),
    ("root mean square error", lambda parity: error_text(parity.rmse)),
    ("cosine", lambda parity: _cosine(parity.cosine)),
    ("elements outside the tolerance", lambda parity: _share(parity.mismatched_share)),
    ("tolerance", _tolerance),
    ("judged by", lambda parity: _RULES.get(parity.rule, parity.rule) or MISSING),
    ("reference", lambda parity: parity.reference or MISSING),
)


def output_table(report: ReportData) -> Table | None:
    """Each output by itself; ``None`` where no engine was compared output by output."""
    names = titles(report.results)
    rows = [
        (
            names[row.label],
            each.name,
            "✓ right" if each.passed else "✗ wrong",
            error_text(each.max_abs_error),
            error_text(each.rmse),
            _cosine(each.cosine),
            _share(each.mismatched_share),
            each.note or MISSING,
        )
        for row in report.results
        if row.parity is not None
        for each in row.parity.outputs
    ]
    if not rows:
        return None
    return table(
        "Each output by itself",
        (
            *("engine", "output", "right", "largest error", "RMSE", "cosine"),
            *("elements outside", "note"),
        ),
        rows,
        texts=(1, 2, 7),
    )


# --- On what machine, with what software, under which settings? ---

_ENVIRONMENT = {
    "cpu_model": "processor",
    "cores_physical": "cores",
    "cores_logical": "hardware threads",
    "cores_usable": "CPUs that the process may use",
    "memory_bytes": "memory",
    "memory_limit_bytes": "memory that the control group allows",
    "virtualised": "virtual machine or container",
    "os": "operating system",
    "machine": "architecture",
    "gpus": "GPUs",
    "gpu_driver": "driver of the GPUs",
    "python": "Python",
    "lexer_version": "lexer-core",
}


def environment_facts(report: ReportData) -> dict[str, str]:
    """Every known fact of the machine, by its name."""
    facts = {}
    for field in attrs.fields(Environment):
        value = getattr(report.environment, field.name)
        if field.name in ("engines", "packages") or value in (None, "", ()):
            continue
        name = _ENVIRONMENT.get(field.name, field.name.replace("_", " "))
        facts[name] = bytes_text(value) if field.name.endswith("_bytes") else _plain(value)
    return facts


def environment_table(report: ReportData) -> Table | None:
    """The machine; ``None`` where nothing is known of it."""
    facts = environment_facts(report)
    return _facts_table("The machine", ("what", "value"), facts) if facts else None


def package_table(report: ReportData) -> Table | None:
    """Versions of packages; ``None`` where none are known."""
    packages = report.environment.packages
    return _facts_table("Packages", ("package", "version"), packages) if packages else None


def settings_table(report: ReportData) -> Table | None:
    """Every setting that held; ``None`` where none are known."""
    settings = {name: _plain(value) for name, value in report.settings.items()}
    return (
        _facts_table("Every setting that held", ("setting", "value"), settings)
        if settings
        else None
    )


def phase_table(report: ReportData) -> Table | None:
    """Where the time of the run went; ``None`` where that is not known."""
    phases = {
        name.replace("_", " "): duration_text(seconds * 1000)
        for name, seconds in report.seconds.items()
        if seconds is not None
    }
    if not phases:
        return None
    return table("Where the time of the run went", ("phase", "time"), phases.items())


def engine_table(report: ReportData) -> Table | None:
    """What ran in each row: versions, format, options; ``None`` without rows."""
    if not report.results:
        return None
    names = titles(report.results)
    return _by_engine(
        "What ran in each row", {names[row.label]: row for row in report.results}, _RAN, words=True
    )


_RAN: Sequence[tuple[str, Callable[[BenchmarkResult], str]]] = (
    ("engine", lambda row: row.engine),
    ("version", lambda row: row.engine_version or MISSING),
    ("plugin", lambda row: row.engine_distribution or MISSING),
    ("device", lambda row: row.device_name),
    ("threads", lambda row: _count(row.threads)),
    ("items in a call", lambda row: _count(row.batch_size)),
    ("types of the inputs", lambda row: row.dtype or MISSING),
    ("precision asked for", lambda row: row.precision or MISSING),
    ("format", lambda row: row.format or MISSING),
    ("made by", lambda row: row.exporter or MISSING),
    ("options", lambda row: ", ".join(f"{k}={v}" for k, v in row.options.items()) or MISSING),
    ("process", lambda row: "its own" if row.isolation == "process" else "the caller's"),
)


def _facts_table(caption: str, headings: tuple[str, str], facts: Mapping[str, str]) -> Table:
    return table(caption, headings, facts.items(), texts=(1,))


def _plain(value: object) -> str:
    if value is None:
        return "decided by the run"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _count(value: int | None) -> str:
    return MISSING if value is None else whole(value)


# --- How quiet was it? ---


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _signed(value: float) -> str:
    return f"{value:+.1%}"


def _number(value: float) -> str:
    return significant(value)


# What each observation is, and how its number is written.
_OBSERVATIONS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "drift": ("latency, second half of the run against the first", _signed),
    "round_spread": ("spread of the rounds' medians (standard deviation)", _percent),
    "sample_autocorrelation": (
        "how much neighbouring samples resemble each other (autocorrelation)",
        _number,
    ),
    "round_autocorrelation": (
        "how much neighbouring rounds resemble each other (autocorrelation)",
        _number,
    ),
    "design_effect": ("samples that count for one independent one, at the median", _number),
    "steal_share": ("CPU time that other machines on the host took", _percent),
    "throttled_share": ("blocks in which the CPU quota was used up", _percent),
    "involuntary_switches": ("times that the process had to give up its CPU", _number),
    "major_faults": ("pages that had to be read from disk", _number),
}


def diagnosis_table(report: ReportData) -> Table | None:
    """What was observed about noise, a column for each engine; ``None`` if nothing was."""
    rows = [row for row in report.results if row.status == "ok"]
    if not rows:
        return None
    names = titles(report.results)
    found = [name for name in _OBSERVATIONS if any(name in row.diagnosis for row in rows)]
    found += sorted({name for row in rows for name in row.diagnosis} - set(_OBSERVATIONS))
    observed: list[tuple[str, Callable[[BenchmarkResult], str]]] = [
        (_observation(name), partial(_observed, name=name)) for name in found
    ]
    return _by_engine(
        "What was observed of samples and machine",
        {names[row.label]: row for row in rows},
        [*_COUNTS, *observed],
    )


def _observation(name: str) -> str:
    if name in _OBSERVATIONS:
        return _OBSERVATIONS[name][0]
    pool = name.removeprefix("threads_")
    return f"threads found: {pool}" if pool != name else name.replace("_", " ")


def _observed(row: BenchmarkResult, name: str) -> str:
    value = row.diagnosis.get(name)
    if value is None:
        return MISSING
    return _OBSERVATIONS[name][1](value) if name in _OBSERVATIONS else f"{value:g}"


def _settled(row: BenchmarkResult) -> str:
    return MISSING if row.warm_up_steady is None else "yes" if row.warm_up_steady else "no"


def _effective(row: BenchmarkResult) -> str:
    return MISSING if row.effective_samples is None else whole(round(row.effective_samples))


def _placed(row: BenchmarkResult) -> str:
    placement = row.placement
    if placement is None or placement.share is None:
        return MISSING
    # Rounded down: 99.6 % is not all of it.
    counted = "" if placement.method == "unknown" else f" of the {placement.method}"
    return f"{int(placement.share * 100)} %{counted}"


_COUNTS: Sequence[tuple[str, Callable[[BenchmarkResult], str]]] = (
    ("samples", lambda row: whole(row.num_samples)),
    ("of these, independent (for the median)", _effective),
    ("calls in a sample", lambda row: whole(row.loops)),
    ("rounds", lambda row: _count(row.rounds)),
    ("launches", lambda row: _count(row.launches)),
    ("calls of the warm-up", lambda row: _count(row.warm_up_calls)),
    ("latency had settled by then", _settled),
    ("outliers, mild (none is dropped)", lambda row: whole(row.outliers_mild)),
    ("outliers, severe (none is dropped)", lambda row: whole(row.outliers_severe)),
    ("ran on the device asked for", _placed),
    ("takes part in no verdict because", lambda row: row.withheld or MISSING),
)


def canary_text(canary: ReferenceWorkloadTimes | None) -> str:
    """Say how fast the machine was for work that is the same in every run; empty if unknown."""
    if canary is None or not canary.launch_medians:
        return ""
    medians = ", ".join(duration_text(seconds * 1000) for seconds in canary.launch_medians)
    launches = "in each launch" if len(canary.launch_medians) > 1 else "in the only launch"
    made = f" ({canary.made_with})" if canary.made_with else ""
    return f"The canary, work that is the same in every run{made}, took {medians} {launches}."
