"""Were two runs measured under the same conditions, and how quiet were they?

Where the conditions differ, a ratio would be of two machines or two tasks and
not of two models: it is refused, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult

__all__ = ["QUIET_THRESHOLD", "SHARED_THRESHOLD", "refusals", "row_refusals", "usual_threshold"]

QUIET_THRESHOLD = 0.02
SHARED_THRESHOLD = 0.05

_Fact = tuple[str, object, object]
"""What something is called, and what it was in the base and in the new run."""

_STOLEN = 0.01
"""Share of CPU time taken by other machines from which on a host is not quiet."""


def refusals(base: BenchmarkReport, new: BenchmarkReport) -> tuple[str, ...]:
    """Say why no case of two runs can be compared; empty where they can."""
    here, there = base.environment, new.environment
    return _differences(
        (
            ("model", base.model_name, new.model_name),
            (
                "inputs",
                ", ".join(map(str, base.input_specs)),
                ", ".join(map(str, new.input_specs)),
            ),
            ("CPU", here.cpu_model, there.cpu_model),
            ("kind of machine", here.machine, there.machine),
            ("usable cores", here.cores_usable, there.cores_usable),
            *_canaries(base, new),
        )
    )


def row_refusals(
    base: BenchmarkReport,
    new: BenchmarkReport,
    old_row: BenchmarkResult,
    new_row: BenchmarkResult,
) -> tuple[str, ...]:
    """Say why one case of two runs cannot be compared; empty where it can."""
    facts: list[_Fact] = [
        ("engine", old_row.engine_name, new_row.engine_name),
        ("device", old_row.device_name, new_row.device_name),
        ("threads", old_row.threads, new_row.threads),
        ("precision", old_row.precision, new_row.precision),
        ("element types", old_row.dtype, new_row.dtype),
        ("batch size", old_row.batch_size, new_row.batch_size),
        ("isolation", old_row.isolation, new_row.isolation),
    ]
    if not (old_row.device_name.startswith("cpu") and new_row.device_name.startswith("cpu")):
        here, there = base.environment, new.environment
        facts += [
            ("GPU", ", ".join(here.gpus), ", ".join(there.gpus)),
            ("GPU driver", here.gpu_driver, there.gpu_driver),
        ]
    return _differences(facts)


def usual_threshold(base: BenchmarkReport, new: BenchmarkReport) -> tuple[float, str]:
    """Choose the smallest slowdown that counts where nobody says, and say why.

    Returns
    -------
    tuple of float and str
        2 % for two quiet hosts, otherwise 5 %. A host is quiet when its
        processor says that it is a machine of its own, other machines took at
        most 1 % of it, and no CPU quota ran out.
    """
    for report in (base, new):
        environment = report.environment
        if environment.virtualised != "no":
            what = environment.virtualised or "what it runs on is not known"
            return SHARED_THRESHOLD, f"the host may be shared: {what}"
        for row in report:
            if (row.diagnosis.get("steal_share") or 0.0) > _STOLEN:
                return SHARED_THRESHOLD, "the host was shared: other machines took of its CPU"
            if row.diagnosis.get("throttled_share"):
                return SHARED_THRESHOLD, "the host was shared: the CPU quota ran out"
    return QUIET_THRESHOLD, "both hosts were quiet"


def _canaries(base: BenchmarkReport, new: BenchmarkReport) -> tuple[_Fact, ...]:
    if base.canary is None or new.canary is None:
        return ()  # nothing to divide by: undecided, but not refused
    return (
        ("version of the canary", base.canary.version, new.canary.version),
        ("what the canary runs on", base.canary.made_with, new.canary.made_with),
    )


def _differences(facts: Iterable[_Fact]) -> tuple[str, ...]:
    return tuple(
        f"different {name}: {_shown(old)} in the base, {_shown(new)} in the new run"
        for name, old, new in facts
        if old != new
    )


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
