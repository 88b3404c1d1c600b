"""How does the parent give orders to a worker process?

:class:`WorkerProcess` hosts one object in a process of its own and carries out
its methods there. It knows nothing of engines. Whatever happens to the worker
(a signal, ``os._exit``, a hang, rubbish in place of an answer), the parent gets
a :class:`~lexer_core.errors.WorkerError` that says what it was doing.

The worker is ``python -m lexer_core.worker.main``: the user's
``__main__`` is not imported again, so scripts need no guard and notebooks work.
It ends with its parent, also when that is killed and also while suspended: on
Linux by the parent-death signal, elsewhere when its connection closes or, while
it is busy, by a thread that looks for the parent once a second (a *suspended*
worker off Linux is ended by the system, where that follows POSIX).
"""

from __future__ import annotations

import os
import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from lexer_core.errors import WorkerError
from lexer_core.machine import memory
from lexer_core.worker import supervisor
from lexer_core.worker.connection import Connection, PendingReply
from lexer_core.worker.interpreter import interpreter_environment
from lexer_core.worker.log import LOG_LIMIT_BYTES, WorkerLog
from lexer_core.worker.spawn import release, spawn

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from lexer_core.worker.process_handle import ProcessHandle

__all__ = ["PendingReply", "WorkerProcess", "close_workers"]

_LOOK_SECONDS = 0.25
"""How often a worker's log, and its memory where limited, is looked at."""

_SHORTEST_LOOK_SECONDS = 0.02
_FILL_BYTES_PER_SECOND = 4e9
"""About as fast as a process touches fresh memory: decides when to look again."""

_TERMINATE_SECONDS = 1.0


