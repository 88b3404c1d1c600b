"""Does a model compute with integers beyond OpenVINO's arithmetic?

OpenVINO accepts int64 but computes in int32, which silently changes larger values.
Whether that changes the outputs depends on the model: a sentinel such as 2**63 - 1 may
be clamped away. So such values are not refused but named, in case the outputs are wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["beyond_int32", "find_wide_constant"]

_WIDE_TYPES = frozenset({"i64", "u32", "u64"})

_ARITHMETIC = frozenset(
    {
        "Add",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "Divide",
        "Equal",
        "FloorMod",
        "Greater",
        "GreaterEqual",
        "Less",
        "LessEqual",
        "Maximum",
        "Minimum",
        "Mod",
        "Multiply",
        "NotEqual",
        "Power",
        "Select",
        "Subtract",
    }
)
"""Operations whose result depends on the exact value. For others, a value such as
2**63 - 1 means "to the end", and OpenVINO clips it to the largest int32."""


def beyond_int32(array: npt.NDArray[Any]) -> bool:
    """Whether an array of integers has a value that does not fit into 32 bits."""
    limits = np.iinfo(np.int32)
    return bool(array.size and (array.min() < limits.min or array.max() > limits.max))


def find_wide_constant(model: Any) -> str:
    """Find a constant beyond 32 bits that is used in arithmetic.

    Returns
    -------
    str
        One of its values, its name and the operations; empty if there is none.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Constant":
            continue
        if node.get_output_element_type(0).get_type_name() not in _WIDE_TYPES:
            continue
        users = {each.get_node().get_type_name() for each in node.output(0).get_target_inputs()}
        if users & _ARITHMETIC and beyond_int32(node.data):
            value = max(node.data.flat, key=lambda each: abs(int(each)))
            operations = ", ".join(sorted(users & _ARITHMETIC))
            return f"{value} in {node.get_friendly_name()} ({operations})"
    return ""
