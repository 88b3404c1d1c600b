"""Which element types do ONNX, ONNXRuntime and numpy have in common?"""

from __future__ import annotations

from attrs import frozen

__all__ = ["ELEMENT_TYPES", "ElementType", "by_onnx_number", "by_ort_name"]


@frozen
class ElementType:
    """An element type and its three names.

    ``onnx_number`` is its ``TensorProto.DataType``, ``ort_name`` what ONNXRuntime
    writes inside ``tensor(…)``, and ``name`` its name in numpy or ml_dtypes, as
    in ``TensorSpec.dtype``.
    """

    onnx_number: int
    ort_name: str
    name: str


ELEMENT_TYPES = (
    ElementType(1, "float", "float32"),
    ElementType(2, "uint8", "uint8"),
    ElementType(3, "int8", "int8"),
    ElementType(4, "uint16", "uint16"),
    ElementType(5, "int16", "int16"),
    ElementType(6, "int32", "int32"),
    ElementType(7, "int64", "int64"),
    ElementType(9, "bool", "bool"),
    ElementType(10, "float16", "float16"),
    ElementType(11, "double", "float64"),
    ElementType(12, "uint32", "uint32"),
    ElementType(13, "uint64", "uint64"),
    ElementType(16, "bfloat16", "bfloat16"),
    ElementType(17, "float8e4m3fn", "float8_e4m3fn"),
    ElementType(18, "float8e4m3fnuz", "float8_e4m3fnuz"),
    ElementType(19, "float8e5m2", "float8_e5m2"),
    ElementType(20, "float8e5m2fnuz", "float8_e5m2fnuz"),
)
"""Types whose elements are whole bytes, as numpy arrays need."""

_BY_NUMBER = {item.onnx_number: item for item in ELEMENT_TYPES}
_BY_ORT_NAME = {f"tensor({item.ort_name})": item for item in ELEMENT_TYPES}


def by_onnx_number(number: int) -> ElementType | None:
    """Return the type with a ``TensorProto.DataType``; ``None`` if numpy has no such type."""
    return _BY_NUMBER.get(number)


def by_ort_name(name: str) -> ElementType | None:
    """Return the type that ONNXRuntime calls ``tensor(float)``, say; ``None`` if numpy has none."""
    return _BY_ORT_NAME.get(name)
