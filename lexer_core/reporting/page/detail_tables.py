"""What else does a report contain: output checks, machine, settings, noise?

These tables are complete: they have what the main table has no room for.
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
    whole_text,
)
from lexer_core.reporting.page.parts import Table, table
from lexer_core.reporting.sentences import difference_text, titles
from lexer_core.results.result_records import Environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.result_records import (
        FirstDifference,
        Parity,
        ReferenceWorkloadTimes,
    )

__all__ = [
    "diagnosis_table",
    "engine_table",
    "environment_table",
    "output_table",
    "package_table",
    "parity_table",
    "phase_table",
    "reference_workload_text",
    "settings_table",
]

_Subject = TypeVar("_Subject")


# --- Are the outputs correct? ---


def parity_table(report: ReportData) -> Table | None:
    """Return the errors of each engine's outputs; ``None`` if none were checked."""
    names = titles(report.results)
    judged = {names[row.label]: row.parity for row in report.results if row.parity is not None}
    if not judged:
        return None
    return _by_engine(
        "Outputs of each engine vs. the reference: the worst over all outputs",
        judged,
        _OUTPUT_FACTS,
        words=True,
    )


def _by_engine(
    caption: str,
    subjects: Mapping[str, _Subject],
    facts: Sequence[tuple[str, Callable[[_Subject], str]]],
    *,
    words: bool = False,
) -> Table:
    """Return a table with a column per engine; facts that all engines lack are left out."""
    rows = [(name, *map(text, subjects.values())) for name, text in facts]
    return table(
        caption,
        ("what", *subjects),
        [row for row in rows if any(cell != MISSING for cell in row[1:])],
        texts=range(len(subjects) + 1) if words else (),
    )


_STATUSES = {"pass": "✓ agree", "fail": "✗ differ", "not_judged": "not judged"}

_RULES = {
    "tolerance": "tolerance of the dtype",
    "float64": "rounding error of the reference",
    "precision": "tolerance of the requested precision",
}


def _cosine(value: float | None) -> str:
    return MISSING if value is None else f"{value:.7f}" if math.isfinite(value) else str(value)


def _share(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}" if value in (0, 1) else f"{value:.2%}"


def _first_difference(found: FirstDifference | None) -> str:
    if found is None:
        return MISSING
    if found.module is None:
        return f"unknown: {found.reason}"
    return f"{difference_text(found)}{f'; {found.reason}' if found.reason else ''}"


def _tolerance(parity: Parity) -> str:
    known = {"rtol": parity.rtol, "atol": parity.atol}
    said = [f"{name} {value:g}" for name, value in known.items() if value is not None]
    return ", ".join(said) or MISSING


_OUTPUT_FACTS: Sequence[tuple[str, Callable[[Parity], str]]] = (
    ("outputs", lambda parity: _STATUSES[parity.status]),
    ("reason", lambda parity: parity.reason or MISSING),
    ("first difference", lambda parity: _first_difference(parity.first_difference)),
    ("maximum absolute error", lambda parity: error_text(parity.max_abs_error)),
    ("root mean square error", lambda parity: error_text(parity.rmse)),
    ("cosine", lambda parity: _cosine(parity.cosine)),
    ("elements outside tolerance", lambda parity: _share(parity.mismatched_share)),
    ("tolerance", _tolerance),
    ("rule", lambda parity: _RULES.get(parity.rule, parity.rule) or MISSING),
    ("reference", lambda parity: parity.reference or MISSING),
)


