"""How is a worker's process started, suspended and ended?

A worker leads a process group of its own: Ctrl-C in a terminal and a
notebook's interrupt go to the parent alone, which then decides; signals that
the parent sends reach what the worker started, too. The group stays in the
parent's session: where there is no parent-death signal, the system ends a
stopped group whose parent is gone (POSIX: orphaned groups get SIGHUP and
SIGCONT).
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

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ProcessHandle"]

_KILL_SECONDS = 10.0
_STOP_SECONDS = 1.0
_POSIX = os.name == "posix"
_CAN_PEEK = hasattr(os, "waitid")  # see an exit without reaping it; macOS from Python 3.13 on


class ProcessHandle:
    """A worker's process.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        All of its environment.
    output
        Descriptor that it writes its output to.
    inherited
        Descriptors that it inherits beside that.
    with_input
        Whether the parent writes to its standard input; otherwise it is empty.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        output: int,
        inherited: Sequence[int] = (),
        with_input: bool = False,
    ) -> None:
        self._lock = threading.RLock()
        self._owner = os.getpid()
        self._status_lost = False
        self.suspended = False
        self.ended_because = ""
        self.over_limit = False
        self.oom_kills_before = memory.oom_kills()
        self.process = subprocess.Popen(  # noqa: S603  an interpreter and a module of Lexer's
            command,
            env=dict(environment),
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
        """Whether this process started it, and was not forked from the one that did."""
        return os.getpid() == self._owner

    @property
    def exited(self) -> bool:
        """Whether the process has ended; what it started may still be there."""
        with self._lock:
            if self.process.returncode is not None:
                return True
            if not _CAN_PEEK:
                return self.process.poll() is not None
            try:
                # Left unreaped, the process keeps its number, and with it its
                # group's, so that ending the group can hit nobody else.
                return os.waitid(os.P_PID, self.pid, _EXIT_FLAGS) is not None
            except ChildProcessError:
                # The program around us ignores SIGCHLD, or reaps what it did not start.
                self._status_lost = True
                return True

    @property
    def exit_code(self) -> int | None:
        """The exit code, minus a signal's number; ``None`` while not known."""
        return None if self._status_lost else self.process.returncode

    def say(self, line: bytes) -> None:
        """Write to its standard input, once, and close that."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:  # gone already, as whoever waits for it will notice
            return
        finally:
            with suppress(BrokenPipeError):  # what was not read is written again
                self.process.stdin.close()

    def wait(self, seconds: float) -> bool:
        """Wait for the process to end; returns whether it has."""
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
        """Stop the process and what it started; returns when it has stopped.

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
        """Let a suspended process go on; no effect on any other."""
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
        """Hold the process still for a moment; one that is suspended stays so."""
        with self._lock:
            was_suspended = self.suspended
            with suppress(OSError):  # then it moves on meanwhile
                self.suspend()
            try:
                yield
            finally:
                if not was_suspended:
                    with suppress(OSError):
                        self.resume()

    def terminate(self, why: str) -> None:
        """Ask the process, and what it started, to end."""
        with self._lock:
            if self.exited:
                return
            self.ended_because = self.ended_because or why
            if _POSIX:
                self._signal_group(signal.SIGTERM)
                # A stopped process gets the signal only when it goes on; it may
                # have been stopped by somebody else, or by itself.
                self._signal_group(signal.SIGCONT)
            else:
                self.process.terminate()

    def kill(self, why: str = "", *, over_limit: bool = False) -> None:
        """End the process and what it started, and reap it; may be called twice.

        Parameters
        ----------
        why
            What to say of its end, unless it has ended by itself.
        over_limit
            Whether that is because of its memory.
        """
        with self._lock:
            if self.process.returncode is not None or not self.owned:
                return
            if not self.exited:
                self.ended_because = self.ended_because or why
                self.over_limit = over_limit
            if _POSIX:
                self._signal_group(signal.SIGKILL)
            else:
                self.process.kill()
            self.suspended = False
            self.wait(_KILL_SECONDS)
            # Still there, it is stuck in the kernel (a device, a network file
            # system): it ends when the kernel lets it, and is reaped then.
            self.process.poll()

    def release(self) -> None:
        """Kill the process, and close what is held of it; may be called twice."""
        self.kill("ended by its parent")
        with self._lock:
            if self.exit_fd is not None:
                os.close(self.exit_fd)
                self.exit_fd = None

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # Nobody left in the group; macOS says EPERM when only a zombie is.
            return

    def _await_stop(self) -> None:
        """Wait until every thread has stopped, which takes microseconds mostly."""
        deadline = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < deadline and not self.exited:
            if os.waitid(os.P_PID, self.pid, _STOP_FLAGS) is not None:
                return
            time.sleep(0.0001)


if _CAN_PEEK:
    _EXIT_FLAGS = os.WEXITED | os.WNOHANG | os.WNOWAIT
    _STOP_FLAGS = os.WSTOPPED | os.WNOHANG


def _open_pidfd(pid: int) -> int | None:
    """Open a descriptor that becomes readable when the process ends."""
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except OSError:  # a kernel before 5.3, or a sandbox; its end is then polled for
        return None


def _ask_psutil(pid: int, method: str) -> None:
    import psutil  # Windows only: elsewhere a signal does it

    try:
        getattr(psutil.Process(pid), method)()
    except psutil.Error as error:
        raise OSError(f"{method} of process {pid}: {error}") from error
