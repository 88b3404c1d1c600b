"""How does the parent start, call and end a worker process?

:class:`WorkerProcess` hosts one object in a separate process and calls its methods
there. It knows nothing about engines. Whatever happens to the worker (a signal,
``os._exit``, a hang, an invalid reply), the parent gets a
:class:`~lexer_core.errors.WorkerError` that says what the worker was doing.

The worker runs ``python -m lexer_core.worker.main``. The user's ``__main__`` is not
imported again, so scripts need no guard and notebooks work. The worker ends with
its parent, even if the parent is killed or the worker is suspended. On Linux, the
parent-death signal ends it. Elsewhere it ends when its connection closes or, while
it is busy, when a thread that checks once a second finds the parent gone; a
*suspended* worker is then ended by the system, if that follows POSIX. The programs
that it started end with it; see :mod:`lexer_core.worker.leftovers` and
:mod:`lexer_core.worker.guardian`.
"""

from __future__ import annotations

import os
import secrets
import sys
import weakref
from typing import TYPE_CHECKING, Any

from lexer_core.errors import WorkerError
from lexer_core.machine import memory
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.worker import supervisor
from lexer_core.worker.connection import Connection
from lexer_core.worker.guardian import guardian_of
from lexer_core.worker.interpreter import interpreter_environment
from lexer_core.worker.log import WorkerLog
from lexer_core.worker.spawn import release, spawn

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from lexer_core.worker.guardian import Guardian
    from lexer_core.worker.process_handle import ProcessHandle

__all__ = ["WorkerProcess"]

_POLL_SECONDS = 0.25
"""Interval at which a worker's log and, if limited, its memory are checked."""

_SHORTEST_POLL_SECONDS = 0.02
_FILL_BYTES_PER_SECOND = 4e9
"""About how fast a process can touch new memory; determines the next memory check."""

_TERMINATE_SECONDS = 1.0
_TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")


