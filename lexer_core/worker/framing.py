"""How are messages between a worker and its parent encoded?

A message is a frame: a header with all lengths, the encoded value, and the large
buffers that the value refers to, sent out of band without a copy.

The two directions differ. A worker runs code of the user and of plugins, so what it
sends is plain data, and reading it runs nothing (:mod:`lexer_core.worker.plain_data`).
What the parent sends is a pickle (protocol 5): it may contain models, and the worker
trusts its parent. The structure of a model's call is pickled by value, because the
worker may be unable to import its container classes.

A worker imports this module before anything else, so it imports little.
"""

from __future__ import annotations

import copyreg
import io
import mmap
import pickle
import struct
import sys
from collections import ChainMap, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from lexer_core.machine.memory import available_memory_bytes
from lexer_core.worker import plain_data

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from lexer_core.records import CallStructure

    Part = bytes | bytearray | memoryview
    Buffer = bytearray | memoryview

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
    "encode_pickle",
    "encode_plain",
]

HELLO, CALL, RESULT, ERROR, NOTE = range(1, 6)
"""Kinds of frames."""

_MAGIC = b"LxW2"
_HEADER = struct.Struct("<4sBQIQ")  # magic, kind, number, count of buffers, bytes of the value
_SIZE = struct.Struct("<Q")

_OUT_OF_BAND_BYTES = 64 * 1024
"""Buffers from this size on are sent out of band; smaller ones are cheaper to copy."""

_JOINED_BYTES = 64 * 1024
"""A value below this size is joined with its header, which saves a system call."""

_MAPPED_BYTES = 1 << 20
"""Buffers from this size on are mapped: memory is used only once data arrives."""

_MOST_BUFFERS = 1 << 20
_MOST_PLAIN_BYTES = 256 << 20
"""What a worker may send in one frame: buffers, and bytes of the value without them."""

_UNCHECKED_BYTES = 256 << 20
"""A frame above this size must fit into the available memory."""


class ProtocolError(Exception):
    """The received bytes are not a valid frame; nothing after them can be read."""


class Frame(NamedTuple):
    """One message; its value is still encoded."""

    kind: int
    number: int
    value: Buffer
    buffers: list[Buffer]

    def unpickle(self) -> Any:
        """Unpickle a value from the parent; arrays use the buffers and are writable."""
        # Only a worker calls this, and it trusts its parent: no other process has an end
        # of the connection.
        return pickle.loads(self.value, buffers=self.buffers)  # noqa: S301

    def decode(self) -> Any:
        """Decode a value from a worker, which runs no code.

        Raises
        ------
        ProtocolError
            The value is not plain data.
        """
        try:
            return plain_data.decode(self.value, self.buffers)
        except plain_data.PlainDataError as error:
            raise ProtocolError(str(error)) from error


def _structure_by_value(
    structure: CallStructure,
) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    import cloudpickle  # slow to import, and most messages have no structure

    return pickle.loads, (cloudpickle.dumps(structure),)


def _structure_as_it_is(structure: Any) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    return pickle.loads, (structure.pickled,)


def _reducers() -> Any:
    # Looked up, not imported: without the modules, no message contains a structure.
    by_value: dict[type, Any] = {}
    records = sys.modules.get("lexer_core.records")
    if records is not None:
        by_value[records.CallStructure] = _structure_by_value
    pickled = sys.modules.get("lexer_core.worker.pickled_structure")
    if pickled is not None:
        by_value[pickled.PickledStructure] = _structure_as_it_is
    return ChainMap(by_value, copyreg.dispatch_table)


def encode_pickle(kind: int, number: int, value: object) -> list[Part]:
    """Return the parts of a frame for a worker, in sending order.

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
    return _frame(kind, number, file.getvalue(), out_of_band)


def encode_plain(kind: int, number: int, value: object) -> list[Part]:
    """Return the parts of a frame for the parent, in sending order.

    Raises
    ------
    PlainDataError
        The value is not plain data; nothing has been sent yet.
    """
    return _frame(kind, number, *plain_data.encode(value))


def _frame(
    kind: int, number: int, value: bytes | bytearray, buffers: Sequence[memoryview]
) -> list[Part]:
    head = _HEADER.pack(_MAGIC, kind, number, len(buffers), len(value))
    sizes = b"".join(_SIZE.pack(view.nbytes) for view in buffers)
    if len(value) < _JOINED_BYTES:
        return [head + sizes + value, *buffers]
    return [head + sizes, value, *buffers]


class FrameReader:
    """Reads frames from a socket, continuing where it was interrupted.

    On a non-blocking socket, :meth:`read` raises ``BlockingIOError`` while a frame
    is incomplete; call it again to continue.

    Parameters
    ----------
    sock
        The socket.
    trusted
        Whether the other end may send frames of any kind and size.
    """

    def __init__(self, sock: socket.socket, *, trusted: bool) -> None:
        self._socket = sock
        self._trusted = trusted
        self._filled = 0
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
            while self._filled < len(self._part):
                count = self._socket.recv_into(memoryview(self._part)[self._filled :])
                if count == 0:
                    raise EOFError
                self._filled += count
            frame = self._next_part()
            self._filled = 0
            if frame is not None:
                return frame

    def _reset(self) -> None:
        self._part: Buffer = bytearray(_HEADER.size)
        self._filled = 0
        self._head: tuple[int, int, int] | None = None
        self._sizes: deque[int] | None = None
        self._received: list[Buffer] = []

    def _next_part(self) -> Frame | None:
        """Begin the next part of the frame; return the frame if it is complete.

        A part is allocated once all parts before it have arrived, so that a header alone
        takes no memory.
        """
        try:
            if self._head is None:
                kind, number, count, size = self._read_head()
                self._head = kind, number, size
                self._part = bytearray(count * _SIZE.size)
                return None
            kind, number, size = self._head
            if self._sizes is None:
                self._sizes = deque([size, *(each for (each,) in _SIZE.iter_unpack(self._part))])
                self._check_size(sum(self._sizes))
            else:
                self._received.append(self._part)
            if self._sizes:
                self._part = _allocate(self._sizes.popleft())
                return None
        except (MemoryError, OverflowError, OSError, ValueError) as error:
            raise ProtocolError("a message claims to be larger than memory") from error
        value, *buffers = self._received
        self._reset()
        return Frame(kind, number, value, buffers)

    def _read_head(self) -> tuple[int, int, int, int]:
        magic, kind, number, count, size = _HEADER.unpack(self._part)
        if magic != _MAGIC:
            raise ProtocolError(f"a message begins with {bytes(self._part)!r}")
        if not self._trusted:
            if kind not in (RESULT, ERROR, NOTE):
                raise ProtocolError(f"a message is of unknown kind {kind}")
            if count > _MOST_BUFFERS or size > _MOST_PLAIN_BYTES:
                raise ProtocolError(f"a message claims to have {count} buffers and {size} bytes")
        return kind, number, count, size

    def _check_size(self, total: int) -> None:
        if self._trusted or total <= _UNCHECKED_BYTES:
            return
        if total > available_memory_bytes():
            raise ProtocolError(f"a message claims to be larger than memory: {total} bytes")


def _allocate(size: int) -> Buffer:
    """Return a writable buffer that takes no memory until it is written, if it is large."""
    if size < _MAPPED_BYTES:
        return bytearray(size)
    if hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    return memoryview(mmap.mmap(-1, size))  # Windows


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

    def send(self, parts: Sequence[Part]) -> None:
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
