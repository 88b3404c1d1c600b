"""How does the parent call a worker and wait for its reply?

The parent's end of the connection. Every way in which a reply can fail to arrive
becomes an error that says what the worker was doing.
"""

from __future__ import annotations

import selectors
import socket
import time
from typing import TYPE_CHECKING, Any

from lexer_core.errors import WorkerDiedError, WorkerError, WorkerTimeoutError
from lexer_core.validated_data import InvalidDataError
from lexer_core.worker import framing
from lexer_core.worker.error_serialization import deserialize_error
from lexer_core.worker.exit_reason import exit_error
from lexer_core.worker.reply_types import read_reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.worker.log import WorkerLog
    from lexer_core.worker.process_handle import ProcessHandle

__all__ = ["Connection"]

_LOG_LINES = 20
_TRACEBACK_LINES = 200
_EXIT_SECONDS = 2.0
_POLL_SECONDS = 0.25
_LONGEST_WAIT = 3600.0
"""Some systems cannot wait longer at once; then it waits again."""

_LONGEST_NOTE = 1000
_MOST_NOTES = 100
_HAS_POLL = hasattr(selectors, "PollSelector")  # not on Windows


class Connection:
    """The parent's end of the connection to one worker.

    Parameters
    ----------
    label, handle, sock, log
        The worker's name, process, connection and output.
    hosted
        The class of the object in the worker; a reply must be of the type that its
        method declares. ``None`` accepts any plain data.
    """

    def __init__(
        self,
        *,
        label: str,
        handle: ProcessHandle,
        sock: socket.socket,
        log: WorkerLog,
        hosted: type | None = None,
    ) -> None:
        self.label = label
        self.hosted = hosted
        self.started = False
        self.peak_memory_bytes: int | None = None
        self.notes: list[str] = []
        self._handle = handle
        self._socket = sock
        self._log = log
        self._ready = False
        self._importing = ""
        self._unusable = ""
        self._calls = 0
        self._unanswered: dict[int, str] = {}
        sock.setblocking(False)
        self._reader = framing.FrameReader(sock, trusted=False)
        self._sender = framing.FrameSender(sock)
        self._selector = selectors.PollSelector() if _HAS_POLL else selectors.SelectSelector()
        self._selector.register(sock, selectors.EVENT_READ)
        if handle.exit_fd is not None:
            self._selector.register(handle.exit_fd, selectors.EVENT_READ)

    @property
    def activity(self) -> str:
        """What the worker is doing, if known; empty if it is idle."""
        if not self.started:
            return "start"
        if not self._ready:
            return f"import of {self._importing}"
        return next(iter(self._unanswered.values()), "")

    @property
    def idle(self) -> bool:
        """Whether the worker is waiting for the next call."""
        return self._ready and not self._unanswered and self._sender.idle and not self._unusable

    def send_hello(self, hello: Mapping[str, object]) -> None:
        """Send the settings that the worker needs before anything else."""
        self._sender.send(framing.encode_pickle(framing.HELLO, 0, hello))

    def call(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], timeout: float | None
    ) -> Any:
        """Call a method in the worker and return its result.

        After a timeout the worker goes on: what is not sent yet is sent before
        the next call, and the late reply is dropped.

        Parameters
        ----------
        timeout
            Seconds for sending, running and replying; ``None`` for no limit.

        Raises
        ------
        WorkerTimeoutError
            There is no reply yet.
        WorkerDiedError
            The worker ended.
        RemoteError
            The method raised. A ``LexerError`` is raised as itself.
        WorkerError
            The arguments cannot be pickled, the reply is not of the type that the
            method declares, or the connection is no longer usable.
        """
        if self._unusable:
            raise WorkerError(self._unusable)
        try:
            parts = framing.encode_pickle(framing.CALL, self._calls + 1, (method, args, kwargs))
        except Exception as error:
            raise WorkerError(
                f"the arguments of {method!r} cannot be sent to the worker of {self.label!r}: "
                f"{type(error).__name__}: {error}"
            ) from error
        self._calls += 1
        number = self._calls
        deadline = None if timeout is None else time.monotonic() + timeout
        self._unanswered[number] = method
        self._send(parts)
        reply = self.receive(deadline)
        # A note, whatever its number, is not a reply.
        while reply is not None and (reply.kind == framing.NOTE or reply.number != number):
            reply = self.receive(deadline)
        if reply is None:
            raise self._timeout_error(timeout or 0.0)
        try:
            value = reply.decode()
            raised = deserialize_error(value, method) if reply.kind == framing.ERROR else None
        except (framing.ProtocolError, ValueError) as invalid:
            raise self._rejected(invalid, method) from invalid
        if raised is not None:
            raise raised
        try:
            return read_reply(self.hosted, method, value)
        except InvalidDataError as invalid:
            raise WorkerError(
                f"the worker of {self.label!r} returned something else from {method!r} than "
                f"the method declares: {invalid}"
            ) from invalid

    def receive(self, deadline: float | None) -> framing.Frame | None:
        """Wait for the next frame and process it, sending what is queued meanwhile.

        Parameters
        ----------
        deadline
            On the monotonic clock; ``None`` for no limit.

        Returns
        -------
        Frame or None
            ``None`` if the deadline passed first.

        Raises
        ------
        WorkerDiedError
            The worker ended.
        WorkerError
            The data is not a valid frame; the worker was killed.
        """
        exited = False
        while True:
            self._send([])
            try:
                frame = self._reader.read()
                self._process(frame)
            except BlockingIOError:
                if exited:  # and everything it sent has been read
                    raise self.exit_error() from None
            except (EOFError, OSError):
                # The worker is exiting or broken: wait for an exit status that explains it.
                if not self._handle.wait(_EXIT_SECONDS):
                    self._handle.kill("it closed its connection")
                raise self.exit_error() from None
            except framing.ProtocolError as error:
                raise self._rejected(error, self.activity) from error
            except BaseException:
                # Ctrl-C after data was read and before its length was noted.
                self._unusable = f"reading from the worker of {self.label!r} was interrupted"
                raise
            else:
                return frame
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            if self._handle.exit_fd is None:
                # A program that the worker started may keep the connection open
                # after the worker's exit, so check for the exit now and then.
                left = _POLL_SECONDS if left is None else min(left, _POLL_SECONDS)
            exited = self._handle.exited
            if not exited:
                self._wait(left)

    def drain(self) -> None:
        """Process what has arrived, without waiting."""
        try:
            while True:
                self._process(self._reader.read())
        except (OSError, EOFError, framing.ProtocolError):
            # Nothing more now, or ever: closing the worker is the same in both cases.
            return

    def exit_error(self) -> WorkerDiedError:
        """Return the error that says how the worker ended; kills it if it has not."""
        activity = self.activity
        self._handle.kill()
        log = self._log.tail(_TRACEBACK_LINES)
        return exit_error(self._handle, label=self.label, activity=activity, log=log)

    def note(self, text: str) -> None:
        """Record a failure that does not prevent the worker from working."""
        if text not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(text)

    def end_calls(self) -> None:
        """Tell the worker that there are no more calls."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:  # already closed
            return

    def close(self) -> None:
        """Refuse all further calls."""
        self._unusable = self._unusable or f"the worker of {self.label!r} is closed"

    def _send(self, parts: list[framing.Part]) -> None:
        try:
            self._sender.send(parts)
        except BaseException:
            # Ctrl-C after data was sent and before its length was noted.
            self._unusable = f"sending to the worker of {self.label!r} was interrupted"
            raise

    def _rejected(self, error: Exception, activity: str) -> WorkerError:
        """Kill a worker that sent an invalid message; return the error to raise."""
        self._unusable = (
            f"the worker of {self.label!r} sent an invalid message in {activity!r}: {error}"
        )
        self._handle.kill("it sent an invalid message")
        return WorkerError(self._unusable)

    def _wait(self, seconds: float | None) -> None:
        """Wait for data, for the worker's exit, or until more can be sent."""
        events = selectors.EVENT_READ
        if not self._sender.idle:
            events |= selectors.EVENT_WRITE
        self._selector.modify(self._socket, events)
        self._selector.select(None if seconds is None else min(seconds, _LONGEST_WAIT))

    def _process(self, frame: framing.Frame) -> None:
        if frame.kind != framing.NOTE:
            if frame.number not in self._unanswered:
                raise framing.ProtocolError("it is not the reply to a call")
            del self._unanswered[frame.number]
            self._log.trim(self._handle.paused)
            return
        match frame.decode():
            case ("started", None):
                self.started = True
            case ("importing", str(name)):
                self._importing = name[:_LONGEST_NOTE]
            case ("ready", None):
                self._ready = True
            case ("peak", int(peak)) if peak >= 0:
                self.peak_memory_bytes = peak
            case ("peak", None):
                self.peak_memory_bytes = None
            case ("note", str(text)):
                self.note(text[:_LONGEST_NOTE])
            case _:
                raise framing.ProtocolError("it is of no known topic")

    def _timeout_error(self, seconds: float) -> WorkerTimeoutError:
        activity = self.activity
        return WorkerTimeoutError(
            f"the worker of {self.label!r} did not finish {activity!r} within {seconds:g} s",
            label=self.label,
            method=activity,
            seconds=seconds,
            log=self._log.tail(_LOG_LINES),
        )
