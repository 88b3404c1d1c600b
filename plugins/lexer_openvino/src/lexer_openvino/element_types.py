"""Which element types do OpenVINO and numpy share?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from lexer_openvino_runtime import openvino

__all__ = ["BEYOND_INT32", "numpy_dtype"]

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
"""By OpenVINO's names. float64 is missing: OpenVINO takes it and computes in float32,
so that 1e-300 becomes 0."""

BEYOND_INT32 = frozenset({"int64", "uint32", "uint64"})
"""Types that hold whole numbers which OpenVINO's 32-bit arithmetic does not."""


def numpy_dtype(element: openvino.Type) -> np.dtype[Any] | None:
    """Turn OpenVINO's type into numpy's, ml_dtypes' included; ``None`` if it is not shared."""
    name = _NUMPY_NAMES.get(element.get_type_name())
    return None if name is None else np.dtype(getattr(ml_dtypes, name, name))
