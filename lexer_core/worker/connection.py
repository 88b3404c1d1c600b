"""What has a worker said, and what does it still owe an answer to?

The parent's end of the connection: sends orders, takes in what comes, and turns
every way in which an answer can fail to come into an error that says what the
worker was doing.
"""

from __future__ import annotations

import selectors
import socket
import time
import weakref
from typing import TYPE_CHECKING, Any

from lexer_core.errors import WorkerDiedError, WorkerError, WorkerTimeoutError
from lexer_core.worker import framing
from lexer_core.worker.error_serialization import deserialize_error
from lexer_core.worker.exit_reason import exit_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.worker.log import WorkerLog
    from lexer_core.worker.process_handle import ProcessHandle

__all__ = ["Connection", "PendingReply"]

_LOG_LINES = 20
_TRACEBACK_LINES = 200
_LAST_WORDS_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_HAS_POLL = hasattr(selectors, "PollSelector")  # Windows has not


class PendingReply:
    """The answer to come of a method that a worker is carrying out.

    When it is dropped unread, so is the answer.
    """

    def __init__(self, conversation: Connection, method: str) -> None:
        self.method = method
        self.frame: framing.Frame | None = None
        self._conversation_owner = conversation

    def result(self, timeout: float | None) -> Any:
        """Wait for the answer and return what the method returned.

        May be called again after it timed out.

        Parameters
        ----------
        timeout
            Seconds from now; ``None`` for no limit.

        Raises
        ------
        WorkerTimeoutError
            There is no answer yet. The worker goes on.
        WorkerDiedError
            There will be none.
        RemoteError
            The method raised. An error of Lexer's own is raised as what it is.
        WorkerError
            The answer cannot be read, or the worker was closed.
        """
        return self._conversation_owner.await_reply(self, timeout)


