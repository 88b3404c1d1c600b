"""In which process does an object live, and how is it given orders?

:class:`LocalExecutor` hosts it in the caller's process, with the interface of
:class:`~lexer_core.worker.process.WorkerProcess`, so that what runs a
benchmark need not know the difference.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from lexer_core.errors import LexerError, WorkerError
from lexer_core.machine.affinity import cpu_set, thread_environment
from lexer_core.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Executor", "LocalExecutor", "start_worker"]


class Executor(Protocol):
    """Something that hosts an object and carries out its methods."""

    @property
    def isolated(self) -> bool:
        """Whether the object has a process for itself."""

    @property
    def peak_memory_bytes(self) -> int | None:
        """Peak resident memory of that process, where it can be told apart."""

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Carry out a method; ``timeout`` in seconds, where it can be enforced."""

    def suspend(self) -> None:
        """Take the process off the processors until it is resumed."""

    def resume(self) -> None:
        """Let the process go on."""

    def log_tail(self, lines: int | None = 20) -> str:
        """Return the last lines that the process printed; ``None``: all that was kept."""

    def close(self) -> None:
        """End the process; may be called twice."""


class LocalExecutor:
    """An object in the caller's own process.

    Time limits cannot be enforced here, a native crash ends the caller, and
    memory cannot be told apart from the caller's.
    """

    isolated = False
    peak_memory_bytes: int | None = None

    def __init__(self, hosted: object) -> None:
        self._hosted = hosted

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Carry out a method; errors that are not Lexer's become :class:`WorkerError`."""
        del timeout  # nothing in one's own process can be interrupted safely
        try:
            return getattr(self._hosted, method)(*args, **kwargs)
        except LexerError:
            raise
        except Exception as error:
            raise WorkerError(f"{type(error).__name__}: {error}") from error

    def suspend(self) -> None:
        """Do nothing: the caller cannot suspend itself."""

    def resume(self) -> None:
        """Do nothing: the caller cannot suspend itself."""

    def log_tail(self, lines: int | None = 20) -> str:
        """Return nothing: what is printed goes where the caller prints."""
        del lines
        return ""

    def close(self) -> None:
        """Close the hosted object."""
        close = getattr(self._hosted, "close", None)
        if close is not None:
            close()


class WorkerExecutor:
    """An object in a worker process of its own."""

    isolated = True

    def __init__(self, worker: WorkerProcess) -> None:
        self._worker = worker

    @property
    def peak_memory_bytes(self) -> int | None:
        """Peak resident memory of the worker."""
        return self._worker.peak_memory_bytes

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Carry out a method in the worker."""
        return self._worker.call(method, *args, timeout=timeout, **kwargs)

    def suspend(self) -> None:
        """Suspend the worker."""
        self._worker.suspend()

    def resume(self) -> None:
        """Resume the worker."""
        self._worker.resume()

    def log_tail(self, lines: int | None = 20) -> str:
        """Return the end of the worker's log."""
        return self._worker.log_tail(lines)

    def close(self) -> None:
        """End the worker."""
        self._worker.close()


def start_worker(
    factory: str,
    *,
    label: str,
    threads: int,
    memory_limit_bytes: int | None = None,
    preload: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    pinned: bool = True,
    sys_path: Sequence[str] | None = None,
    python: str | None = None,
) -> WorkerExecutor:
    """Start a worker process; returns at once, while it still imports.

    Parameters
    ----------
    factory
        What makes the hosted object: ``"package.module:Callable"``.
    label
        Whom the worker is for, as errors should call it.
    threads
        Threads that a call may use: set in the environment before any runtime
        is imported, and the number of CPUs that the worker is pinned to.
    memory_limit_bytes
        Memory that the worker may use.
    preload
        Modules to import in the meantime.
    environment
        Further environment variables.
    pinned
        Whether to pin the worker to its set of CPUs, the same for every worker.
    sys_path
        Where the worker looks for modules; ``None`` for the parent's own.
    python
        Another interpreter, which looks for modules on its own path; ``None``
        for the parent's.
    """
    worker = WorkerProcess.start(
        factory,
        label=label,
        environment={**thread_environment(threads), **(environment or {})},
        cpus=cpu_set(threads) if pinned else None,
        memory_limit_bytes=memory_limit_bytes,
        preload=tuple(preload),
        sys_path=sys_path,
        python=python or sys.executable,
        own_path=python is not None,
    )
    return WorkerExecutor(worker)
