"""In which process does an object run, and how are its methods called?

:class:`LocalExecutor` hosts it in the caller's process,
:class:`~lexer_core.worker.process.WorkerProcess` in a separate one. Both have the
same interface, so the code that runs a benchmark need not know the difference.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from lexer_core.errors import LexerError, WorkerError, text_of
from lexer_core.machine.affinity import cpu_set, thread_environment
from lexer_core.worker.early import early_worker, take_early_worker
from lexer_core.worker.process import WorkerProcess
from lexer_core.worker.telemetry import without_telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lexer_core.temporary_folders import TemporaryFolder

__all__ = ["Executor", "LocalExecutor", "start_early", "start_worker"]


class Executor(Protocol):
    """Hosts an object and calls its methods."""

    @property
    def isolated(self) -> bool:
        """Whether the object has a separate process."""

    @property
    def peak_memory_bytes(self) -> int | None:
        """Peak resident memory of that process, if known."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Problems of that process that do not prevent it from working."""

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Call a method; ``timeout`` in seconds, if it can be enforced."""

    def suspend(self) -> None:
        """Stop the process until it is resumed."""

    def resume(self) -> None:
        """Continue the process."""

    def log_tail(self, lines: int | None = 20) -> str:
        """Return the last lines of the process's output; ``None``: all that was kept."""

    def close(self) -> None:
        """End the process; may be called twice."""


class LocalExecutor:
    """An object in the caller's process.

    Time limits are not enforced, a native crash ends the caller, and the object's
    memory is not known.
    """

    isolated = False
    peak_memory_bytes: int | None = None
    notes: tuple[str, ...] = ()

    def __init__(self, hosted: object) -> None:
        self._hosted = hosted

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Call a method; any exception but a ``LexerError`` becomes a :class:`WorkerError`."""
        del timeout  # a call in the same process cannot be interrupted safely
        try:
            return getattr(self._hosted, method)(*args, **kwargs)
        except (LexerError, KeyboardInterrupt):
            raise
        except BaseException as error:  # including SystemExit, as in a worker
            raise WorkerError(f"{type(error).__name__}: {text_of(error)}") from error

    def suspend(self) -> None:
        """Do nothing: the caller cannot suspend itself."""

    def resume(self) -> None:
        """Do nothing: the caller cannot suspend itself."""

    def log_tail(self, lines: int | None = 20) -> str:
        """Return nothing: the output goes where the caller's goes."""
        del lines
        return ""

    def close(self) -> None:
        """Close the hosted object, if it has a ``close()`` method."""
        close = getattr(self._hosted, "close", None)
        if close is not None:
            close()


def start_worker(
    factory: str,
    *,
    label: str,
    threads: int,
    cpus: int | None = None,
    memory_limit_bytes: int | None = None,
    preload: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    pinned: bool = True,
    sys_path: Sequence[str] | None = None,
    python: str | None = None,
    initializer: tuple[str, object] | None = None,
    hosted: type | None = None,
    temporary: TemporaryFolder | None = None,
) -> WorkerProcess:
    """Start a worker with a number of threads; see :meth:`WorkerProcess.start`.

    Parameters
    ----------
    threads
        Threads that a call may use: set in the environment before any runtime is
        imported.
    cpus
        The number of CPUs that the worker is pinned to. Default: one for each thread.
    pinned
        Whether to pin the worker. All workers with the same number of threads get
        the same CPUs.
    """
    variables = {**without_telemetry(), **thread_environment(threads), **(environment or {})}
    early = None
    if not pinned and python is None and temporary is None:
        early = take_early_worker(label, variables)
    worker = early or WorkerProcess.spawn(
        label, environment=variables, python=python, temporary=temporary
    )
    worker.set_up(
        factory,
        cpus=cpu_set(cpus or threads) if pinned else None,
        memory_limit_bytes=memory_limit_bytes,
        preload=preload,
        sys_path=sys_path,
        initializer=initializer,
        hosted=hosted,
    )
    return worker


@contextmanager
def start_early(label: str, *, threads: int, preload: Sequence[str]) -> Iterator[None]:
    """Start a worker that :func:`start_worker` takes, if it is asked for one like it.

    In the ``with`` block, it imports modules meanwhile; see :mod:`lexer_core.worker.early`.

    Parameters
    ----------
    label, threads, preload
        As in :func:`start_worker`; not pinned.
    """
    variables = {**without_telemetry(), **thread_environment(threads)}
    with early_worker(label, environment=variables, preload=preload):
        yield
