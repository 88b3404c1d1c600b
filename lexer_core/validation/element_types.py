"""What kind of number does an array hold, and how do two kinds differ?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[Any]

__all__ = ["is_float", "is_half", "is_pairs", "number_kind", "type_change", "wide"]


def number_kind(dtype: np.dtype[Any]) -> str:
    """Return the kind of number: ``b``, ``i``, ``f`` or ``c``."""
    if dtype.kind == "V":  # ml_dtypes
        return "f" if "float" in dtype.name else "i"
    return "i" if dtype.kind == "u" else dtype.kind


def is_float(dtype: np.dtype[Any]) -> bool:
    """Return whether numbers of a type are rounded."""
    # ml_dtypes types have kind V; their only integers have up to 4 bits.
    if dtype.kind == "V":
        return "float" in dtype.name
    return dtype.kind in "fc"


def is_half(dtype: str) -> bool:
    """Whether a floating-point type has at most 16 bits."""
    return dtype in ("float16", "bfloat16") or dtype.startswith("float8_")


def wide(array: Numbers) -> Numbers:
    """Convert to float64 or complex128."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def is_pairs(output: Numbers, reference: Numbers) -> bool:
    """Whether a complex output was returned with a last axis of real and imaginary parts."""
    return (
        reference.dtype.kind == "c"
        and number_kind(output.dtype) == "f"
        and output.shape == (*reference.shape, 2)
    )


def type_change(output: Numbers, reference: Numbers) -> str:
    """Describe how the element type differs from the reference's; empty if it does not."""
    if output.dtype.newbyteorder("=") == reference.dtype.newbyteorder("="):
        return ""
    return f"{output.dtype.name} instead of {reference.dtype.name}"
