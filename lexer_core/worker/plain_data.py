"""How is data encoded so that reading it runs no code?

A worker's replies are written in this format, because the worker runs code that the
parent does not trust. The reader can produce nothing but ``None``, booleans, numbers,
text, bytes, paths, lists, tuples, sets, dicts with text as keys, and numpy arrays of
numbers. Records are written as dicts of their public fields; the parent knows which
record it expects (:mod:`lexer_core.worker.reply_types`). The structure of a model's call
stays pickled: the parent only passes it on to another worker.

Large arrays and bytes are kept out of the encoded data, so that they are sent without
a copy.
"""

from __future__ import annotations

import math
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Buffer = bytearray | memoryview

__all__ = ["PlainDataError", "decode", "encode"]

_OUT_OF_BAND_BYTES = 64 * 1024
"""Buffers from this size on are sent out of band; smaller ones are cheaper to copy."""

_DEEPEST = 64
_MOST_VALUES = 1 << 20
"""Limits of what the reader accepts. A value takes one byte at least, so the second one
limits the memory that a short message can take."""

_NUMBER_DTYPES = frozenset(
    (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "float96", "float128"),
        *("complex64", "complex128", "complex192", "complex256"),
    )
)

_ML_DTYPES = frozenset(("bfloat16", "int2", "int4", "uint2", "uint4"))
_ML_FLOATS = ("float4_", "float6_", "float8_")
"""The types that ml_dtypes adds; the second are prefixes."""

_INT = struct.Struct("<q")
_FLOAT = struct.Struct("<d")
_SIZE = struct.Struct("<Q")
_BYTE = struct.Struct("<B")


class PlainDataError(ValueError):
    """A value is not plain data, or bytes do not encode plain data."""


def encode(value: object) -> tuple[bytearray, list[memoryview]]:
    """Encode a value.

    Subclasses of the plain types are written as these: a numpy scalar as a number, an
    array of a subclass as an array.

    Returns
    -------
    bytearray
        The encoded value, without the large buffers.
    list of memoryview
        The large buffers.

    Raises
    ------
    PlainDataError
        The value is not plain data.
    """
    writer = _Writer()
    writer.write(value, 0)
    return writer.data, writer.buffers


