"""With how many instances and threads is each engine tested?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.benchmark.cases import Case, CaseSelection
    from lexer_core.errors import LexerError
    from lexer_core.records import Concurrency

__all__ = ["Setup", "combined", "refusal_of", "spread"]

_MOST_IN_BATCH = 4096
_UNDECLARED = (
    "its engine does not declare that sessions can be called from several threads at the same time"
)


@frozen(kw_only=True)
class Setup:
    """How one configuration serves requests.

    Parameters
    ----------
    instances
        Threads that serve requests, each with one call at a time.
    threads
        Threads of each call.
    shared_session
        Whether all instances use one session.
    batch
        Requests in the largest batch; 1 without batches.
    """

    instances: int
    threads: int
    shared_session: bool = False
    batch: int = 1

    def __str__(self) -> str:
        shared = ",shared" if self.shared_session else ""
        return f"instances={self.instances},threads={self.threads}{shared}"


def combined(
    instances: Sequence[int],
    threads: Sequence[int],
    cores: int,
    *,
    shared_session: bool = False,
    batch: int = 1,
) -> tuple[Setup, ...]:
    """Return the setups that a user asked for, as far as they fit on the cores.

    Parameters
    ----------
    instances, threads
        Their numbers. Without both: one instance with all cores, and as many instances as
        cores with one thread each. Without one of them: as many as the other one leaves.
    cores
        Cores that can be used.
    shared_session
        Whether the instances of each setup share a session.
    batch
        Requests in the largest batch.

    Raises
    ------
    UsageError
        A number is below 1 or given twice, or nothing fits on the cores.
    """
    for name, numbers in (("instances", instances), ("threads", threads)):
        if any(number < 1 for number in numbers) or len(set(numbers)) < len(numbers):
            shown = ",".join(map(str, numbers))
            raise UsageError(
                f"--{name} {shown}: numbers are at least 1, and different.",
                hint=f"Write, for example, --{name} 1,2.",
            )
    if not 1 <= batch <= _MOST_IN_BATCH:
        raise UsageError(f"batches have 1 to {_MOST_IN_BATCH} requests, not {batch}.")
    if instances and threads:
        pairs = [(each, per_call) for each in instances for per_call in threads]
    elif instances:
        pairs = [(each, max(1, cores // each)) for each in instances]
    elif threads:
        pairs = [(max(1, cores // per_call), per_call) for per_call in threads]
    else:
        pairs = list(dict.fromkeys([(1, cores), (cores, 1)]))
    fitting = [pair for pair in pairs if pair[0] * pair[1] <= cores]
    if not fitting:
        least = min(first * second for first, second in pairs)
        raise UsageError(
            f"instances × threads would be {least} at least; {cores} cores can be used.",
            hint="More threads than cores would wait for each other instead of for requests.",
        )
    return tuple(
        Setup(
            instances=first,
            threads=second,
            shared_session=shared_session and first > 1,
            batch=batch,
        )
        for first, second in fitting
    )


def spread(
    selection: CaseSelection, setups: Sequence[Setup], *, asked: bool
) -> tuple[CaseSelection, dict[str, Setup]]:
    """Return a case for each engine and setup, and the setups by label.

    Parameters
    ----------
    selection
        One case for each engine.
    setups
        The setups.
    asked
        Whether the user asked for these setups: an engine that cannot have one of them has
        a row that says so. Otherwise it is left out.
    """
    cases: list[Case] = []
    failures: list[tuple[Case, LexerError]] = list(selection.failures)
    by_label: dict[str, Setup] = {}
    notes = list(selection.notes)
    for case in selection.cases:
        engine = case.remote_engine or selection.engines[case.engine]
        for setup in setups:
            labelled = attrs.evolve(case, label=_labelled(case.label, setup), threads=setup.threads)
            refusal = refusal_of(engine.info.concurrency, case.device, setup)
            if not refusal:
                cases.append(labelled)
                by_label[labelled.label] = setup
            elif asked:
                failures.append((labelled, UnsupportedError(f"{refusal}.", engine=case.engine)))
            else:
                notes.append(f"{case.label} was not tested with {setup}: {refusal}")
    return (
        attrs.evolve(selection, cases=tuple(cases), failures=tuple(failures), notes=tuple(notes)),
        by_label,
    )


def _labelled(label: str, setup: Setup) -> str:
    """Add the setup to a label, which may have options in brackets already."""
    return f"{label[:-1]},{setup}]" if label.endswith("]") else f"{label}[{setup}]"


def refusal_of(concurrency: Concurrency, device: str, setup: Setup) -> str:
    """Return why an engine cannot have a setup; empty if it can."""
    if setup.instances == 1:
        return ""
    if concurrency == "none":
        return _UNDECLARED
    if setup.shared_session and concurrency != "shared":
        return "its engine does not declare that threads can share a session"
    if setup.shared_session and device.strip().lower() not in ("", "cpu"):
        return (
            "a session that is shared cannot say when the calls of one thread have completed "
            f"on {device}"
        )
    return ""
