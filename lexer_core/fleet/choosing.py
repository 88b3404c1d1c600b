"""Which of the connected machines measure, and what if there are too few?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lexer_core.errors import UsageError
from lexer_core.fleet.machine import WORKER_COMMAND
from lexer_core.fleet.records import FleetEvent
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lexer_core.fleet.executor import Executor
    from lexer_core.fleet.records import ConnectedMachine, FleetPlan, MachineKind

__all__ = ["wait_for_machines"]

_SECONDS_BETWEEN_LOOKS_FOR_MACHINES = 1.0


def wait_for_machines(
    plan: FleetPlan,
    executor: Executor,
    wait: float,
    notify: Callable[[FleetEvent], object],
) -> list[tuple[ConnectedMachine, tuple[int, ...]]]:
    """Return the machines that measure, with the numbers of their kinds, when there are enough.

    Parameters
    ----------
    plan
        Its kinds say which labels a machine must have, and how many are needed.
    executor
        Lists the machines.
    wait
        How long to wait, in seconds.
    notify
        Called with what is missing.

    Raises
    ------
    UsageError
        There are too few machines of a kind.
    """
    deadline = time.monotonic() + wait
    while True:
        connected = executor.machines()
        fitting = [
            [machine for machine in connected if machine.has(kind.labels)] for kind in plan.machines
        ]
        missing = [
            kind
            for kind, machines in zip(plan.machines, fitting, strict=True)
            if len(machines) < (kind.count or 1)
        ]
        if not missing:
            break
        if time.monotonic() >= deadline:
            raise _too_few(missing[0], connected, wait)
        notify(FleetEvent(machine="", state="waiting", text=_what_is_missing(missing)))
        time.sleep(min(_SECONDS_BETWEEN_LOOKS_FOR_MACHINES, max(0.0, deadline - time.monotonic())))
    kinds_of: dict[str, list[int]] = {}
    for number, (kind, machines) in enumerate(zip(plan.machines, fitting, strict=True)):
        for machine in machines[: kind.count]:
            kinds_of.setdefault(machine.name, []).append(number)
    return [
        (machine, tuple(kinds_of[machine.name]))
        for machine in connected
        if machine.name in kinds_of
    ]


def _what_is_missing(kinds: Sequence[MachineKind]) -> str:
    return ", ".join(
        kind.name if kind.count is None else f"{kind.count} of {kind.name}" for kind in kinds
    )


def _too_few(kind: MachineKind, connected: Sequence[ConnectedMachine], wait: float) -> UsageError:
    if not connected:
        return UsageError(
            f"no machine connected within {wait:g} s.",
            hint=f"Start a worker on each machine: {WORKER_COMMAND}\nWait longer: --wait 600",
        )
    labels = sorted({label for machine in connected for label in machine.labels or ()})
    shown = ", ".join(
        f"{machine.name} ({', '.join(machine.labels or ()) or 'no labels'})"
        for machine in connected[:20]
    )
    unknown = [label for label in kind.labels if label not in labels]
    if unknown:
        return UsageError(
            f"no machine has the label {unknown[0]!r}, which {kind.name!r} needs.",
            hint=f"Labels: {', '.join(labels) or 'none'}.{did_you_mean(unknown[0], labels)}\n"
            f"Connected: {shown}.\n"
            f'To give a machine the label, start its worker with --resources "machine=1 '
            f'{unknown[0]}=1".\nWait longer: --wait 600',
        )
    return UsageError(
        f"{kind.name!r} needs {kind.count or 1} machines with the labels "
        f"{', '.join(kind.labels) or '(none)'}, and "
        f"{sum(machine.has(kind.labels) for machine in connected)} are connected.",
        hint=f"Connected: {shown}.\nWait longer: --wait 600",
    )
