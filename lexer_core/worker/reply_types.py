"""Is a worker's reply of the type that the method declares?

The type is the return annotation of the method of the hosted class. It is the only
list of what may arrive: records of the core, and plain data.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from lexer_core.validated_data import reader, resolve_annotation

if TYPE_CHECKING:
    from collections.abc import Callable

    import attrs

__all__ = ["read_reply"]


def read_reply(hosted: type | None, method: str, value: object) -> Any:
    """Convert a reply to the declared type.

    Parameters
    ----------
    hosted
        The class of the hosted object; ``None`` accepts any plain data.
    method
        The method that was called.
    value
        Plain data.

    Raises
    ------
    InvalidDataError
        The value is not of that type.
    """
    return value if hosted is None else _reply_reader(hosted, method)(value, "")


@cache
def _reply_reader(hosted: type, method: str) -> Callable[[object, str], object]:
    function = getattr(hosted, method)
    names = vars(sys.modules[function.__module__])
    return reader(resolve_annotation(function.__annotations__["return"], names), _is_not_sent)


def _is_not_sent(field: attrs.Attribute[Any]) -> bool:
    return not field.init or field.name.startswith("_")
