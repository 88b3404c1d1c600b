"""Which runs are from the same machine, and what is it called?

A run records the hardware but not the name of the host, which stays private. So a
machine has the name that the user gives it, or that of its hardware.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import bytes_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import Environment

__all__ = ["NamedMachines", "hardware_text", "name_machines", "other_hardware", "same_hardware"]

_SAME_MEMORY = 0.05
"""The kernel reserves a little of the memory, and not always as much."""

_NOT_A_MODEL = {"", "arm", "arm64", "aarch64", "i386", "x86_64"}
_NOISE_IN_NAMES = re.compile(
    r"\((R|TM|C)\)|\b(CPU|Processor)\b|@.*|\b\d+-Core\b|\bw(ith|/) .*", re.IGNORECASE
)
_LONGEST = 60


@frozen(kw_only=True)
class NamedMachines:
    """The machine of each run, by position, and notes on names that were not unique."""

    names: tuple[str, ...]
    notes: tuple[str, ...]


def name_machines(
    environments: Sequence[Environment], labels: Sequence[str], runs: Sequence[str]
) -> NamedMachines:
    """Assign each run to a machine.

    Parameters
    ----------
    environments
        Of the runs.
    labels
        What the user calls the machine of each run; empty without a name.
    runs
        Names of the runs, by which a machine is called if its hardware is unknown.

    Notes
    -----
    Two runs are of one machine if its name and its hardware are the same. So two
    machines of one name but other hardware are two, and equal machines that the user did
    not name are one: no record tells them apart.
    """
    found: dict[str, Environment] = {}
    clashes: dict[str, list[str]] = {}
    names = []
    for environment, label, run in zip(environments, labels, runs, strict=True):
        wanted = label or (_short_name(environment) if _knows_cpu(environment) else run)
        candidate, at = wanted, 1
        while candidate in found and not _one_machine(found[candidate], environment):
            at += 1
            candidate = f"{wanted} ({at})"
        if candidate not in found and at > 1:
            clashes.setdefault(wanted, [wanted]).append(candidate)
        found.setdefault(candidate, environment)
        names.append(candidate)
    notes = tuple(
        f"the name {name!r} was used for different hardware: "
        + "; ".join(f"{each} is {hardware_text(found[each])}" for each in each_name)
        for name, each_name in clashes.items()
    )
    return NamedMachines(names=tuple(names), notes=notes)


def hardware_text(environment: Environment) -> str:
    """Return the hardware in words: ``"AMD EPYC 7R13, 4 cores, 15 GiB"``."""
    memory = environment.memory_bytes
    parts = (
        _cpu_name(environment) if _knows_cpu(environment) else "unknown CPU",
        _cores_text(environment),
        bytes_text(memory) if memory else "",
        *_gpu_names(environment),
    )
    return ", ".join(part for part in parts if part)


def same_hardware(one: Environment, other: Environment) -> bool:
    """Return whether two machines are known to have equal hardware."""
    return _knows_cpu(one) and _knows_cpu(other) and _one_machine(one, other)


def other_hardware(one: Environment, other: Environment) -> bool:
    """Return whether two machines are known to have different hardware."""
    return _knows_cpu(one) and _knows_cpu(other) and not _one_machine(one, other)


def _one_machine(one: Environment, other: Environment) -> bool:
    return _identity(one) == _identity(other) and _alike(one.memory_bytes, other.memory_bytes)


def _identity(environment: Environment) -> tuple[object, ...]:
    return (
        environment.cpu_model,
        environment.machine,
        environment.cores_usable,
        environment.gpus,
    )


def _alike(one: int | None, other: int | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= _SAME_MEMORY * max(one, other)


def _knows_cpu(environment: Environment) -> bool:
    return environment.cpu_model not in {*_NOT_A_MODEL, environment.machine}


def _short_name(environment: Environment) -> str:
    cores = environment.cores_usable
    processor = (
        _cpu_name(environment) if cores is None else f"{cores:g}-core {_cpu_name(environment)}"
    )
    # Without commas, because names are listed.
    return " + ".join((processor, *_gpu_names(environment)))[:_LONGEST].rstrip(" +")


def _cpu_name(environment: Environment) -> str:
    shown = "".join(sign if sign.isprintable() else " " for sign in environment.cpu_model)
    return " ".join(_NOISE_IN_NAMES.sub(" ", shown).split()) or " ".join(shown.split())


def _cores_text(environment: Environment) -> str:
    cores = environment.cores_usable
    if cores is None:
        return ""
    return f"{cores:g} {'core' if cores == 1 else 'cores'}"


def _gpu_names(environment: Environment) -> list[str]:
    counts: Mapping[str, int] = {name: environment.gpus.count(name) for name in environment.gpus}
    return [name if count == 1 else f"{count}x {name}" for name, count in counts.items()]
