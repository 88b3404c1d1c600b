"""How are messages between a worker and its parent encoded?

A message is a frame: a header with all lengths, a pickle (protocol 5), and the
large buffers that the pickle refers to, sent out of band without a copy. Both
processes belong to the same user and trust each other; no other process has an
end of the connection (see :mod:`lexer_core.worker.transport`).

The structure of a model's call is pickled by value, because the other process
may be unable to import its container classes. Everything else is pickled by
reference.

A worker imports this module before anything else, so it imports little.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import struct
import sys
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
    "FrameSender",
    "ProtocolError",
    "encode",
]

HELLO, CALL, RESULT, ERROR, NOTE = range(1, 6)
"""Kinds of frames."""

_MAGIC = b"LxW1"
_HEADER = struct.Struct("<4sBQIQ")  # magic, kind, number, count of buffers, bytes of the pickle
_SIZE = struct.Struct("<Q")

_OUT_OF_BAND_BYTES = 64 * 1024
"""Buffers from this size on are sent out of band; smaller ones are cheaper to copy."""

_JOINED_BYTES = 64 * 1024
"""A pickle below this size is joined with its header, which saves a system call."""


class ProtocolError(Exception):
    """The received bytes are not a valid frame; nothing after them can be read."""


class Frame(NamedTuple):
    """One message; its value is still pickled."""

    kind: int
    number: int
    payload: bytearray
    buffers: list[bytearray]

    def load(self) -> Any:
        """Unpickle the value; arrays use the received buffers and are writable."""
        # The sender is trusted: no other process has an end of the connection.
        return pickle.loads(self.payload, buffers=self.buffers)  # noqa: S301


def _structure_by_value(
    structure: CallStructure,
) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    import cloudpickle  # slow to import, and most messages have no structure

    return pickle.loads, (cloudpickle.dumps(structure),)


def _reducers() -> Any:
    # Looked up, not imported: without the module, no message contains a structure.
    records = sys.modules.get("lexer_core.records")
    by_value = {} if records is None else {records.CallStructure: _structure_by_value}
    return ChainMap(by_value, copyreg.dispatch_table)


def encode(kind: int, number: int, value: object) -> list[bytes | memoryview]:
    """Return the parts of a frame, in sending order.

    Raises
    ------
    Exception
        Whatever pickling the value raises; nothing has been sent yet.
    """
    out_of_band: list[memoryview] = []

    def is_in_band(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < _OUT_OF_BAND_BYTES:
            return True
        out_of_band.append(view)
        return False

    file = io.BytesIO()
    pickler = pickle.Pickler(file, protocol=5, buffer_callback=is_in_band)
    pickler.dispatch_table = _reducers()
    pickler.dump(value)
    payload = file.getvalue()
    head = _HEADER.pack(_MAGIC, kind, number, len(out_of_band), len(payload))
    sizes = b"".join(_SIZE.pack(view.nbytes) for view in out_of_band)
    if len(payload) < _JOINED_BYTES:
        return [head + sizes + payload, *out_of_band]
    return [head + sizes, payload, *out_of_band]


class FrameReader:
    """Reads frames from a socket, continuing where it was interrupted.

    On a non-blocking socket, :meth:`read` raises ``BlockingIOError`` while a frame
    is incomplete; call it again to continue.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parts: list[bytearray] = []
        self._index = 0
        self._filled = 0
        self._frame: Frame | None = None
        self._reset()

    def read(self) -> Frame:
        """Read the next frame.

        Raises
        ------
        EOFError
            The other end is closed.
        BlockingIOError
            No more data has arrived yet.
        ProtocolError
            The data is not a valid frame.
        """
        while True:
            while self._index < len(self._parts):
                part = self._parts[self._index]
                if self._filled < len(part):
                    count = self._socket.recv_into(memoryview(part)[self._filled :])
                    if count == 0:
                        raise EOFError
                    self._filled += count
                if self._filled == len(part):
                    self._index += 1
                    self._filled = 0
            if self._frame is not None:
                frame = self._frame
                self._reset()
                return frame
            self._allocate_next()

    def _reset(self) -> None:
        self._parts = [bytearray(_HEADER.size)]
        self._index = 0
        self._filled = 0
        self._frame = None

    def _allocate_next(self) -> None:
        """Allocate the parts whose lengths are known by now."""
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
            raise ProtocolError("a message claims to be larger than memory") from error
        self._parts += [payload, *buffers]
        self._frame = Frame(kind, number, payload, buffers)


class FrameSender:
    """Sends frames over a non-blocking socket, continuing where the socket was full.

    A closed socket is not an error here: the next read reports it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._queue: deque[memoryview] = deque()

    @property
    def idle(self) -> bool:
        """Whether everything has been sent."""
        return not self._queue

    def send(self, parts: Sequence[bytes | memoryview]) -> None:
        """Queue the parts of a frame, and send what the socket accepts now."""
        self._queue.extend(memoryview(part).cast("B") for part in parts if len(part))
        self.flush()

    def flush(self) -> None:
        """Send as much of the queue as the socket accepts now."""
        try:
            while self._queue:
                part = self._queue[0]
                sent = self._socket.send(part)
                if sent < part.nbytes:
                    self._queue[0] = part[sent:]
                else:
                    self._queue.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._queue.clear()
