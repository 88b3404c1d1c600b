"""What changed between two runs?

Weights, code, versions, the machine, settings. Differences that rule a
comparison out are in :mod:`lexer_core.comparison.conditions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.comparison.records import Change, ChangeKind
from lexer_core.reporting.numbers import bytes_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.result_records import Environment

__all__ = ["changes_between", "changes_of_case", "model_note", "wrong_base"]

_DIGITS = 8
"""Digits of a digest to show."""

_KINDS_OF_DIGESTS: Mapping[str, ChangeKind] = {
    "weights": "weights",
    "constants": "weights",
    "graph": "code",
    "modules": "code",
    "file": "code",
}

_NOT_SETTINGS = (
    *("seed", "threads", "isolation"),
    *("print_report", "include_model", "include_csv"),
)
"""Settings not worth listing: random, refused if they differ, or about output only."""


def changes_between(base: BenchmarkReport, new: BenchmarkReport) -> tuple[Change, ...]:
    """Return what changed between two runs as a whole, the model first."""
    return (
        *_of_model(base.model_fingerprint, new.model_fingerprint),
        *_of_versions(base.environment, new.environment),
        *_of_environment(base.environment, new.environment),
        *_of_settings(base.settings, new.settings),
    )


def changes_of_case(old: BenchmarkResult, new: BenchmarkResult) -> tuple[Change, ...]:
    """Return what changed in one case: the engine's options and the model format."""
    return (
        *_differing("options", old.options, new.options),
        *_differing("options", {"format": old.format}, {"format": new.format}),
    )


def model_note(base: BenchmarkReport, new: BenchmarkReport) -> str:
    """Return a note for a model that did not change or may have; empty if changes are listed."""
    old, now = base.model_fingerprint, new.model_fingerprint
    common = [name for name in _KINDS_OF_DIGESTS if name in old and name in now]
    if not common:
        return "unknown whether weights or code changed: a run has no fingerprint of its model"
    if any(old[name] != now[name] for name in _compared(old, now)):
        return ""
    return f"the model is the same in both runs (same {' and '.join(_compared(old, now))})"


def wrong_base(base: BenchmarkReport, target: Mapping[str, str], new: BenchmarkReport) -> str:
    """Return why the base's TARGET must be the new model instead of the base's; empty if not.

    Parameters
    ----------
    base
        The saved base.
    target
        The digests of the base's TARGET.
    new
        The rows of the new model, measured in the same run.
    """
    if _differing_parts(target, new.model_fingerprint) != []:
        return ""
    differing = _differing_parts(base.model_fingerprint, target)
    if differing and not _same_versions(base.environment, new.environment):
        # Digests of code depend on them.
        differing = [name for name in differing if _KINDS_OF_DIGESTS[name] == "weights"]
    if not differing:
        return ""
    kinds = dict.fromkeys(_KINDS_OF_DIGESTS[name] for name in differing)
    return (
        "the base's TARGET is the new model (same weights and code), but the base was measured "
        f"with other {' and '.join(kinds)}"
    )


def _differing_parts(one: Mapping[str, str], other: Mapping[str, str]) -> list[str] | None:
    """Return the names of different digests; ``None`` if there are none to compare."""
    common = _compared(one, other)
    return [name for name in common if one[name] != other[name]] if common else None


def _same_versions(old: Environment, new: Environment) -> bool:
    return old.python == new.python and old.engines == new.engines


def _compared(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Return the digests to compare: the traced graph is more precise than the modules."""
    common = [name for name in _KINDS_OF_DIGESTS if name in old and name in new]
    return [name for name in common if not (name == "modules" and "graph" in common)]


def _of_model(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for name in _compared(old, new):
        if old[name] != new[name]:
            yield Change(
                kind=_KINDS_OF_DIGESTS[name],
                name=name,
                base=old[name][:_DIGITS],
                new=new[name][:_DIGITS],
            )


def _of_versions(old: Environment, new: Environment) -> Iterator[Change]:
    yield from _differing("versions", {"Python": old.python}, {"Python": new.python})
    yield from _differing("versions", old.engines, new.engines)
    # A runtime is both an engine and a package: list its change once.
    listed = {
        (before, after)
        for name in old.engines
        if (before := old.engines[name]) != (after := new.engines.get(name, ""))
    }
    for change in _differing("versions", old.packages, new.packages):
        if (change.base, change.new) not in listed:
            yield change


def _of_environment(old: Environment, new: Environment) -> Iterator[Change]:
    return _differing("environment", _hardware_and_os(old), _hardware_and_os(new))


def _hardware_and_os(environment: Environment) -> dict[str, object]:
    return {
        "operating system": environment.os,
        "virtualization": environment.virtualised,
        "physical cores": environment.cores_physical,
        "logical cores": environment.cores_logical,
        # Rounded: the last megabytes vary from boot to boot.
        "memory": bytes_text(environment.memory_bytes),
        "memory limit": bytes_text(environment.memory_limit_bytes),
        "GPUs": ", ".join(environment.gpus),
        "GPU driver": environment.gpu_driver,
    }


def _of_settings(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    for change in _differing("settings", old, new):
        if change.name not in _NOT_SETTINGS:
            yield change


def _differing(
    kind: ChangeKind, old: Mapping[str, object], new: Mapping[str, object]
) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield Change(kind=kind, name=name, base=_text(before), new=_text(after))


def _text(value: object) -> str:
    return "" if value is None else str(value)
