"""Can a worker start before it is known what it is for?

Importing a framework takes seconds. A command that will need a worker for it starts
the worker before it loads the user's model, so that both import it at the same time.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.errors import LexerError
from lexer_core.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["early_worker", "take_early_worker"]


@frozen
class _Waiting:
    worker: WorkerProcess
    inherited: Mapping[str, str]
    environment: Mapping[str, str]


_waiting: list[_Waiting] = []


@contextmanager
def early_worker(
    label: str, *, environment: Mapping[str, str], preload: Sequence[str]
) -> Iterator[None]:
    """Start a worker that imports modules and then waits; end it if nobody takes it.

    Parameters
    ----------
    label, environment
        As :func:`take_early_worker` will be asked for them.
    preload
        The modules to import.
    """
    try:
        worker = WorkerProcess.spawn(label, environment=environment)
    except LexerError:
        # The command goes on without, and says so if it cannot start one later either.
        yield
        return
    worker.set_up("", preload=preload)
    waiting = _Waiting(worker, dict(os.environ), dict(environment))
    _waiting.append(waiting)
    try:
        yield
    finally:
        if waiting in _waiting:
            _waiting.remove(waiting)
            worker.close()


def take_early_worker(label: str, environment: Mapping[str, str]) -> WorkerProcess | None:
    """Return a waiting worker for :meth:`WorkerProcess.set_up`, if one fits.

    Parameters
    ----------
    label
        The label that it must have.
    environment
        The environment variables that it must have got. Those of this process must not have
        changed since, either, as the user's model may change some when it is loaded.
    """
    for waiting in _waiting:
        fits = waiting.worker.label == label and waiting.environment == dict(environment)
        if fits and waiting.inherited == dict(os.environ) and waiting.worker.alive:
            _waiting.remove(waiting)
            return waiting.worker
    return None
