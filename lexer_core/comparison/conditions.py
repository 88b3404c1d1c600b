"""Were two runs measured under the same conditions, and which slowdown counts?

If conditions differ, a ratio would compare two machines or two tasks instead of
two models. Such cases are refused, with the reason.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lexer_core.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult

__all__ = [
    "QUIET_THRESHOLD",
    "SHARED_THRESHOLD",
    "check_threshold",
    "default_threshold",
    "machine_differences",
    "refusals",
    "row_refusals",
]

QUIET_THRESHOLD = 0.02
SHARED_THRESHOLD = 0.05

_Condition = tuple[str, object, object]
"""A condition's name, and its values in the base and in the new run."""

_QUIET_STEAL_SHARE = 0.01
"""Largest fraction of CPU time that other machines take on a quiet host."""

_QUIET_CPU_WAIT_SHARE = 0.05
"""Largest fraction of their time that calls wait for a CPU on a quiet host."""


def refusals(base: BenchmarkReport, new: BenchmarkReport) -> tuple[str, ...]:
    """Return why no case of two runs is comparable; empty if cases may be."""
    return _differences(
        (
            ("model", base.model_name, new.model_name),
            (
                "inputs",
                ", ".join(map(str, base.input_specs)),
                ", ".join(map(str, new.input_specs)),
            ),
            *_machines(base, new),
        )
    )


def machine_differences(
    base: BenchmarkReport, new: BenchmarkReport, device_name: str
) -> tuple[str, ...]:
    """Return how the machines of two runs differ, for a case on this device; empty if equal."""
    return _differences((*_machines(base, new), *_gpus(base, new, device_name)))


def row_refusals(
    base: BenchmarkReport,
    new: BenchmarkReport,
    old_row: BenchmarkResult,
    new_row: BenchmarkResult,
) -> tuple[str, ...]:
    """Return why one case of two runs is not comparable; empty if it is."""
    conditions: list[_Condition] = [
        ("engine", old_row.engine_name, new_row.engine_name),
        ("device", old_row.device_name, new_row.device_name),
        ("threads", old_row.threads, new_row.threads),
        ("precision", old_row.precision, new_row.precision),
        ("element types", old_row.dtype, new_row.dtype),
        ("batch size", old_row.batch_size, new_row.batch_size),
        ("isolation", old_row.isolation, new_row.isolation),
    ]
    devices = (old_row.device_name, new_row.device_name)
    return _differences([*conditions, *_gpus(base, new, *devices)])


def check_threshold(threshold: float) -> None:
    """Refuse a threshold that is not a positive number.

    Raises
    ------
    SettingError
        It is not.
    """
    if not (threshold > 0.0 and math.isfinite(threshold)):
        raise SettingError(
            f"the threshold must be above 0, not {threshold!r}.", hint="0.05 means 5%."
        )


def default_threshold(base: BenchmarkReport, new: BenchmarkReport) -> tuple[float, str]:
    """Return the smallest slowdown that counts by default, and why.

    Returns
    -------
    tuple of float and str
        2 % if both hosts were quiet, else 5 %. A host is quiet if it is not
        virtualized, other machines took at most 1 % of its CPU time, calls waited for a
        CPU at most 5 % of the time, and no CPU quota ran out.
    """
    for report in (base, new):
        environment = report.environment
        if environment.virtualised != "no":
            reason = environment.virtualised or "unknown whether it is virtualized"
            return SHARED_THRESHOLD, f"the host may be shared: {reason}"
        for row in report:
            if (row.diagnosis.get("steal_share") or 0.0) > _QUIET_STEAL_SHARE:
                return SHARED_THRESHOLD, "the host was shared: other machines used its CPU"
            if (row.diagnosis.get("cpu_wait_share") or 0.0) > _QUIET_CPU_WAIT_SHARE:
                return SHARED_THRESHOLD, "the host was shared: other programs used its CPU"
            if row.diagnosis.get("throttled_share"):
                return SHARED_THRESHOLD, "the host was shared: the CPU quota ran out"
    return QUIET_THRESHOLD, "both hosts were quiet"


def _machines(base: BenchmarkReport, new: BenchmarkReport) -> tuple[_Condition, ...]:
    old_host, new_host = base.environment, new.environment
    return (
        ("CPU", old_host.cpu_model, new_host.cpu_model),
        ("CPU architecture", old_host.machine, new_host.machine),
        ("usable cores", old_host.cores_usable, new_host.cores_usable),
        *_reference_workloads(base, new),
    )


def _gpus(base: BenchmarkReport, new: BenchmarkReport, *devices: str) -> tuple[_Condition, ...]:
    if all(device.startswith("cpu") for device in devices):
        return ()
    old_host, new_host = base.environment, new.environment
    return (
        ("GPU", ", ".join(old_host.gpus), ", ".join(new_host.gpus)),
        ("GPU driver", old_host.gpu_driver, new_host.gpu_driver),
    )


def _reference_workloads(base: BenchmarkReport, new: BenchmarkReport) -> tuple[_Condition, ...]:
    if base.canary is None or new.canary is None:
        return ()  # nothing to divide by: inconclusive, but not refused
    return (
        ("reference workload version", base.canary.version, new.canary.version),
        ("reference workload libraries", base.canary.made_with, new.canary.made_with),
    )


def _differences(conditions: Iterable[_Condition]) -> tuple[str, ...]:
    return tuple(
        f"different {name}: {_shown(old)} in the base, {_shown(new)} in the new run"
        for name, old, new in conditions
        if old != new
    )


def _shown(value: object) -> str:
    if value is None or value == "":
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
