"""How do a worker and its parent write messages to each other?

A message is a frame: a header that says how long everything is, a pickle
(protocol 5), and the large buffers that the pickle refers to, which travel
beside it and are copied nowhere. Both ends belong to the same user and trust
each other as one program does; nobody else holds an end of the connection (see
:mod:`lexer_core.worker.transport`).

The structure of a model's call is pickled by value: its containers may be of
classes that the other end cannot import. Everything else is pickled by reference.

Imported by a worker before anything else, so it imports little.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import selectors
import struct
import sys
import threading
from collections import ChainMap, deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from lexer_core.records import CallStructure

__all__ = [
    "CALL",
    "ERROR",
    "HELLO",
    "NOTE",
    "RESULT",
    "Frame",
    "FrameReader",
    "ProtocolError",
    "Sender",
    "encode",
]

HELLO, CALL, RESULT, ERROR, NOTE = range(1, 6)
"""Kinds of frames."""

_MAGIC = b"LxW1"
_HEADER = struct.Struct("<4sBQIQ")  # magic, kind, number, count of buffers, bytes of the pickle
_SIZE = struct.Struct("<Q")

_BESIDE_BYTES = 64 * 1024
"""From this size on a buffer travels beside the pickle; below, a copy is cheaper."""

_CLOSED_CHECK_SECONDS = 1.0

_INLINE_BYTES = 64 * 1024
"""What fits into the connection's own buffer is sent at once, by the caller."""


class ProtocolError(Exception):
    """What came over the connection is no frame; nothing after it can be read."""


class Frame(NamedTuple):
    """One message, its value not yet unpickled."""

    kind: int
    number: int
    payload: bytearray
    buffers: list[bytearray]

    def load(self) -> Any:
        """Unpickle the value; arrays use the received buffers and are writable."""
        # Pickle from one's own worker over a connection that nobody else holds.
        return pickle.loads(self.payload, buffers=self.buffers)  # noqa: S301


def _structure_by_value(
    structure: CallStructure,
) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    import cloudpickle  # slow to import, and most messages have no structure

    return pickle.loads, (cloudpickle.dumps(structure),)


def _reducers() -> Any:
    # Looked up, not imported: without the module, no message has a structure in it.
    records = sys.modules.get("lexer_core.records")
    by_value = {} if records is None else {records.CallStructure: _structure_by_value}
    return ChainMap(by_value, copyreg.dispatch_table)


def encode(kind: int, number: int, value: object) -> list[bytes | memoryview]:
    """Turn a value into the parts of a frame, in the order in which to send them.

    Raises
    ------
    Exception
        Whatever pickling the value raises; nothing has been sent then.
    """
    beside: list[memoryview] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < _BESIDE_BYTES:
            return True
        beside.append(view)
        return False

    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5, buffer_callback=keep)
    pickler.dispatch_table = _reducers()
    pickler.dump(value)
    payload = file.getvalue()
    head = _HEADER.pack(_MAGIC, kind, number, len(beside), len(payload))
    sizes = b"".join(_SIZE.pack(view.nbytes) for view in beside)
    if len(payload) < _INLINE_BYTES:
        return [head + sizes + payload, *beside]
    return [head + sizes, payload, *beside]


class FrameReader:
    """Reads frames from a socket, picking up where it was interrupted.

    On a socket that does not block, :meth:`read` raises ``BlockingIOError``
    while a frame is incomplete, and goes on with it when called again.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._parts: list[bytearray] = []
        self._index = 0
        self._filled = 0
        self._frame: Frame | None = None
        self._start_over()

    def read(self) -> Frame:
        """Read the next frame.

        Raises
        ------
        EOFError
            The other end is gone.
        BlockingIOError
            Nothing more is there yet.
        ProtocolError
            What was read is no frame.
        """
        while True:
            while self._index < len(self._parts):
                part = self._parts[self._index]
                if self._filled < len(part):
                    count = self._connection.recv_into(memoryview(part)[self._filled :])
                    if count == 0:
                        raise EOFError
                    self._filled += count
                if self._filled == len(part):
                    self._index += 1
                    self._filled = 0
            if self._frame is not None:
                frame = self._frame
                self._start_over()
                return frame
            self._continue()

    def _start_over(self) -> None:
        self._parts = [bytearray(_HEADER.size)]
        self._index = 0
        self._filled = 0
        self._frame = None

    def _continue(self) -> None:
        """Prepare to read what the parts read so far announce."""
        try:
            magic, kind, number, count, size = _HEADER.unpack(self._parts[0])
            if magic != _MAGIC:
                raise ProtocolError(f"a message begins with {bytes(self._parts[0])!r}")
            if count and len(self._parts) == 1:
                self._parts.append(bytearray(count * _SIZE.size))
                return
            sizes = [length for (length,) in _SIZE.iter_unpack(self._parts[1])] if count else []
            payload = bytearray(size)
            buffers = [bytearray(length) for length in sizes]
        except (MemoryError, OverflowError) as error:
            raise ProtocolError("a message says that it is larger than memory") from error
        self._parts += [payload, *buffers]
        self._frame = Frame(kind, number, payload, buffers)


class Sender:
    """Sends frames without making the caller wait for the reader.

    Small frames are sent at once. A large one, or what the connection does not
    take now, is sent by a thread that ends with its work. The socket must not
    block. That the reader is gone is not reported here: whoever reads from the
    same connection learns it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._backlog: deque[memoryview] = deque()
        self._thread: threading.Thread | None = None

    @property
    def idle(self) -> bool:
        """Whether everything has been handed to the connection."""
        with self._lock:
            return not self._backlog

    def send(self, parts: Sequence[bytes | memoryview]) -> None:
        """Send the parts of a frame; they must not change until it is answered."""
        views = [memoryview(part).cast("B") for part in parts if len(part)]
        with self._lock:
            if not self._backlog and len(views) == 1 and views[0].nbytes <= _INLINE_BYTES + 1024:
                try:
                    sent = self._connection.send(views[0])
                except BlockingIOError:
                    sent = 0
                except OSError:  # the reader is gone
                    return
                if sent == views[0].nbytes:
                    return
                views = [views[0][sent:]]
            self._backlog.extend(views)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._send_backlog, name="lexer-worker-sender", daemon=True
                )
                self._thread.start()

    def _send_backlog(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_WRITE)
                while self._send_some():
                    # A connection that is closed meanwhile wakes nobody.
                    selector.select(_CLOSED_CHECK_SECONDS)
        except (OSError, ValueError):
            # The reader is gone, or the connection was closed under us.
            with self._lock:
                self._backlog.clear()
                self._thread = None

    def _send_some(self) -> bool:
        """Send what the connection takes now; returns whether there is more."""
        with self._lock:
            while self._backlog:
                part = self._backlog[0]
                try:
                    sent = self._connection.send(part)
                except BlockingIOError:
                    return True
                if sent < part.nbytes:
                    self._backlog[0] = part[sent:]
                    return True
                self._backlog.popleft()
            self._thread = None
            return False