class WorkerProcess:
    """An object in a separate process; created by :meth:`start`.

    Only one thread at a time may use it. As a context manager it is closed on exit;
    if it is garbage-collected or the program ends, its process is killed.
    """

    isolated = True

    def __init__(
        self,
        *,
        label: str,
        handle: ProcessHandle,
        sock: socket.socket,
        log: WorkerLog,
        temporary: TemporaryFolder,
        guardian: Guardian | None,
        own_path: bool,
        python_path: str | None,
    ) -> None:
        self.label = label
        self.memory_limit_bytes: int | None = None
        self._own_path = own_path
        self._python_path = python_path
        self._handle = handle
        self._log = log
        # Both go with their last worker.
        self._temporary: TemporaryFolder | None = temporary
        self._guardian = guardian
        self._finalizer = weakref.finalize(self, release, handle, sock, log)
        self._connection = Connection(label=label, handle=handle, sock=sock, log=log)
        self._closed = False
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
        python: str | None = None,
        sys_path: Sequence[str] | None = None,
        preload: Sequence[str] = (),
        initializer: tuple[str, object] | None = None,
        hosted: type | None = None,
        temporary: TemporaryFolder | None = None,
    ) -> WorkerProcess:
        """Start a worker and return at once, while it starts and imports.

        (Not on POSIX: return once the worker has connected.)

        Parameters
        ----------
        factory
            Creates the hosted object, as ``"package.module:Callable"``. Called
            without arguments before the first method call.
        label
            The name of the worker in errors and in the output of ``ps``.
        environment
            Environment variables to add to the parent's.
        cpus
            CPUs to pin the worker to before anything is imported. Default: the
            parent's.
        memory_limit_bytes
            The worker is killed if its private memory, without that of programs it
            starts, exceeds this. Checked at least every quarter of a second.
        python
            Another interpreter, 3.11 or later, that finds modules, including
            lexer-core, on its own path. Default: the parent's.
        sys_path
            The worker's ``sys.path``; ignored if ``python`` is given. Default: the
            parent's.
        preload
            Modules to import at once. A failing import is noted, and raised when the
            hosted object needs the module.
        initializer
            A function, as ``"package.module:function"``, and its argument. Called
            after the imports; it returns notes.
        hosted
            The class of the hosted object, whose methods declare the types of replies.
            Default: replies are plain data of any type.
        temporary
            The folder for the temporary files of the worker and of the programs it
            starts. Default: a new one, which is removed with the worker.

        Raises
        ------
        TemporaryFolderError
            The folder for temporary files cannot be created.
        WorkerError
            The interpreter could not be started.
        """
        worker = cls.spawn(label, environment=environment, python=python, temporary=temporary)
        worker.set_up(
            factory,
            cpus=cpus,
            memory_limit_bytes=memory_limit_bytes,
            sys_path=sys_path,
            preload=preload,
            initializer=initializer,
            hosted=hosted,
        )
        return worker

    @classmethod
    def spawn(
        cls,
        label: str,
        *,
        environment: Mapping[str, str] | None = None,
        python: str | None = None,
        temporary: TemporaryFolder | None = None,
    ) -> WorkerProcess:
        """Start a process that waits for :meth:`set_up`; see :meth:`start`."""
        own_path = python is not None
        program = sys.executable if python is None else python
        temporary = temporary or TemporaryFolder("tmp")
        home = temporary.path.parent
        guardian = guardian_of(home)
        log = WorkerLog()
        inherited = interpreter_environment(os.environ) if own_path else os.environ
        folders = dict.fromkeys(_TEMPORARY_VARIABLES, str(temporary.path))
        variables = {**inherited, **folders, **(environment or {})}
        mark = f"{home}/{secrets.token_hex(8)}"
        try:
            handle, sock = supervisor.start_supervised(
                lambda: spawn(program, label, variables, log, mark=mark, own_path=own_path),
                lambda started: release(*started, log),
            )
        except OSError as error:
            log.close()
            raise WorkerError(
                f"the worker of {label!r} could not be started: {error}",
                hint=f"Its interpreter is {program or 'unknown'}.",
            ) from error
        except BaseException:
            log.close()
            raise
        return cls(
            label=label,
            handle=handle,
            sock=sock,
            log=log,
            temporary=temporary,
            guardian=guardian,
            own_path=own_path,
            python_path=variables.get("PYTHONPATH"),
        )

    def set_up(
        self,
        factory: str,
        *,
        cpus: Sequence[int] | None = None,
        memory_limit_bytes: int | None = None,
        sys_path: Sequence[str] | None = None,
        preload: Sequence[str] = (),
        initializer: tuple[str, object] | None = None,
        hosted: type | None = None,
    ) -> None:
        """Tell the process what it is for; see :meth:`start`.

        Without a ``factory``, it only imports, and waits to be told again.
        """
        self.memory_limit_bytes = memory_limit_bytes
        self._connection.hosted = hosted
        path = list(sys.path if sys_path is None else sys_path)
        self._connection.send_hello(
            {
                "factory": factory,
                "sys_path": None if self._own_path else path,
                "cpus": None if cpus is None else list(cpus),
                "preload": list(preload),
                "initializer": initializer,
                "recursion_limit": sys.getrecursionlimit(),
                "python_path": self._python_path,
            }
        )

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._handle.pid

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return not self._closed and not self._handle.exited

    @property
    def suspended(self) -> bool:
        """Whether :meth:`suspend` stopped the process."""
        return self._handle.suspended

    @property
    def notes(self) -> tuple[str, ...]:
        """Failures that do not prevent it from working: pinning, suspending, preloading."""
        return tuple(self._connection.notes)

    @property
    def exit_description(self) -> str:
        """How the process ended, in words; empty while it runs."""
        return self._connection.exit_error().reason if self._handle.exited else ""

    @property
    def peak_memory_bytes(self) -> int | None:
        """Peak resident memory of the worker, in bytes; ``None`` if unknown.

        On Linux it is read now or, after the worker's end, when it was last read:
        by this property, on closing, or on exceeding the memory limit. Elsewhere
        it is sent with every reply.
        """
        self._read_peak()
        return self._peak or self._connection.peak_memory_bytes

    def call(self, method: str, *args: Any, timeout: float | None, **kwargs: Any) -> Any:
        """Call a method of the hosted object and return its result.

        After a timeout the worker goes on, and further calls wait for it.

        Parameters
        ----------
        method
            The method's name. It cannot have a keyword argument ``timeout``.
        timeout
            Seconds to wait for the reply, including the worker's start and imports;
            ``None`` for no limit.

        Raises
        ------
        WorkerTimeoutError
            There is no reply yet.
        WorkerDiedError
            The worker ended.
        RemoteError
            The method raised. A ``LexerError`` is raised as itself.
        WorkerError
            The worker is closed or suspended, the arguments cannot be pickled, or the
            reply is not of the type that the method declares.
        """
        if self.suspended:
            raise WorkerError(
                f"the worker of {self.label!r} is suspended and cannot run {method!r}",
                hint="Resume it first.",
            )
        return self._connection.call(method, args, kwargs, timeout)

    def suspend(self) -> None:
        """Stop the worker and the programs it started; returns once they are stopped.

        Waits for a worker that is still starting, until it is certain to end with
        its parent. If the system does not allow suspending, :attr:`notes` says so.

        Raises
        ------
        WorkerDiedError
            The worker died while starting.
        """
        while not self._closed and not self._connection.started:
            self._connection.receive(None)
        try:
            self._handle.suspend()
        except OSError as error:
            self._connection.note(f"the worker could not be suspended: {error}")

    def resume(self) -> None:
        """Continue a suspended worker."""
        try:
            self._handle.resume()
        except OSError as error:
            self._connection.note(f"the worker could not be resumed: {error}")

    def log_tail(self, lines: int | None = 20) -> str:
        """Return the last lines of the worker's output, even after its end.

        ``None`` returns all that was kept.
        """
        return self._log.tail(lines)

    def close(self, timeout: float = 5.0) -> None:
        """End the worker; may be called twice.

        An idle worker closes its object, if it has a ``close()`` method, and runs its
        exit handlers. A busy one is terminated.

        Parameters
        ----------
        timeout
            Seconds to wait for an idle worker to exit; then it is terminated.
        """
        if self._closed:
            return
        self.resume()
        self._read_peak()
        self._connection.drain()
        idle = self._connection.idle
        if idle:
            self._handle.look_for_descendants()
            self._connection.end_calls()
        if not self._handle.wait(timeout if idle else 0.0):
            self._handle.terminate("ended by its parent")
            self._handle.wait(_TERMINATE_SECONDS)
        self._closed = True
        self._connection.close()
        supervisor.unwatch(self)
        self._finalizer()
        self._temporary = self._guardian = None

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = self.exit_description or ("suspended" if self.suspended else "alive")
        return f"<WorkerProcess {self.label!r} pid={self.pid} {state}>"

    def poll(self) -> float:
        """Trim the log and enforce the memory limit; called by the supervisor's thread.

        Returns
        -------
        float
            Seconds until the next check.
        """
        if self._closed or self._handle.exited:
            supervisor.unwatch(self)
            return _POLL_SECONDS
        self._log.trim(self._handle.paused)
        if self.memory_limit_bytes is None or self._handle.suspended:
            return _POLL_SECONDS
        used = memory.private_memory_bytes(self.pid)
        if used is None:
            return _POLL_SECONDS
        if used > self.memory_limit_bytes:
            self._read_peak()
            self._handle.kill(
                f"memory limit exceeded ({_mib(used)} used, {_mib(self.memory_limit_bytes)} "
                "allowed)",
                over_limit=True,
            )
            return _POLL_SECONDS
        headroom = (self.memory_limit_bytes - used) / _FILL_BYTES_PER_SECOND
        return min(_POLL_SECONDS, max(_SHORTEST_POLL_SECONDS, headroom))

    def _read_peak(self) -> None:
        if memory.CAN_READ_OTHER_PROCESSES and not self._handle.exited:
            self._peak = memory.peak_memory_bytes(self.pid) or self._peak


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"
