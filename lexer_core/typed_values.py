"""Is a value of its declared type, and what does text such as ``"4"`` mean?

Engine options and settings both have a declared type. Their values come from
Python, from TOML files, or as text from the command line and the environment.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lexer_core.errors import SettingError
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.records import OptionValue

__all__ = ["convert_value", "validate_value"]

_TYPE_NAMES: Mapping[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}
"""What an error message calls each type."""

_TRUE = {"true", "1", "yes", "on"}
_FALSE = {"false", "0", "no", "off"}


def validate_value(
    kind: type,
    value: object,
    what: str,
    *,
    strict: bool = False,
    choices: Sequence[OptionValue] = (),
    hint: str = "",
) -> OptionValue:
    """Return a value as its declared type, or raise an error that says what is wrong.

    Parameters
    ----------
    kind, value, strict
        As for :func:`convert_value`.
    what
        The value's name and origin, which begin the message:
        ``"setting 'threads' in LEXER_THREADS"``.
    choices
        The allowed values; empty allows all.
    hint
        The error's hint.

    Raises
    ------
    SettingError
        The value has the wrong type or is not one of the choices.
    """
    converted = convert_value(kind, value, strict=strict)
    if converted is None:
        raise SettingError(f"{what} is {value!r}; it must be {_TYPE_NAMES[kind]}.", hint=hint)
    if choices and converted not in choices:
        allowed = ", ".join(map(repr, choices))
        nearest = did_you_mean(str(value), map(str, choices)).strip()
        raise SettingError(
            f"{what} is {value!r}; it must be one of {allowed}.", hint=nearest or hint
        )
    return converted


def convert_value(kind: type, value: object, *, strict: bool = False) -> OptionValue | None:
    """Convert a value to its declared type without loss.

    Parameters
    ----------
    kind
        ``bool``, ``int``, ``float`` or ``str``.
    value
        A Python object, or text.
    strict
        Reject text, ``1`` for ``True`` and ``2.0`` for ``2``. An ``int`` is
        still a valid ``float``.

    Returns
    -------
    bool, int, float, str or None
        ``None`` if the value does not convert. NaN is not a number.
    """
    if strict and not isinstance(value, (int, float) if kind is float else kind):
        return None
    # bool is a subclass of int, but threads=True is a mistake.
    if isinstance(value, bool) and kind is not bool:
        return None
    return _CONVERTERS[kind](value)


def _to_bool(value: object) -> bool | None:
    if not isinstance(value, str | int):
        return None
    text = str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def _to_int(value: object) -> int | None:
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if not isinstance(value, str | int):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _to_float(value: object) -> float | None:
    if not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):  # an integer may be too large
        return None
    return None if math.isnan(number) else number


def _to_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_CONVERTERS: Mapping[type, Callable[[object], OptionValue | None]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: _to_text,
}