class Connection:
    """The parent's end of the connection to one worker."""

    def __init__(
        self, *, label: str, child: ProcessHandle, connection: socket.socket, log: WorkerLog
    ) -> None:
        self.label = label
        self.started = False
        self.ready = False
        self.cpus: tuple[int, ...] | None = None
        self.import_seconds: dict[str, float] = {}
        self.peak_memory_bytes: int | None = None
        self.notes: list[str] = []
        self._child = child
        self._connection = connection
        self._log = log
        self._importing = ""
        self._broken = ""
        self._calls = 0
        self._outstanding: dict[int, str] = {}
        self._pending: weakref.WeakValueDictionary[int, PendingReply] = (
            weakref.WeakValueDictionary()
        )
        connection.setblocking(False)
        self._reader = framing.FrameReader(connection)
        self._sender = framing.Sender(connection)
        self._selector = selectors.PollSelector() if _HAS_POLL else selectors.SelectSelector()
        self._selector.register(connection, selectors.EVENT_READ)
        if child.exit_fd is not None:
            self._selector.register(child.exit_fd, selectors.EVENT_READ)

    @property
    def activity(self) -> str:
        """What the worker is doing, as far as it is known; empty for nothing."""
        if not self.started:
            return "start"
        if not self.ready:
            return f"import of {self._importing}"
        return next(iter(self._outstanding.values()), "")

    @property
    def listening(self) -> bool:
        """Whether the worker does nothing but wait for what is said next."""
        return self.ready and not self._outstanding and self._sender.idle and not self._broken

    def greet(self, hello: Mapping[str, object]) -> None:
        """Say what the worker must know before anything else."""
        self._sender.send(framing.encode(framing.HELLO, 0, hello))

    def ask(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> PendingReply:
        """Order a method.

        Raises
        ------
        WorkerError
            The arguments cannot be sent, or the connection is of no use any more.
        """
        self._check_usable()
        number = self._calls + 1
        try:
            parts = framing.encode(framing.CALL, number, (method, args, kwargs))
        except Exception as error:
            raise WorkerError(
                f"the arguments of {method!r} cannot be sent to the worker of {self.label!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        self._calls = number
        pending = PendingReply(self, method)
        self._pending[number] = pending
        self._outstanding[number] = method
        self._sender.send(parts)
        return pending

    def await_reply(self, pending: PendingReply, timeout: float | None) -> Any:
        """Wait for an answer; see :meth:`PendingReply.result`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while pending.frame is None:
            self._check_usable()
            if not self.receive(deadline):
                raise self._timed_out(timeout or 0.0)
        try:
            value = pending.frame.load()
        except Exception as error:
            raise WorkerError(
                f"what the worker of {self.label!r} returned from {pending.method!r} "
                f"cannot be read: {type(error).__name__}: {error}"
            ) from error
        if pending.frame.kind == framing.ERROR:
            raise deserialize_error(value, pending.method)
        return value

    def await_ready(self, timeout: float | None) -> None:
        """Wait until the worker has imported what it was told to.

        Raises
        ------
        WorkerTimeoutError, WorkerDiedError
            It hangs or died meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.ready:
            self._check_usable()
            if not self.receive(deadline):
                raise self._timed_out(timeout or 0.0)

    def receive(self, deadline: float | None) -> bool:
        """Wait for one frame and take it in.

        Parameters
        ----------
        deadline
            By the monotonic clock; ``None`` for no limit.

        Returns
        -------
        bool
            ``False`` when the deadline has passed first.

        Raises
        ------
        WorkerDiedError
            The worker has ended.
        WorkerError
            What came cannot be understood; the worker was ended.
        """
        ended = False
        while True:
            try:
                self._take(self._reader.read())
            except BlockingIOError:
                if ended:  # and everything that it said was read
                    raise self.obituary() from None
            except (EOFError, OSError):
                # It is ending, or it cannot go on: wait for what explains it.
                if not self._child.wait(_LAST_WORDS_SECONDS):
                    self._child.kill("it closed its connection")
                raise self.obituary() from None
            except framing.ProtocolError as error:
                self._broken = (
                    f"the worker of {self.label!r} said something that cannot be understood "
                    f"in {self.activity!r}: {error}"
                )
                self._child.kill("it said something that cannot be understood")
                raise WorkerError(self._broken) from error
            except BaseException:
                # Ctrl-C between reading something and noting down how much.
                self._broken = f"reading from the worker of {self.label!r} was interrupted"
                raise
            else:
                return True
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            if self._child.exit_fd is None:
                # Nothing else tells of its end while a program that it started
                # holds the connection.
                left = _LOOK_SECONDS if left is None else min(left, _LOOK_SECONDS)
            ended = self._child.exited
            if not ended:
                self._selector.select(left)

    def take_what_is_there(self) -> None:
        """Take in what has arrived, without waiting."""
        try:
            while True:
                self._take(self._reader.read())
        except (OSError, EOFError, framing.ProtocolError):
            # No more, or no more ever: closing does not depend on which.
            return

    def obituary(self) -> WorkerDiedError:
        """Make the error that says how the worker ended; it has, or is killed now."""
        activity = self.activity
        self._child.kill()
        log = self._log.tail(_TRACEBACK_LINES)
        return exit_error(self._child, label=self.label, activity=activity, log=log)

    def note(self, text: str) -> None:
        """Keep something that did not work, and does not hinder."""
        if text not in self.notes:
            self.notes.append(text)

    def finish(self) -> None:
        """Tell the worker that nothing more will be said."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:  # it is gone already
            return

    def close(self) -> None:
        """Refuse to say or hear anything from now on."""
        self._broken = self._broken or f"the worker of {self.label!r} is closed"

    def _check_usable(self) -> None:
        if self._broken:
            raise WorkerError(self._broken)

    def _take(self, frame: framing.Frame) -> None:
        if frame.kind != framing.NOTE:
            self._outstanding.pop(frame.number, None)
            pending = self._pending.pop(frame.number, None)
            if pending is not None:  # else nobody waits for it any more
                pending.frame = frame
            self._log.trim(self._child.paused)
            return
        what, value = frame.load()
        match what:
            case "started":
                self.started = True
                self.cpus = value
            case "importing":
                self._importing = value
            case "imported":
                module, seconds = value
                self.import_seconds[module] = seconds
            case "ready":
                self.ready = True
            case "peak":
                self.peak_memory_bytes = value
            case _:
                self.note(str(value))

    def _timed_out(self, seconds: float) -> WorkerTimeoutError:
        activity = self.activity
        return WorkerTimeoutError(
            f"the worker of {self.label!r} did not finish {activity!r} within {seconds:g} s",
            label=self.label,
            method=activity,
            seconds=seconds,
            log=self._log.tail(_LOG_LINES),
            hint="It is suspended; resume it first." if self._child.suspended else "",
        )