def output_table(report: ReportData) -> Table | None:
    """Return the errors of each output; ``None`` if no output was checked."""
    names = titles(report.results)
    rows = [
        (
            names[row.label],
            each.name,
            "✓ agrees" if each.passed else "✗ differs",
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
        "Each output",
        (
            *("engine", "output", "result", "max error", "RMSE", "cosine"),
            *("elements outside tolerance", "note"),
        ),
        rows,
        texts=(1, 2, 7),
    )


# --- Machine, software, settings. ---

_ENVIRONMENT = {
    "cpu_model": "processor",
    "cores_physical": "cores",
    "cores_logical": "hardware threads",
    "cores_usable": "usable CPUs",
    "memory_bytes": "memory",
    "memory_limit_bytes": "memory limit of the cgroup",
    "virtualised": "virtual machine or container",
    "os": "operating system",
    "machine": "architecture",
    "gpus": "GPUs",
    "gpu_driver": "GPU driver",
    "python": "Python",
    "lexer_version": "lexer-core",
}


def environment_facts(report: ReportData) -> dict[str, str]:
    """Return the known facts about the machine, by name."""
    facts = {}
    for field in attrs.fields(Environment):
        value = getattr(report.environment, field.name)
        if field.name in ("engines", "packages") or value in (None, "", ()):
            continue
        name = _ENVIRONMENT.get(field.name, field.name.replace("_", " "))
        facts[name] = bytes_text(value) if field.name.endswith("_bytes") else _plain(value)
    return facts


def environment_table(report: ReportData) -> Table | None:
    """Return the table of the machine; ``None`` if nothing is known about it."""
    facts = environment_facts(report)
    return _facts_table("Machine", ("what", "value"), facts) if facts else None


def package_table(report: ReportData) -> Table | None:
    """Return the versions of packages; ``None`` if none are known."""
    packages = report.environment.packages
    return _facts_table("Packages", ("package", "version"), packages) if packages else None


def settings_table(report: ReportData) -> Table | None:
    """Return the effective settings; ``None`` if none are known."""
    settings = {name: _plain(value) for name, value in report.settings.items()}
    return _facts_table("Effective settings", ("setting", "value"), settings) if settings else None


def phase_table(report: ReportData) -> Table | None:
    """Return the time of the run by phase; ``None`` if unknown."""
    phases = {
        name.replace("_", " "): duration_text(seconds * 1000)
        for name, seconds in report.seconds.items()
        if seconds is not None
    }
    if not phases:
        return None
    return table("Time of the run by phase", ("phase", "time"), phases.items())


def engine_table(report: ReportData) -> Table | None:
    """Return versions, format and options of each row; ``None`` without rows."""
    if not report.results:
        return None
    names = titles(report.results)
    return _by_engine(
        "Configuration of each row",
        {names[row.label]: row for row in report.results},
        _ROW_FACTS,
        words=True,
    )


_ROW_FACTS: Sequence[tuple[str, Callable[[BenchmarkResult], str]]] = (
    ("engine", lambda row: row.engine),
    ("version", lambda row: row.engine_version or MISSING),
    ("plugin", lambda row: row.engine_distribution or MISSING),
    ("device", lambda row: row.device_name),
    ("threads", lambda row: _count(row.threads)),
    ("batch size", lambda row: _count(row.batch_size)),
    ("input dtypes", lambda row: row.dtype or MISSING),
    ("requested precision", lambda row: row.precision or MISSING),
    ("computed precision", lambda row: row.computed_precision or MISSING),
    ("format", lambda row: row.format or MISSING),
    ("exporter", lambda row: row.exporter or MISSING),
    ("options", lambda row: ", ".join(f"{k}={v}" for k, v in row.options.items()) or MISSING),
    ("process", lambda row: "separate" if row.isolation == "process" else "the caller's"),
)


def _facts_table(caption: str, headings: tuple[str, str], facts: Mapping[str, str]) -> Table:
    return table(caption, headings, facts.items(), texts=(1,))


def _plain(value: object) -> str:
    if value is None:
        return "chosen by the run"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.12g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _count(value: int | None) -> str:
    return MISSING if value is None else whole_text(value)


# --- Noise. ---


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _signed(value: float) -> str:
    return f"{value:+.1%}"


def _number(value: float) -> str:
    return significant(value)


# The name of each observation, and the format of its number.
_OBSERVATIONS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "drift": ("latency, second half of the run vs. the first", _signed),
    "position_effect": ("first sample of a block vs. the others", _signed),
    "round_spread": ("standard deviation of the round medians", _percent),
    "sample_autocorrelation": ("autocorrelation of samples", _number),
    "round_autocorrelation": ("autocorrelation of rounds", _number),
    "design_effect": ("samples per effective sample, for the median", _number),
    "steal_share": ("CPU time stolen by other virtual machines", _percent),
    "throttled_share": ("periods in which the CPU quota was exhausted", _percent),
    "cpu_wait_share": ("time that the calling thread waited for a CPU", _percent),
    "involuntary_switches": ("involuntary context switches", _number),
    "major_faults": ("major page faults", _number),
    "gpu_power_share": ("blocks in which power limited the GPU's clocks", _percent),
    "gpu_heat_share": ("blocks in which heat limited the GPU's clocks", _percent),
}


def diagnosis_table(report: ReportData) -> Table | None:
    """Return what was observed about noise, by engine; ``None`` if nothing was measured."""
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
        "Samples and machine",
        {names[row.label]: row for row in rows},
        [*_COUNTS, *observed],
    )


def _observation(name: str) -> str:
    if name in _OBSERVATIONS:
        return _OBSERVATIONS[name][0]
    pool = name.removeprefix("threads_")
    return f"threads of {pool}" if pool != name else name.replace("_", " ")


def _observed(row: BenchmarkResult, name: str) -> str:
    value = row.diagnosis.get(name)
    if value is None:
        return MISSING
    return _OBSERVATIONS[name][1](value) if name in _OBSERVATIONS else _number(value)


def _settled(row: BenchmarkResult) -> str:
    return MISSING if row.warm_up_steady is None else "yes" if row.warm_up_steady else "no"


def _effective(row: BenchmarkResult) -> str:
    return MISSING if row.effective_samples is None else whole_text(round(row.effective_samples))


def _placed(row: BenchmarkResult) -> str:
    placement = row.placement
    if placement is None or placement.share is None:
        return MISSING
    # Rounded down, because 99.6% is not 100%.
    counted = "" if placement.method == "unknown" else f" of the {placement.method}"
    return f"{int(placement.share * 100)}%{counted}"


_COUNTS: Sequence[tuple[str, Callable[[BenchmarkResult], str]]] = (
    ("samples", lambda row: whole_text(row.num_samples)),
    ("effective samples, for the median", _effective),
    ("calls per sample", lambda row: whole_text(row.loops)),
    ("rounds", lambda row: _count(row.rounds)),
    ("launches", lambda row: _count(row.launches)),
    ("warm-up calls", lambda row: _count(row.warm_up_calls)),
    ("latency steady after warm-up", _settled),
    ("mild outliers (all kept)", lambda row: whole_text(row.outliers_mild)),
    ("severe outliers (all kept)", lambda row: whole_text(row.outliers_severe)),
    ("ran on the requested device", _placed),
    ("excluded from verdicts because", lambda row: row.withheld or MISSING),
)


def reference_workload_text(times: ReferenceWorkloadTimes | None) -> str:
    """Return the times of the reference workload as a sentence; empty if not measured."""
    if times is None or not times.launch_medians:
        return ""
    medians = ", ".join(duration_text(seconds * 1000) for seconds in times.launch_medians)
    launches = "per launch" if len(times.launch_medians) > 1 else "in one launch"
    made = f" ({times.made_with})" if times.made_with else ""
    return f"The reference workload{made}, the same in every run, took {medians} {launches}."