class WorkerProcess:
    """An object in a process of its own; made by :meth:`start`.

    One thread at a time may use it. As a context manager it is closed at the
    end; when it is dropped or the program ends, its process is killed.

    A suspended worker carries out nothing, and nothing but :meth:`resume` (and
    :meth:`close`) resumes it: :meth:`call` refuses, :meth:`begin` queues.
    """

    def __init__(
        self,
        *,
        label: str,
        child: ProcessHandle,
        connection: socket.socket,
        log: WorkerLog,
        memory_limit_bytes: int | None = None,
    ) -> None:
        self.label = label
        self.memory_limit_bytes = memory_limit_bytes
        self._child = child
        self._log = log
        self._finalizer = weakref.finalize(self, release, child, connection, log)
        self._connection = Connection(label=label, child=child, connection=connection, log=log)
        self._closed = False
        self._leaving = False
        self._peak: int | None = None
        supervisor.watch(self)

    @classmethod
    def start(
        cls,
        factory: str,
        *,
        label: str,
        environment: Mapping[str, str] | None = None,
        cpus: Sequence[int] | None = None,
        memory_limit_bytes: int | None = None,
        python: str = sys.executable,
        sys_path: Sequence[str] | None = None,
        log_path: Path | None = None,
        log_limit_bytes: int = LOG_LIMIT_BYTES,
        preload: Sequence[str] = (),
        own_path: bool = False,
    ) -> WorkerProcess:
        """Start a worker; returns at once, while it starts and imports.

        (Off POSIX it returns when the worker has connected.)

        Parameters
        ----------
        factory
            What makes the hosted object, called without arguments when the
            first method is: ``"package.module:Callable"``.
        label
            Whom the worker is for; errors and ``ps`` show it.
        environment
            Variables on top of the parent's.
        cpus
            The CPUs to run on, pinned before anything is imported; ``None`` for
            the parent's own.
        memory_limit_bytes
            Private memory of the worker (not of programs that it starts) from
            which on it is killed. Supervised, so it may be exceeded for a quarter
            of a second at most.
        python
            The interpreter, 3.11 or later.
        sys_path
            Where the worker looks for modules; ``None`` for the parent's own.
        log_path
            A file for what the worker prints, kept afterwards; ``None`` for one
            without a name, gone with the worker.
        log_limit_bytes
            Length from which on the beginning of the log is dropped.
        preload
            Modules to import meanwhile. One that cannot be imported is left to
            whoever needs it, and is then an error; a note says so.
        own_path
            Whether the interpreter is another one, that finds modules, and
            lexer-core among them, on its own path and not on the parent's.

        Raises
        ------
        WorkerError
            The interpreter could not be started.
        """
        log = WorkerLog(log_path, limit_bytes=log_limit_bytes)
        inherited = interpreter_environment(os.environ) if own_path else os.environ
        variables = {**inherited, **(environment or {})}
        try:
            child, connection = supervisor.start_supervised(
                lambda: spawn(python, label, variables, log, own_path=own_path),
                lambda started: release(*started, log),
            )
        except OSError as error:
            log.close()
            raise WorkerError(
                f"the worker of {label!r} could not be started: {error}",
                hint=f"It is run by {python or 'an interpreter that is not known'}.",
            ) from error
        except BaseException:
            log.close()
            raise
        worker = cls(
            label=label,
            child=child,
            connection=connection,
            log=log,
            memory_limit_bytes=memory_limit_bytes,
        )
        worker._connection.greet(
            {
                "factory": factory,
                "sys_path": None if own_path else list(sys.path if sys_path is None else sys_path),
                "cpus": None if cpus is None else list(cpus),
                "preload": list(preload),
                "python_path": variables.get("PYTHONPATH"),
            }
        )
        return worker

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there and may answer."""
        return not self._closed and not self._child.exited

    @property
    def suspended(self) -> bool:
        """Whether :meth:`suspend` holds it."""
        return self._child.suspended

    @property
    def cpus(self) -> tuple[int, ...] | None:
        """The CPUs that it is pinned to; ``None`` if not, or before :meth:`wait_ready`."""
        return self._connection.cpus

    @property
    def import_seconds(self) -> dict[str, float]:
        """How long each preloaded module took to import, as far as heard."""
        return dict(self._connection.import_seconds)

    @property
    def notes(self) -> tuple[str, ...]:
        """What did not work and does not hinder: pinning, suspending, a preload."""
        return tuple(self._connection.notes)

    @property
    def exit_description(self) -> str:
        """How the process ended, in words; empty while it has not."""
        return self._connection.obituary().reason if self._child.exited else ""

    @property
    def peak_memory_bytes(self) -> int | None:
        """Peak resident memory of the worker itself, in bytes.

        On Linux it is read now, or before the worker's end: when it was last
        asked for, closed, or killed for its memory. Elsewhere it comes with
        every answer. ``None`` while it is not known.
        """
        self._read_peak()
        return self._peak or self._connection.peak_memory_bytes

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Carry out a method of the hosted object and return what it returns.

        Parameters
        ----------
        method
            Its name. None of its own keywords may be called ``timeout``.
        timeout
            Seconds for everything that is to be done before the answer,
            starting and importing included; ``None`` for no limit.

        Raises
        ------
        WorkerError
            As :meth:`PendingReply.result` and :meth:`begin`; also when the
            worker is suspended.
        """
        if self.suspended:
            raise WorkerError(
                f"the worker of {self.label!r} is suspended and cannot carry out {method!r}",
                hint="Resume it first.",
            )
        return self.begin(method, *args, **kwargs).result(timeout)

    def begin(self, method: str, *args: Any, **kwargs: Any) -> PendingReply:
        """Order a method and return at once, so that several workers can be busy.

        Large arrays among the arguments must not be changed before the answer.

        Raises
        ------
        WorkerError
            The worker is closed, or the arguments cannot be sent. That it has
            died is said by :meth:`PendingReply.result`.
        """
        return self._connection.ask(method, args, kwargs)

    def wait_ready(self, timeout: float | None) -> None:
        """Wait until the worker has started and imported its ``preload``.

        Raises
        ------
        WorkerTimeoutError, WorkerDiedError
            It hangs or died meanwhile; the error says in which import.
        """
        self._connection.await_ready(timeout)

    def suspend(self) -> None:
        """Take the worker, and what it started, off the CPUs; returns when it is.

        Waits for a worker that is just starting, until it is certain to end
        with its parent. Where the system does not allow it, nothing happens and
        :attr:`notes` says so.

        Raises
        ------
        WorkerDiedError
            It died while starting.
        """
        while not self._closed and not self._connection.started:
            self._connection.receive(None)
        try:
            self._child.suspend()
        except OSError as error:
            self._connection.note(f"the worker could not be suspended: {error}")

    def resume(self) -> None:
        """Let a suspended worker go on; no effect on any other."""
        try:
            self._child.resume()
        except OSError as error:
            self._connection.note(f"the worker could not be resumed: {error}")

    def log_tail(self, lines: int | None = 20) -> str:
        """Return the last lines that the worker printed, also after its end.

        ``None`` for all that was kept.
        """
        return self._log.tail(lines)

    def close(self, timeout: float = 5.0) -> None:
        """End the worker: politely, then firmly; may be called twice.

        One that waits for orders closes its object (its ``close()``, where it
        has one) and runs its exit handlers. One that is busy is terminated.

        Parameters
        ----------
        timeout
            Seconds that the polite way may take.
        """
        if self._closed:
            return
        self.ask_to_leave()
        if not self._child.wait(timeout if self._leaving else 0.0):
            self._child.terminate("ended by its parent")
            self._child.wait(_TERMINATE_SECONDS)
        self._closed = True
        self._connection.close()
        supervisor.unwatch(self)
        self._finalizer()

    def ask_to_leave(self) -> None:
        """Begin to close: ask a worker that waits for orders to leave, and do not wait."""
        if self._closed or self._leaving:
            return
        self.resume()
        self._read_peak()
        self._connection.take_what_is_there()
        if self._connection.listening:
            self._leaving = True
            self._connection.finish()

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self.exit_description or ("suspended" if self.suspended else "alive")
        return f"<WorkerProcess {self.label!r} pid={self.pid} {state}>"

    def poll(self) -> float:
        """Cut the log, and enforce the memory limit; called by the keeper's thread.

        Returns
        -------
        float
            Seconds after which to look again.
        """
        if self._closed or self._child.exited:
            supervisor.unwatch(self)
            return _LOOK_SECONDS
        self._log.trim(self._child.paused)
        if self.memory_limit_bytes is None or self._child.suspended:
            return _LOOK_SECONDS
        used = memory.private_memory_bytes(self.pid)
        if used is None:
            return _LOOK_SECONDS
        if used > self.memory_limit_bytes:
            self._read_peak()
            self._child.kill(
                f"memory limit exceeded ({_mib(used)} used, {_mib(self.memory_limit_bytes)} "
                "allowed)",
                over_limit=True,
            )
            return _LOOK_SECONDS
        headroom = (self.memory_limit_bytes - used) / _FILL_BYTES_PER_SECOND
        return min(_LOOK_SECONDS, max(_SHORTEST_LOOK_SECONDS, headroom))

    def _read_peak(self) -> None:
        if memory.SEEN_FROM_OUTSIDE and not self._child.exited:
            self._peak = memory.peak_memory_bytes(self.pid) or self._peak


def close_workers(workers: Sequence[WorkerProcess], timeout: float = 5.0) -> None:
    """Close several workers, which leave at the same time.

    Parameters
    ----------
    workers
        Those to close; closed ones are left alone.
    timeout
        Seconds that the polite way may take for all of them.
    """
    deadline = time.monotonic() + timeout
    for worker in workers:
        worker.ask_to_leave()
    for worker in workers:
        worker.close(max(0.0, deadline - time.monotonic()))


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
