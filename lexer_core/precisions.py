"""Which precisions can a user ask for, and which one does a name mean?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FLOAT_ALIASES", "PRECISIONS", "is_lower", "precision_name"]

PRECISIONS = ("float32", "float16", "bfloat16", "int8-dynamic", "int8-weights")
"""The names that every engine understands or refuses; engines may declare others.

``int8-dynamic``: weights in int8, activations converted to int8 in each call.
``int8-weights``: only the weights in int8.
"""

_ORDINARY = ("", "float32", "float64")

FLOAT_ALIASES: Mapping[str, str] = {
    "half": "float16",
    "fp16": "float16",
    "bf16": "bfloat16",
    "float": "float32",
    "fp32": "float32",
    "double": "float64",
    "fp64": "float64",
}
"""Names that torch and its users have for some types."""


def precision_name(text: str) -> str:
    """Return the name of a precision: ``"bfloat16"`` for ``"bf16"`` and ``"BFloat16"``."""
    name = text.strip().lower().replace("_", "-")
    return FLOAT_ALIASES.get(name, name)


def is_lower(precision: str) -> bool:
    """Return whether a precision is below that of an ordinary model."""
    return precision not in _ORDINARY