def decode(data: Buffer, buffers: Sequence[Buffer]) -> Any:
    """Decode a value; arrays use the buffers and are writable.

    Raises
    ------
    PlainDataError
        The bytes are not what :func:`encode` returns.
    """
    reader = _Reader(memoryview(data), buffers)
    try:
        value = reader.read(0)
        reader.finish()
    except (ValueError, TypeError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise PlainDataError(f"{type(error).__name__}: {error}") from error
    return value


class _Writer:
    def __init__(self) -> None:
        self.data = bytearray()
        self.buffers: list[memoryview] = []

    def write(self, value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise PlainDataError(f"a value is nested more than {_DEEPEST} levels deep")
        kind = type(value)
        if value is None:
            self.data += b"N"
        elif kind is float:
            self.data += b"f" + _FLOAT.pack(value)
        elif kind is int:
            self._int(value)
        elif kind is str:
            self._text(value)
        elif kind is bool:
            self.data += b"T" if value else b"F"
        elif kind is tuple:
            self._items(b"t", value, depth)
        elif kind is list:
            self._items(b"l", value, depth)
        elif kind is dict:
            self._dict(value, depth)
        else:
            self._other(value, depth)

    def _int(self, value: int) -> None:
        try:
            self.data += b"i" + _INT.pack(value)
        except struct.error:
            raise PlainDataError("a whole number has more than 64 bits") from None

    def _text(self, value: str) -> None:
        # Half of a surrogate pair is not text, and could not be printed.
        encoded = value.encode("utf-8", "backslashreplace")
        self.data += b"s" + _SIZE.pack(len(encoded)) + encoded

    def _items(self, tag: bytes, items: Sequence[object] | AbstractSet[Any], depth: int) -> None:
        self.data += tag + _SIZE.pack(len(items))
        for item in items:
            self.write(item, depth + 1)

    def _dict(self, items: Mapping[Any, object], depth: int) -> None:
        self.data += b"d" + _SIZE.pack(len(items))
        for key, item in items.items():
            if not isinstance(key, str):
                raise PlainDataError(f"a key is of type {type(key).__qualname__}, not str")
            self._text(str.__str__(key))
            self.write(item, depth + 1)

    def _bytes(self, tag: bytes, value: bytes | bytearray | memoryview) -> None:
        view = memoryview(value).cast("B")
        if view.nbytes < _OUT_OF_BAND_BYTES:
            self.data += tag + _SIZE.pack(view.nbytes) + view
        else:
            self.data += tag.upper()
            self.buffers.append(view)

    def _other(self, value: Any, depth: int) -> None:
        records = sys.modules.get("lexer_core.records")
        if records is not None and isinstance(value, records.CallStructure):
            import cloudpickle  # slow to import, and most replies have no structure

            self.data += b"S"
            self._bytes(b"b", cloudpickle.dumps(value))
        elif isinstance(value, PurePath):
            encoded = os.fsencode(value)
            self.data += b"p" + _SIZE.pack(len(encoded)) + encoded
        elif isinstance(value, str):
            self._text(str.__str__(value))
        elif isinstance(value, int):
            self._int(int(value))
        elif isinstance(value, float):
            self.data += b"f" + _FLOAT.pack(value)
        elif isinstance(value, bytes | bytearray):
            self._bytes(b"b", value)
        elif isinstance(value, tuple):
            self._items(b"t", tuple(value), depth)
        elif isinstance(value, list):
            self._items(b"l", list(value), depth)
        elif isinstance(value, AbstractSet):
            self._items(b"e", frozenset(value), depth)
        elif isinstance(value, Mapping):
            self._dict(dict(value), depth)
        elif hasattr(type(value), "__attrs_attrs__"):
            self._dict(_public_fields(value), depth)
        else:
            self._of_numpy(value)

    def _of_numpy(self, value: Any) -> None:
        numpy = sys.modules.get("numpy")  # until it is imported, there is no array
        if numpy is not None and isinstance(value, numpy.ndarray):
            self._array(numpy.asarray(value))
        elif numpy is not None and isinstance(value, numpy.bool_):
            self.data += b"T" if value else b"F"
        elif numpy is not None and isinstance(value, numpy.integer):
            self._int(int(value))
        elif numpy is not None and isinstance(value, numpy.floating):
            self.data += b"f" + _FLOAT.pack(float(value))
        else:
            raise PlainDataError(f"a value of type {type(value).__qualname__} is not plain data")

    def _array(self, array: Any) -> None:
        dtype = array.dtype.newbyteorder("=")
        name = dtype.name
        of_ml_dtypes = dtype.type.__module__.partition(".")[0] == "ml_dtypes"
        if not of_ml_dtypes and name not in _NUMBER_DTYPES:
            raise PlainDataError(f"an array of {array.dtype} does not hold numbers")
        self.data += b"a" + _BYTE.pack(len(name)) + name.encode("ascii")
        self.data += _BYTE.pack(array.ndim)
        for size in array.shape:
            self.data += _SIZE.pack(size)
        flat = array.astype(dtype, order="C", copy=False).reshape(-1)
        # As bytes, because the types of ml_dtypes are not known to memoryview.
        self._bytes(b"b", memoryview(flat.view("uint8")))


def _public_fields(record: Any) -> dict[str, object]:
    return {
        field.name: getattr(record, field.name)
        for field in type(record).__attrs_attrs__
        if field.init and not field.name.startswith("_")
    }


class _Reader:
    def __init__(self, data: memoryview, buffers: Sequence[Buffer]) -> None:
        self._data = data
        self._position = 0
        self._buffers = iter(buffers)
        self._left = _MOST_VALUES

    def read(self, depth: int) -> Any:
        self._left -= 1
        if depth > _DEEPEST or self._left < 0:
            raise PlainDataError("too many values, or nested too deeply")
        tag = self._take(1)[0]
        read = _READERS.get(tag)
        if read is None:
            raise PlainDataError(f"{bytes([tag])!r} does not begin a value")
        return read(self, depth)

    def finish(self) -> None:
        if self._position != len(self._data) or next(self._buffers, None) is not None:
            raise PlainDataError("there is more data than one value")

    def _take(self, count: int) -> memoryview:
        end = self._position + count
        if end > len(self._data):
            raise PlainDataError("the data ends within a value")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def _size(self) -> int:
        (size,) = _SIZE.unpack(self._take(8))
        return int(size)

    def _int(self, _: int) -> int:
        (value,) = _INT.unpack(self._take(8))
        return int(value)

    def _float(self, _: int) -> float:
        (value,) = _FLOAT.unpack(self._take(8))
        return float(value)

    def _text(self, _: int = 0) -> str:
        return str(self._take(self._size()), "utf-8")

    def _path(self, _: int) -> Path:
        encoded = bytes(self._take(self._size()))
        if b"\0" in encoded:
            raise PlainDataError("a path contains a null byte")
        return Path(os.fsdecode(encoded))

    def _items(self, depth: int) -> list[Any]:
        return [self.read(depth + 1) for _ in range(self._size())]

    def _tuple(self, depth: int) -> tuple[Any, ...]:
        return tuple(self._items(depth))

    def _set(self, depth: int) -> frozenset[Any]:
        return frozenset(self._items(depth))  # a TypeError if an item cannot be hashed

    def _dict(self, depth: int) -> dict[str, Any]:
        items = {}
        for _ in range(self._size()):
            if bytes(self._take(1)) != b"s":
                raise PlainDataError("a key is not text")
            key = self._text()
            items[key] = self.read(depth + 1)
        return items

    def _inline(self, _: int) -> bytes:
        return bytes(self._take(self._size()))

    def _out_of_band(self, _: int) -> bytes:
        return bytes(self._next_buffer())

    def _next_buffer(self) -> Buffer:
        buffer = next(self._buffers, None)
        if buffer is None:
            raise PlainDataError("a buffer is missing")
        return buffer

    def _structure(self, depth: int) -> object:
        from lexer_core.worker.pickled_structure import PickledStructure  # imports attrs

        pickled = self.read(depth + 1)
        if type(pickled) is not bytes:
            raise PlainDataError("the structure of a call is not bytes")
        return PickledStructure(pickled=pickled)

    def _array(self, _: int) -> Any:
        import numpy as np  # only if there is an array

        dtype = _number_dtype(str(self._take(self._take(1)[0]), "ascii"))
        shape = tuple([self._size() for _ in range(self._take(1)[0])])
        place = bytes(self._take(1))
        if place not in (b"b", b"B"):
            raise PlainDataError("an array has no data")
        buffer = bytearray(self._inline(0)) if place == b"b" else self._next_buffer()
        if math.prod(shape) * dtype.itemsize != len(buffer):
            raise PlainDataError(f"{len(buffer)} bytes are not an array of {dtype}{list(shape)}")
        return np.ndarray(shape, dtype, buffer) if len(buffer) else np.empty(shape, dtype)


def _number_dtype(name: str) -> Any:
    import numpy as np  # only if there is an array

    if name in _NUMBER_DTYPES:
        return np.dtype(name)  # a TypeError if this platform has no such type
    if name in _ML_DTYPES or name.startswith(_ML_FLOATS):
        import ml_dtypes  # rarely needed

        scalar = getattr(ml_dtypes, name, None)
        if isinstance(scalar, type):
            return np.dtype(scalar)
    raise PlainDataError(f"{name!r} is not a type of numbers")


_READERS: Mapping[int, Callable[[_Reader, int], Any]] = {
    ord("N"): lambda _reader, _depth: None,
    ord("T"): lambda _reader, _depth: True,
    ord("F"): lambda _reader, _depth: False,
    ord("i"): _Reader._int,
    ord("f"): _Reader._float,
    ord("s"): _Reader._text,
    ord("p"): _Reader._path,
    ord("l"): _Reader._items,
    ord("t"): _Reader._tuple,
    ord("e"): _Reader._set,
    ord("d"): _Reader._dict,
    ord("b"): _Reader._inline,
    ord("B"): _Reader._out_of_band,
    ord("S"): _Reader._structure,
    ord("a"): _Reader._array,
}
"""By the first byte of a value."""
