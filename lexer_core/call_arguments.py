"""What did a caller pass for an argument that is one value, or several?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from lexer_core.errors import UsageError
from lexer_core.typed_values import convert_value

__all__ = ["number_of", "numbers_of", "text_of", "texts_of"]

Number = TypeVar("Number", int, float)


def numbers_of(name: str, kind: type[Number], given: object) -> tuple[Number, ...]:
    """Return the numbers of an argument that is one, or several of them; ``None`` is none.

    Raises
    ------
    UsageError
        Something else is among them.
    """
    # A number of numpy is converted to one of Python.
    plain = [each.item() if hasattr(each, "item") else each for each in _listed(given)]
    numbers = [convert_value(kind, each) for each in plain]
    if None in numbers:
        what = "whole numbers" if kind is int else "numbers"
        raise UsageError(
            f"{name}={given!r} are not {what}.", hint=f"Pass one or a list, such as {name}=[1, 2]."
        )
    return cast("tuple[Number, ...]", tuple(numbers))


def number_of(name: str, kind: type[Number], given: object) -> Number:
    """Return the number of an argument that is one.

    Raises
    ------
    UsageError
        It is something else.
    """
    numbers = numbers_of(name, kind, given)
    if len(numbers) != 1:
        raise UsageError(f"{name}={given!r} is not one number.")
    return numbers[0]


def texts_of(name: str, given: object) -> tuple[str, ...]:
    """Return the texts of an argument that is one, or several of them; ``None`` is none.

    Raises
    ------
    UsageError
        Something else is among them.
    """
    texts = _listed(given)
    if not all(isinstance(each, str) for each in texts):
        raise UsageError(f"{name}={given!r} is neither text nor a list of texts.")
    return tuple(texts)


def text_of(name: str, given: object) -> str:
    """Return the text of an argument that is one.

    Raises
    ------
    UsageError
        It is something else.
    """
    if not isinstance(given, str):
        raise UsageError(f"{name}={given!r} is not text.")
    return given


def _listed(given: object) -> list[Any]:
    if given is None:
        return []
    return [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
