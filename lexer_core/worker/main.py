"""What does a worker process do?

Run as ``python -m lexer_core.worker.main`` by
:class:`~lexer_core.worker.process.WorkerProcess`. It ties its life to its
parent's, takes over the parent's ``sys.path``, goes to its CPUs, imports what it
is told to, and then carries out the methods of one object, one after the other,
until the connection closes.

Nothing that is slow to import is imported here: what an engine needs, and what
it costs, is the engine's own.
"""

from __future__ import annotations

import atexit
import faulthandler
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

from lexer_core.machine import affinity, memory
from lexer_core.worker import framing, transport
from lexer_core.worker.error_serialization import serialize_error

if TYPE_CHECKING:
    import socket

__all__ = ["Worker", "die_with_parent", "main"]

_PR_SET_PDEATHSIG = 1
_ORPHANED = 1
_LOOK_FOR_PARENT_SECONDS = 1.0
_HIGH_FD = 100


def main(arguments: list[str]) -> None:
    """Work for the parent until it closes the connection.

    Parameters
    ----------
    arguments
        How to connect, where, and the parent's process number. What follows is
        for the eyes of whoever lists processes.
    """
    way, place, parent = arguments[:3]
    note = die_with_parent(int(parent))
    # The parent decides what Ctrl-C means. SIGHUP may be ignored by inheritance
    # (nohup), and is how the system ends a stopped worker without a parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    output = _Output()
    worker = Worker(transport.join(way, place), output)
    if note:
        worker.note("note", note)
    try:
        worker.run()
    except (EOFError, ConnectionError):
        worker.close()
    # The parent has what it wanted. Exit handlers may have something to put
    # away; taking down runtimes piece by piece is where they crash and hang.
    atexit._run_exitfuncs()
    output.flush()
    os._exit(0)


def die_with_parent(parent: int) -> str:
    """See to it that this process ends when its parent does, however that ends.

    On Linux the kernel sees to it. Elsewhere a thread looks for the parent once
    a second, for as long as the process is not stopped.

    Returns
    -------
    str
        What is to be said about it; empty when all is well.
    """
    note = ""
    if sys.platform == "linux":
        try:
            import ctypes  # there are interpreters built without it

            if ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
                if os.getppid() != parent:
                    # It ended before the kernel was told; or the interpreter is
                    # a script around the real one, which the log then explains.
                    os.write(2, b"The process that wants this worker is not its parent.\n")
                    os._exit(_ORPHANED)
                return ""
        except (ImportError, OSError, AttributeError) as error:
            note = f" ({error})"
        note = f"the kernel does not end this worker with its parent{note}; a thread does"
    threading.Thread(target=_look_for, args=(parent,), name="lexer-parent", daemon=True).start()
    return note


