"""Does a model compute with whole numbers that OpenVINO's arithmetic does not hold?

OpenVINO takes int64 and computes in int32: what lies beyond becomes another
number, without a word.
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
"""Operations whose result depends on the number itself. To others a number such as
2**63 - 1 means "to the end", and becomes the greatest that there is."""


def beyond_int32(array: npt.NDArray[Any]) -> bool:
    """Whether an array of whole numbers has one that 32 bits do not hold."""
    limits = np.iinfo(np.int32)
    return bool(array.size and (array.min() < limits.min or array.max() > limits.max))


def find_wide_constant(model: Any) -> str:
    """Find a constant beyond 32 bits that the model computes with.

    Returns
    -------
    str
        Its name and what is done with it; empty where there is none.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Constant":
            continue
        if node.get_output_element_type(0).get_type_name() not in _WIDE_TYPES:
            continue
        users = {each.get_node().get_type_name() for each in node.output(0).get_target_inputs()}
        if users & _ARITHMETIC and beyond_int32(node.data):
            return f"{node.get_friendly_name()} ({', '.join(sorted(users & _ARITHMETIC))})"
    return ""
