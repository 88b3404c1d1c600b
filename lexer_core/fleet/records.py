"""What is to be measured on which machines, and what is known about a machine?"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.results.attrs_fields import mapping, plain, texts
from lexer_core.results.result_records import Environment  # noqa: TC001  read by validated()

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lexer_core.run_plan import RunPlan

__all__ = [
    "ANY_MACHINE",
    "ConnectedMachine",
    "FleetEvent",
    "FleetPlan",
    "MachineFacts",
    "MachineKind",
    "MeasuredFile",
    "plan_digest",
]


@frozen(kw_only=True)
class MachineKind:
    """Machines that measure with the same settings.

    Parameters
    ----------
    name
        What to call the kind in messages.
    labels
        What a machine must offer: the names of its Dask resources.
    count
        How many machines to wait for and to use. Default: all that are connected.
    price
        What one of them costs per hour, ``"$2.50/h"``; empty if unknown.
    settings
        Settings that differ from those of the runs, such as the device.
    """

    name: str = ""
    labels: tuple[str, ...] = field(default=(), converter=texts)
    count: int | None = None
    price: str = ""
    settings: Mapping[str, object] = mapping()


ANY_MACHINE = MachineKind(name="any machine")
"""The kind of a plan that does not name kinds."""


def _runs(runs: Iterable[RunPlan]) -> tuple[RunPlan, ...]:
    return tuple(runs)


def _kinds(kinds: Iterable[MachineKind]) -> tuple[MachineKind, ...]:
    return tuple(kinds) or (ANY_MACHINE,)


def _path(code: str | Path | None) -> Path | None:
    return None if code is None else Path(code)


@frozen(kw_only=True)
class FleetPlan:
    """What every machine of a fleet measures.

    Parameters
    ----------
    runs
        What to measure; each run has its own name or targets.
    machines
        The kinds of machines. Default: every connected machine measures.
    settings
        Settings of all runs. Those of a run come before them, and those of a kind of
        machines before both.
    code
        The user's code: a folder or a wheel that is sent to every machine. Default: it is
        installed there.
    """

    runs: tuple[RunPlan, ...] = field(converter=_runs)
    machines: tuple[MachineKind, ...] = field(default=(), converter=_kinds)
    settings: Mapping[str, object] = mapping()
    code: Path | None = field(default=None, converter=_path)

    def runs_of(self, kind: MachineKind) -> tuple[RunPlan, ...]:
        """Return the runs of one kind of machines, with all of their settings."""
        defaults = {"seed": 0, "include_model": False, "show_progress": False}
        return tuple(
            attrs.evolve(
                run, settings={**defaults, **self.settings, **run.settings, **kind.settings}
            )
            for run in self.runs
        )


def plan_digest(plan: RunPlan) -> str:
    """Return a digest of everything that a run is asked to measure."""
    text = json.dumps(plain(attrs.evolve(plan, name="")), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _labels(labels: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if labels is None else texts(labels)


@frozen(kw_only=True)
class ConnectedMachine:
    """A machine that can be asked now.

    Parameters
    ----------
    name
        Its name, unique among the connected ones.
    labels
        The labels that it has; ``None`` if it has any that a plan asks for.
    """

    name: str
    labels: tuple[str, ...] | None = field(default=(), converter=_labels)

    def has(self, labels: Iterable[str]) -> bool:
        """Return whether it has all of these labels."""
        return self.labels is None or set(labels) <= set(self.labels)


@frozen(kw_only=True)
class MachineFacts:
    """What a machine says about itself before it measures.

    Parameters
    ----------
    environment
        Its hardware and software.
    problem, hint
        Why it must not measure, and how to fix it; empty if it may.
    finished
        Runs that it has finished and that nobody has fetched.
    code
        Digests of the code that it has.
    """

    environment: Environment
    problem: str = ""
    hint: str = ""
    finished: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


@frozen(kw_only=True)
class MeasuredFile:
    """A ``.lexer`` file on a machine: its size and checksum."""

    size_bytes: int
    sha256: str


@frozen(kw_only=True)
class FleetEvent:
    """What a machine does now.

    Parameters
    ----------
    machine
        Its name; empty for the fleet as a whole.
    state
        ``"waiting"``, ``"checking"``, ``"measuring"``, ``"fetching"``, ``"done"`` (with a
        run), ``"failed"`` (a run) or ``"finished"`` (with everything).
    run
        The run that it is about; may be empty.
    text
        More about it.
    """

    machine: str
    state: str
    run: str = ""
    text: str = ""
