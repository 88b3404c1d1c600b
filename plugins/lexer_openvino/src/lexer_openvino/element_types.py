"""Which element types do OpenVINO and numpy have in common?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lexer_openvino_runtime import openvino

__all__ = ["BEYOND_INT32", "numpy_name"]

_NUMPY_NAMES = {
    "boolean": "bool",
    "i8": "int8",
    "i16": "int16",
    "i32": "int32",
    "i64": "int64",
    "u8": "uint8",
    "u16": "uint16",
    "u32": "uint32",
    "u64": "uint64",
    "f16": "float16",
    "bf16": "bfloat16",
    "f32": "float32",
    "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
}
"""By OpenVINO's names. float64 is missing because OpenVINO accepts it but computes in
float32, where 1e-300 becomes 0."""

BEYOND_INT32 = frozenset({"int64", "uint32", "uint64"})
"""Types with integers that OpenVINO's 32-bit arithmetic cannot represent."""


def numpy_name(element: openvino.Type) -> str | None:
    """Return the type's name as in ``TensorSpec.dtype``; ``None`` if numpy has no such type."""
    return _NUMPY_NAMES.get(element.get_type_name())
