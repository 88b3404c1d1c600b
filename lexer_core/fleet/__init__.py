"""How is a plan measured on many machines?

:func:`run` sends a plan to the workers of a Dask scheduler, or measures it on this machine,
and puts what comes back into one file of merged runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.fleet.addresses import check_address
from lexer_core.fleet.dask_executor import DaskExecutor
from lexer_core.fleet.plan_file import read_plan
from lexer_core.fleet.records import FleetEvent, FleetPlan, MachineKind
from lexer_core.fleet.run import FleetOutcome, execute_fleet
from lexer_core.fleet.this_machine import THIS_MACHINE, ThisMachine
from lexer_core.run_plan import RunPlan

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from lexer_core.fleet.executor import Executor

__all__ = [
    "FleetEvent",
    "FleetOutcome",
    "FleetPlan",
    "MachineKind",
    "RunPlan",
    "read_plan",
    "run",
]


def run(
    plan: FleetPlan | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    scheduler: str = THIS_MACHINE,
    tls_ca_file: str | None = None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    insecure: bool = False,
    wait: float = 60.0,
    notify: Callable[[FleetEvent], object] | None = None,
) -> FleetOutcome:
    """Measure a plan on many machines, and merge the runs into one file.

    What the file has already is not measured again, so that a call that was interrupted,
    or in which a machine failed, can be repeated.

    Parameters
    ----------
    plan
        A plan, or the file of one.
    output
        The ``.lexer`` file to write.
    scheduler
        The address of a Dask scheduler, ``"tls://HEAD:8786"``, or ``"this-machine"`` to
        measure here without a network.
    tls_ca_file, tls_cert, tls_key
        Files of certificates that both sides prove themselves with.
    insecure
        Whether to use plain TCP to another machine.
    wait
        How long to wait for machines, in seconds.
    notify
        Called with what machines do.

    Returns
    -------
    FleetOutcome
        ``merged`` has all runs, ``failed`` says what machines could not measure.

    Raises
    ------
    UsageError
        The plan, the address or the file is wrong, or no machine has a label.
    FleetError
        The scheduler cannot be reached.
    MissingPackageError
        The extra ``lexer-core[fleet]`` is not installed.

    Examples
    --------
    ::

        from lexer_core import fleet

        outcome = fleet.run("plan.toml", "fleet.lexer")
        print(outcome.merged)
        for each in outcome.failed:
            print(each.machine, each.reason)
    """
    checked = plan if isinstance(plan, FleetPlan) else read_plan(plan)
    executor = choose_executor(
        scheduler, tls_ca_file=tls_ca_file, tls_cert=tls_cert, tls_key=tls_key, insecure=insecure
    )
    return execute_fleet(checked, executor, Path(output), wait=wait, notify=notify)


def choose_executor(
    scheduler: str,
    *,
    tls_ca_file: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    insecure: bool,
) -> Executor:
    """Return what reaches the machines; parameters as for :func:`run`."""
    if scheduler == THIS_MACHINE:
        return ThisMachine()
    address = check_address(
        scheduler, tls_ca_file=tls_ca_file, tls_cert=tls_cert, tls_key=tls_key, insecure=insecure
    )
    return DaskExecutor(address)
