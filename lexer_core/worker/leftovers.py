"""Which processes did a worker leave behind, and how are they ended?

Plugins start programs: pools of processes, compilers, daemons. A process belongs to a
worker if its environment contains the worker's mark, which processes inherit, also
those that left the worker's process group and session. A process that removed the
mark is known while the worker runs, because it descends from it. No other process is
ever touched.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["MARK", "ProcessId", "descendants", "end_marked", "end_processes", "find_marked"]

MARK = "_LEXER_WORKER"
"""The environment variable with a worker's mark."""

_GRACE_SECONDS = 0.5
"""Time for programs to clean up after themselves."""

_TRACKER_GRACE_SECONDS = 5.0
"""Time for Python's trackers of semaphores and shared memory, which remove them once all
processes that use them are gone, and ignore requests to end."""

_TRACKER = b"multiprocessing.resource_tracker"

_POLL_SECONDS = 0.005
_MOST_GENERATIONS = 20
_PROC = Path("/proc")


@frozen
class ProcessId:
    """A process; the time of its start tells it from a later one with the same number."""

    pid: int
    started: float


def find_marked(mark: str) -> list[ProcessId]:
    """Return the running processes with a mark, or one that continues it after a slash."""
    values = (f"{mark}\0".encode(), f"{mark}/".encode())

    def is_marked(environment: bytes) -> bool:
        _, found, rest = environment.partition(f"\0{MARK}=".encode())
        return bool(found) and rest.startswith(values)

    own = os.getpid()
    return [each for each in _processes() if each.pid != own and is_marked(_environment(each.pid))]


def descendants(pid: int) -> list[ProcessId]:
    """Return the running processes that descend from a process."""
    children: dict[int, list[ProcessId]] = {}
    for each, parent in _with_parents().items():
        children.setdefault(parent, []).append(each)
    found: list[ProcessId] = []
    ahead = [pid]
    while ahead:
        born = children.pop(ahead.pop(), [])
        found += born
        ahead += [each.pid for each in born]
    return found


def end_marked(mark: str) -> None:
    """End all processes with a mark, those that they start meanwhile included."""
    for _ in range(_MOST_GENERATIONS):
        found = find_marked(mark)
        if not found:
            return
        end_processes(found)


def end_processes(processes: Iterable[ProcessId]) -> None:
    """Ask processes to end, and kill those that have not after a moment."""
    running = [each for each in processes if _send(each, _TERMINATE)]
    trackers = [each for each in running if _TRACKER in _command(each.pid)]
    for each in running:
        _send(each, getattr(signal, "SIGCONT", 0))  # a stopped process cannot end
    _kill_after([each for each in running if each not in trackers], _GRACE_SECONDS)
    _kill_after(trackers, _TRACKER_GRACE_SECONDS)


def _kill_after(running: list[ProcessId], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while running and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        running = [each for each in running if _send(each, 0)]
    for each in running:
        _send(each, _KILL)


_TERMINATE = signal.SIGTERM
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)

if sys.platform == "linux":

    def _processes() -> Iterable[ProcessId]:
        return _with_parents()

    def _with_parents() -> Mapping[ProcessId, int]:
        found = {}
        for name in os.listdir(_PROC):  # noqa: PTH208  thousands of paths are slow
            if name.isdigit() and (stat := _stat(int(name))) is not None:
                found[ProcessId(int(name), stat[1])] = stat[0]
        return found

    def _stat(pid: int) -> tuple[int, float] | None:
        """Return a process's parent and the time of its start, unless it has ended."""
        try:
            text = (_PROC / str(pid) / "stat").read_bytes()
        except OSError:
            return None
        # The name, in parentheses, may contain anything.
        fields = text[text.rindex(b")") + 2 :].split()
        return None if fields[0] in b"ZX" else (int(fields[1]), float(fields[19]))

    def _environment(pid: int) -> bytes:
        try:
            return b"\0" + (_PROC / str(pid) / "environ").read_bytes() + b"\0"
        except OSError:  # it has ended, or is another user's
            return b""

    def _command(pid: int) -> bytes:
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes()
        except OSError:
            return b""

    def _send(process: ProcessId, number: int) -> bool:
        """Send a signal, 0 for none; return whether the process is running."""
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            return False
        except OSError:  # an old kernel, or no descriptor left
            descriptor = -1
        try:
            # Compared after opening it, so that the signal reaches this process or none.
            now = _stat(process.pid)
            if now is None or now[1] != process.started:
                return False
            with suppress(OSError):
                if number and descriptor >= 0:
                    signal.pidfd_send_signal(descriptor, number)
                elif number:
                    os.kill(process.pid, number)
            return True
        finally:
            if descriptor >= 0:
                os.close(descriptor)

else:
    import psutil

    def _processes() -> Iterable[ProcessId]:
        return _with_parents()

    def _with_parents() -> Mapping[ProcessId, int]:
        found = {}
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.status() != psutil.STATUS_ZOMBIE:
                    found[ProcessId(each.pid, each.create_time())] = each.ppid()
        return found

    def _environment(pid: int) -> bytes:
        try:
            pairs = psutil.Process(pid).environ().items()
        except (psutil.Error, OSError):  # it has ended, or is another user's
            return b""
        return "".join(f"\0{name}={value}" for name, value in pairs).encode() + b"\0"

    def _command(pid: int) -> bytes:
        try:
            return "\0".join(psutil.Process(pid).cmdline()).encode()
        except (psutil.Error, OSError):
            return b""

    def _send(process: ProcessId, number: int) -> bool:
        """Send a signal, 0 for none; return whether the process is running."""
        try:
            now = psutil.Process(process.pid)
            if now.create_time() != process.started or now.status() == psutil.STATUS_ZOMBIE:
                return False
            if number == _KILL:
                now.kill()
            elif number == _TERMINATE:
                now.terminate()
            elif number:
                now.resume()
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:  # it may not be signalled
            return True
        return True
