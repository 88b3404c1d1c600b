"""What does a worker process do?

:class:`~lexer_core.worker.process.WorkerProcess` runs it as
``python -m lexer_core.worker.main``. It makes sure to end with its parent, takes
over the parent's ``sys.path``, pins itself to its CPUs, imports the modules to
preload, calls its initializer, and then runs the methods of one object, one after the
other, until the connection closes.

Nothing slow is imported here, so that an engine's import time and memory are its
own.
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

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_ORPHANED = 1
_PARENT_CHECK_SECONDS = 1.0


def main(arguments: list[str]) -> None:
    """Run method calls until the parent closes the connection.

    Parameters
    ----------
    arguments
        How to connect, the inherited descriptor, and the parent's process ID. The
        rest is shown by ``ps`` only.
    """
    method, fd, parent = arguments[:3]
    note = _die_with_parent(int(parent))
    # The parent decides what Ctrl-C does. SIGHUP, which ends a stopped worker without
    # a parent, may be ignored by inheritance (nohup).
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    output = _Output()
    worker = _Worker(transport.connect(method, fd), output)
    if note:
        worker.notify("note", note)
    try:
        worker.run()
    except (EOFError, ConnectionError):
        worker.close()
    # Exit handlers may have to clean up. The rest of the interpreter's shutdown is
    # skipped, because runtimes tend to crash or hang in it.
    atexit._run_exitfuncs()
    output.flush()
    os._exit(0)


def _die_with_parent(parent: int) -> str:
    """Make this process end when its parent does, however that ends.

    On Linux the kernel ends it. Elsewhere a thread checks for the parent once a
    second, unless the process is stopped.

    Returns
    -------
    str
        A note if the kernel should have, but does not; otherwise empty.
    """
    note = ""
    if sys.platform == "linux":
        try:
            import ctypes  # missing from some builds of Python

            prctl = ctypes.CDLL(None).prctl
            # Daemons that this process starts stay its descendants, so that the parent
            # finds and ends them.
            prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
                if os.getppid() != parent:
                    # The parent ended before this call, or the interpreter is a
                    # wrapper script, as the log then explains.
                    os.write(2, b"The process that started this worker is not its parent.\n")
                    os._exit(_ORPHANED)
                return ""
        except (ImportError, OSError, AttributeError) as error:
            note = f" ({error})"
        note = f"the kernel does not end this worker with its parent{note}; a thread does"
    threading.Thread(
        target=_exit_with, args=(parent,), name="lexer-parent-check", daemon=True
    ).start()
    return note


class _Worker:
    """Runs the methods of one object.

    Parameters
    ----------
    sock
        The worker's end of the connection.
    output
        Standard output and error.
    """

    def __init__(self, sock: socket.socket, output: _Output) -> None:
        self._socket = sock
        self._reader = framing.FrameReader(sock, trusted=True)
        self._output = output
        self._factory = ""
        self._hosted: Any = None

    def run(self) -> None:
        """Run method calls until the connection closes.

        Raises
        ------
        EOFError
            The parent closed the connection.
        ConnectionError
            The parent exited.
        """
        while not self._factory:
            self._set_up(self._reader.read().unpickle())
        self.notify("ready", None)
        while True:
            self._answer(self._reader.read())
            self._output.repair()

    def notify(self, topic: str, value: object) -> None:
        """Send the parent an unsolicited message."""
        self._send(framing.encode_plain(framing.NOTE, 0, (topic, value)))

    def close(self) -> None:
        """Close the object, if it was created and has a ``close()`` method."""
        hosted, self._hosted = self._hosted, None
        close = getattr(hosted, "close", None)
        if close is not None:
            try:
                close()
            except Exception:  # there is no connection any more, only the log
                traceback.print_exc()

    def _set_up(self, hello: dict[str, Any]) -> None:
        sys.setrecursionlimit(hello["recursion_limit"])
        if hello["sys_path"] is not None:
            sys.path[:] = hello["sys_path"]
        if hello["python_path"] is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = hello["python_path"]
        self._factory = hello["factory"]
        if hello["cpus"] is not None:
            # Before any runtime starts a thread: threads inherit the affinity.
            try:
                affinity.pin(hello["cpus"])
            except OSError as error:
                self.notify("note", f"the worker could not be pinned to its CPUs: {error}")
        try:
            memory.prefer_for_oom_kill()
        except OSError as error:
            self.notify("note", f"the kernel may kill the parent before the worker: {error}")
        self.notify("started", None)
        for name in hello["preload"]:
            self._import(name)
        if hello["initializer"] is not None:
            self._initialize(*hello["initializer"])

    def _import(self, name: str) -> None:
        self.notify("importing", name)
        try:
            importlib.import_module(name)
        except BaseException as error:  # including SystemExit
            # The code that needs the module imports it again, and raises then.
            traceback.print_exc()
            self.notify("note", f"{name} could not be imported: {type(error).__name__}: {error}")
        self._output.repair()

    def _initialize(self, function: str, argument: object) -> None:
        self.notify("importing", function)
        module, _, name = function.partition(":")
        try:
            notes = getattr(importlib.import_module(module), name)(argument)
        except Exception as error:  # it may import anything
            traceback.print_exc()
            notes = [f"{function} failed in the worker: {type(error).__name__}: {error}"]
        for note in notes:
            self.notify("note", note)
        self._output.repair()

    def _answer(self, frame: framing.Frame) -> None:
        try:
            method, args, kwargs = frame.unpickle()
            parts = self._call(frame.number, method, args, kwargs)
        except BaseException as error:  # including SystemExit
            parts = framing.encode_plain(framing.ERROR, frame.number, serialize_error(error))
        if not memory.CAN_READ_OTHER_PROCESSES:
            self.notify("peak", memory.peak_memory_bytes())
        self._send(parts)

    def _call(
        self, number: int, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[framing.Part]:
        if self._hosted is None:
            module, _, name = self._factory.partition(":")
            self._hosted = getattr(importlib.import_module(module), name)()
        result = getattr(self._hosted, method)(*args, **kwargs)
        try:
            return framing.encode_plain(framing.RESULT, number, result)
        except Exception as error:
            raise TypeError(
                f"the result of {method!r} ({type(result).__name__}) cannot be sent: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _send(self, parts: list[framing.Part]) -> None:
        for part in parts:
            self._socket.sendall(part)


class _Output:
    """Standard output and error, reopened if a plugin closes them.

    A plugin may close descriptors 0 to 2 or the streams on them. The next file to be
    opened would get their numbers, and output would be written to it.
    """

    def __init__(self) -> None:
        self._spare: int | None = None
        if sys.platform != "win32":
            self._spare = transport.high_descriptor(2)
            faulthandler.enable(self._spare, all_threads=False)
        for stream in (sys.stdout, sys.stderr):
            # Line-buffered, so that the log has the output before a crash.
            stream.reconfigure(  # type: ignore[union-attr]
                encoding="utf-8", errors="backslashreplace", line_buffering=True
            )

    def repair(self) -> None:
        """Reopen closed descriptors and streams."""
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
        """Flush the streams."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError):
                # Closed or replaced by a plugin.
                continue

    def _reopen(self, fd: int) -> None:
        if fd > 0 and self._spare is not None:
            os.dup2(self._spare, fd)
            return
        null = os.open(os.devnull, os.O_RDWR)
        if null != fd:
            os.dup2(null, fd)
            os.close(null)


def _exit_with(parent: int) -> None:
    """End this process soon after its parent has ended."""
    while _is_running(parent):
        time.sleep(_PARENT_CHECK_SECONDS)
    os._exit(_ORPHANED)


def _is_running(parent: int) -> bool:
    if os.name == "posix":
        return os.getppid() == parent
    import psutil  # only on Windows, where getppid() stays the same after the parent's end

    return bool(psutil.pid_exists(parent))


if __name__ == "__main__":
    main(sys.argv[1:])
