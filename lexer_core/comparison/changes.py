"""What is not the same in two runs?

Weights, code, versions, the machine, settings: what a comparison is for, or
what a reader has to know of it. What would make it meaningless is not here but
in :mod:`lexer_core.comparison.conditions`.
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

__all__ = ["changes_between", "changes_of_case", "model_note"]

_DIGITS = 8
"""Of a digest, as it is shown."""

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
"""Chance, what is refused where it differs, and what becomes of the results."""


def changes_between(base: BenchmarkReport, new: BenchmarkReport) -> tuple[Change, ...]:
    """List what changed between two runs as a whole: the model first."""
    return (
        *_of_model(base.model_fingerprint, new.model_fingerprint),
        *_of_versions(base.environment, new.environment),
        *_of_environment(base.environment, new.environment),
        *_of_settings(base.settings, new.settings),
    )


def changes_of_case(old: BenchmarkResult, new: BenchmarkResult) -> tuple[Change, ...]:
    """List what changed in one case: its engine's options, and the format that it loads."""
    return (
        *_differing("options", old.options, new.options),
        *_differing("options", {"format": old.format}, {"format": new.format}),
    )


def model_note(base: BenchmarkReport, new: BenchmarkReport) -> str:
    """Say what is known of the model beyond its changes; empty where these say it all."""
    old, now = base.model_fingerprint, new.model_fingerprint
    common = [name for name in _KINDS_OF_DIGESTS if name in old and name in now]
    if not common:
        return "whether weights or code changed is not known: a run has no fingerprint of its model"
    if any(old[name] != now[name] for name in _compared(old, now)):
        return ""
    return f"the model is the same in both runs, by its {' and '.join(_compared(old, now))}"


def _compared(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """Name the digests that say something: the traced graph knows better than the modules."""
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
    # A runtime is an engine and a package, and both would say the same.
    shown = {
        (before, after)
        for name in old.engines
        if (before := old.engines[name]) != (after := new.engines.get(name, ""))
    }
    for change in _differing("versions", old.packages, new.packages):
        if (change.base, change.new) not in shown:
            yield change


def _of_environment(old: Environment, new: Environment) -> Iterator[Change]:
    return _differing("environment", _facts(old), _facts(new))


def _facts(environment: Environment) -> dict[str, object]:
    return {
        "operating system": environment.os,
        "virtualisation": environment.virtualised,
        "physical cores": environment.cores_physical,
        "logical cores": environment.cores_logical,
        # As text: the last megabytes differ from boot to boot.
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
