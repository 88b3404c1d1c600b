"""How is a worker's process started, suspended and ended?

A worker leads its own process group: Ctrl-C in a terminal or a notebook goes to the
parent only, which then decides; signals that the parent sends also reach the
programs that the worker started. The group stays in the parent's session: without
a parent-death signal, the system ends a stopped group whose parent is gone (POSIX:
orphaned groups get SIGHUP and SIGCONT).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lexer_core.machine import memory
from lexer_core.worker.leftovers import MARK, descendants, end_marked, end_processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lexer_core.worker.leftovers import ProcessId

__all__ = ["ProcessHandle"]

_KILL_SECONDS = 10.0
_STOP_SECONDS = 1.0
_POSIX = os.name == "posix"
_CAN_PEEK = hasattr(os, "waitid")  # to see an exit without reaping; macOS: Python 3.13


class ProcessHandle:
    """A worker's process.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        All of its environment variables.
    output
        The descriptor for its standard output and error.
    mark
        The worker's mark, which the programs it starts inherit; not used otherwise.
    inherited
        Further descriptors that it inherits.
    with_input
        Whether the parent writes to its standard input; otherwise it is empty.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: int,
        mark: str,
        inherited: Sequence[int] = (),
        with_input: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._status_lost = False
        self._mark = mark
        self._descendants: set[ProcessId] = set()
        self.suspended = False
        self.ended_because = ""
        self.over_limit = False
        self.oom_kills_before = memory.oom_kills()
        self.process = subprocess.Popen(  # noqa: S603  an interpreter and a module of Lexer's
            command,
            env={**environment, MARK: mark},
            stdin=subprocess.PIPE if with_input else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            close_fds=True,
            pass_fds=tuple(inherited),
            process_group=0 if _POSIX else None,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self.pid = self.process.pid
        self.exit_fd = _open_pidfd(self.pid)

    @property
    def owned(self) -> bool:
        """Whether this process started it, and is not a fork of the one that did."""
        return os.getpid() == self._owner

    @property
    def exited(self) -> bool:
        """Whether the process has ended; programs it started may still run."""
        with self._lock:
            if self.process.returncode is not None:
                return True
            if not _CAN_PEEK:
                return self.process.poll() is not None
            try:
                # An unreaped process keeps its ID, and so its group's: killing the
                # group cannot hit another one.
                return os.waitid(os.P_PID, self.pid, _EXIT_FLAGS) is not None
            except ChildProcessError:
                # The user's program ignores SIGCHLD, or reaps processes it did not start.
                self._status_lost = True
                return True

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the number of a signal; ``None`` if not known."""
        return None if self._status_lost else self.process.returncode

    def write_input(self, line: bytes) -> None:
        """Write a line to its standard input and close it."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:  # it has exited, which the caller notices when it waits
            return
        finally:
            with suppress(BrokenPipeError):  # closing flushes the buffer again
                self.process.stdin.close()

    def wait(self, seconds: float) -> bool:
        """Wait for the process to end, and return whether it has."""
        deadline = time.monotonic() + seconds
        while not self.exited:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self.exit_fd is not None:
                poll = select.poll()
                poll.register(self.exit_fd, select.POLLIN)
                poll.poll(left * 1000)
            else:
                time.sleep(min(left, 0.01))
        return True

    def suspend(self) -> None:
        """Stop the process and the programs it started; returns once it is stopped.

        Raises
        ------
        OSError
            The system does not allow it.
        """
        with self._lock:
            if self.suspended or self.exited:
                return
            if not _POSIX:
                _ask_psutil(self.pid, "suspend")
                self.suspended = True
                return
            os.killpg(self.pid, signal.SIGSTOP)
            self.suspended = True
            if _CAN_PEEK:
                self._await_stop()

    def resume(self) -> None:
        """Continue a process that :meth:`suspend` stopped."""
        with self._lock:
            if not self.suspended:
                return
            self.suspended = False
            if self.exited:
                return
            if _POSIX:
                self._signal_group(signal.SIGCONT)
            else:
                _ask_psutil(self.pid, "resume")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the process inside the ``with`` block; a suspended one stays suspended."""
        with self._lock:
            was_suspended = self.suspended
            with suppress(OSError):  # it then runs on
                self.suspend()
            try:
                yield
            finally:
                if not was_suspended:
                    with suppress(OSError):
                        self.resume()

    def terminate(self, why: str) -> None:
        """Ask the process and the programs it started to end."""
        with self._lock:
            if self.exited:
                return
            self.ended_because = self.ended_because or why
            if _POSIX:
                self._signal_group(signal.SIGTERM)
                # A stopped process handles the signal only once it continues; it may
                # have been stopped by another process, or by itself.
                self._signal_group(signal.SIGCONT)
            else:
                self.process.terminate()

    def look_for_descendants(self) -> None:
        """Remember the programs it started, which can no longer be told once it has ended."""
        with self._lock:
            if not self.exited:
                self._descendants.update(descendants(self.pid))

    def kill(self, why: str = "", *, over_limit: bool = False) -> None:
        """Kill the process, end the programs it started, and reap it; may be called twice.

        Parameters
        ----------
        why
            The reason to report, unless it has ended by itself.
        over_limit
            Whether the reason is its memory limit.
        """
        with self._lock:
            if self.process.returncode is not None or not self.owned:
                return
            if not self.exited:
                self.ended_because = self.ended_because or why
                self.over_limit = over_limit
                self.look_for_descendants()
            if not self.exited:
                if _POSIX and not _CAN_PEEK:
                    self._signal_group(signal.SIGKILL)
                else:
                    self.process.kill()
            self.suspended = False
            self.wait(_KILL_SECONDS)
            end_marked(self._mark)
            end_processes(self._descendants)
            if _CAN_PEEK:  # the process is not reaped yet, so its group is still its own
                self._signal_group(signal.SIGKILL)
            # If it has still not ended, it is stuck in the kernel (a device, a network
            # file system): it ends once the kernel lets it, and is reaped then.
            self.process.poll()

    def release(self) -> None:
        """Kill the process and close its descriptor; may be called twice."""
        self.kill("ended by its parent")
        with self._lock:
            if self.exit_fd is not None:
                os.close(self.exit_fd)
                self.exit_fd = None

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # The group is empty; macOS reports EPERM if only a zombie is left.
            return

    def _await_stop(self) -> None:
        """Wait until every thread has stopped, usually for microseconds."""
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and not self.exited:
            if os.waitid(os.P_PID, self.pid, _STOP_FLAGS) is not None:
                return
            time.sleep(0.0001)


if _CAN_PEEK:
    _EXIT_FLAGS = os.WEXITED | os.WNOHANG | os.WNOWAIT
    _STOP_FLAGS = os.WSTOPPED | os.WNOHANG


def _open_pidfd(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # a kernel before 5.3, or a sandbox; the exit is then polled for
        return None


def _ask_psutil(pid: int, method: str) -> None:
    import psutil  # only on Windows: elsewhere a signal does it

    try:
        getattr(psutil.Process(pid), method)()
    except psutil.Error as error:
        raise OSError(f"{method} of process {pid}: {error}") from error