class Worker:
    """Carries out the methods of one object.

    Parameters
    ----------
    connection
        The worker's end.
    output
        Where everything printed goes.
    """

    def __init__(self, connection: socket.socket, output: _Output) -> None:
        self._connection = connection
        self._reader = framing.FrameReader(connection)
        self._output = output
        self._factory = ""
        self._hosted: Any = None

    def run(self) -> None:
        """Work until the connection closes.

        Raises
        ------
        EOFError
            The parent has closed the connection.
        ConnectionError
            The parent is gone.
        """
        self._begin(self._reader.read().load())
        while True:
            self._answer(self._reader.read())
            self._output.repair()

    def note(self, what: str, value: object) -> None:
        """Tell the parent something that it did not ask for."""
        self._send(framing.encode(framing.NOTE, 0, (what, value)))

    def close(self) -> None:
        """Close the object, if it was made and wants it."""
        hosted, self._hosted = self._hosted, None
        close = getattr(hosted, "close", None)
        if close is not None:
            try:
                close()
            except Exception:  # nobody is there to hear; the log is
                traceback.print_exc()

    def _begin(self, hello: dict[str, Any]) -> None:
        if hello["sys_path"] is not None:
            sys.path[:] = hello["sys_path"]
        if hello["python_path"] is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = hello["python_path"]
        self._factory = hello["factory"]
        cpus = None
        if hello["cpus"] is not None:
            # Before any runtime starts a thread: threads inherit where they may run.
            try:
                cpus = affinity.pin(hello["cpus"])
            except OSError as error:
                self.note("note", f"the worker could not be pinned to its CPUs: {error}")
        try:
            memory.prefer_as_victim()
        except OSError as error:
            self.note("note", f"the worker is not the first to go without memory: {error}")
        self.note("started", cpus)
        for name in hello["preload"]:
            self._import(name)
        self.note("ready", None)

    def _import(self, name: str) -> None:
        self.note("importing", name)
        start = time.perf_counter()
        try:
            importlib.import_module(name)
        except BaseException as error:  # SystemExit, too, is the module's affair
            # Whoever needs it imports it again, and gets the error then.
            traceback.print_exc()
            self.note("note", f"{name} could not be imported: {type(error).__name__}: {error}")
        else:
            self.note("imported", (name, time.perf_counter() - start))
        self._output.repair()

    def _answer(self, frame: framing.Frame) -> None:
        try:
            method, args, kwargs = frame.load()
            parts = self._carry_out(frame.number, method, args, kwargs)
        except BaseException as error:  # SystemExit, too, is an answer
            parts = framing.encode(framing.ERROR, frame.number, serialize_error(error))
        if not memory.SEEN_FROM_OUTSIDE:
            self.note("peak", memory.peak_memory_bytes())
        self._send(parts)

    def _carry_out(
        self, number: int, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[bytes | memoryview]:
        if self._hosted is None:
            module, _, name = self._factory.partition(":")
            self._hosted = getattr(importlib.import_module(module), name)()
        result = getattr(self._hosted, method)(*args, **kwargs)
        try:
            return framing.encode(framing.RESULT, number, result)
        except Exception as error:
            raise TypeError(
                f"what {method!r} returned ({type(result).__name__}) cannot be sent: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _send(self, parts: list[bytes | memoryview]) -> None:
        for part in parts:
            self._connection.sendall(part)


class _Output:
    """Standard output and error, and how to get them back.

    A plugin may close descriptors 0 to 2 or the streams on them. What is opened
    next would then take their numbers, and be printed into.
    """

    def __init__(self) -> None:
        self._spare: int | None = None
        if sys.platform != "win32":
            import fcntl  # POSIX only

            self._spare = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
            faulthandler.enable(self._spare, all_threads=False)
        for stream in (sys.stdout, sys.stderr):
            # Whole lines at once: what was printed before a crash is in the log.
            stream.reconfigure(  # type: ignore[union-attr]
                encoding="utf-8", errors="backslashreplace", line_buffering=True
            )

    def repair(self) -> None:
        """Open again what was closed."""
        for fd in range(3):
            try:
                os.fstat(fd)
            except OSError:
                self._reopen(fd)
        for name, fd in (("stdout", 1), ("stderr", 2)):
            stream = getattr(sys, name)
            if stream is None or getattr(stream, "closed", False):
                reopened = open(  # noqa: SIM115  stays open
                    fd, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
                )
                setattr(sys, name, reopened)
                setattr(sys, f"__{name}__", reopened)

    def flush(self) -> None:
        """Write what is still held back."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                # Closed by a plugin, or replaced by something of its own.
                continue

    def _reopen(self, fd: int) -> None:
        if fd > 0 and self._spare is not None:
            os.dup2(self._spare, fd)
            return
        nothing = os.open(os.devnull, os.O_RDWR)
        if nothing != fd:
            os.dup2(nothing, fd)
            os.close(nothing)


def _look_for(parent: int) -> None:
    """End this process soon after its parent has ended."""
    while _is_there(parent):
        time.sleep(_LOOK_FOR_PARENT_SECONDS)
    os._exit(_ORPHANED)


def _is_there(parent: int) -> bool:
    if os.name == "posix":
        return os.getppid() == parent
    import psutil  # Windows only: there, a process's parent stays the same after its end

    return bool(psutil.pid_exists(parent))


if __name__ == "__main__":
    main(sys.argv[1:])
