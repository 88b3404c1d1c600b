"""The smallest ONNX models, written byte by byte: no package is needed to make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FLOAT32, INT64 = 1, 7


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    sizes = b"".join(
        _bytes(1, _number(1, size) if isinstance(size, int) else _bytes(2, size)) for size in shape
    )
    tensor = _number(1, kind) + _bytes(2, sizes)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor))


def identity_model(
    shape: Sequence[int | str] = (1, 3), name: str = "image", kind: int = FLOAT32
) -> bytes:
    """A model with one Identity node, of opset 18."""
    node = _bytes(1, name) + _bytes(2, "same") + _bytes(4, "Identity")
    graph = (
        _bytes(1, node)
        + _bytes(2, "tiny")
        + _bytes(11, _value(name, kind, shape))
        + _bytes(12, _value("same", kind, shape))
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _number(2, 18))
