"""How does an exception get from a worker to its parent?

As text, because its class may belong to a runtime that the parent must not import. A
``LexerError`` arrives as itself, made from its documented fields; a plugin's subclass
of one arrives as the class of Lexer that it derives from. Any other exception arrives
as a :class:`~lexer_core.errors.RemoteError`.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from lexer_core import errors
from lexer_core.errors import LexerError, RemoteError, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["deserialize_error", "plain_error", "serialize_error"]

_OUT_OF_MEMORY = "The worker ran out of memory: use a smaller batch or fewer cases at once."

_LONGEST_TEXT = 100_000
"""Characters of a message or a traceback; the middle of a longer one is left out."""

_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, type(None)),
    "int | None": (int, type(None)),
    "float": (float, int),
}
"""The types that the fields of errors have, by annotation."""

_CLASSES: Mapping[str, type[LexerError]] = {name: getattr(errors, name) for name in errors.__all__}


def serialize_error(error: BaseException) -> dict[str, Any]:
    """Convert any exception to plain data."""
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    lexer_class = _lexer_class(error)
    return {
        "type_name": module + kind.__qualname__,
        "message": _clipped(text_of(error)),
        "traceback": _traceback(error),
        "lexer_class": None if lexer_class is None else lexer_class.__name__,
        "fields": {} if lexer_class is None else _plain_fields(error, lexer_class),
    }


def deserialize_error(serialized: object, method: str) -> LexerError:
    """Return the exception to raise in the parent.

    Parameters
    ----------
    serialized
        The result of :func:`serialize_error`, as it arrived.
    method
        The method that raised it.

    Raises
    ------
    ValueError
        The data does not describe an exception.
    """
    data = _mapping(serialized)
    type_name, message, trace = (_text(data, key) for key in ("type_name", "message", "traceback"))
    origin = f"In the worker:\n{trace}"
    name = data.get("lexer_class")
    if name is not None:
        error = _rebuilt(name, _mapping(data.get("fields")))
        error.add_note(origin)
        return error
    lines = message.strip().splitlines()
    text = f"{type_name}: {lines[0]}" if lines else type_name
    remote = RemoteError(
        f"{method!r} raised {text}",
        method=method,
        type_name=type_name,
        remote_message=message,
        traceback=trace,
        hint=_OUT_OF_MEMORY if type_name == "MemoryError" else "",
    )
    remote.add_note(origin)
    return remote


def plain_error(error: LexerError) -> LexerError:
    """Return an error of Lexer's own class, with fields of the declared types.

    A plugin may raise a subclass, or set fields to anything.
    """
    lexer_class = _lexer_class(error)
    assert lexer_class is not None  # LexerError, if nothing else
    fields = _plain_fields(error, lexer_class)
    if type(error) is not lexer_class:
        return lexer_class(**fields)
    error.__dict__.update(fields)
    return error


def _lexer_class(error: BaseException) -> type[LexerError] | None:
    """Return the class of Lexer that an exception is of, or derives from."""
    for kind in type(error).__mro__:
        known: type[LexerError] | None = _CLASSES.get(kind.__name__)
        if kind is known:
            return known
    return None


def _plain_fields(error: BaseException, lexer_class: type[LexerError]) -> dict[str, Any]:
    fields = {}
    for name, annotation in _annotations(lexer_class).items():
        default = _default(lexer_class, name)
        try:
            value = getattr(error, name)
        except Exception:  # its __init__ may not have called that of its base
            value = text_of(error) if name == "message" else default
        if type(value) not in _TYPES[annotation]:
            value = text_of(value) if "str" in annotation else default
        fields[name] = _clipped(value) if isinstance(value, str) else value
    return fields


def _annotations(lexer_class: type[LexerError]) -> dict[str, str]:
    """Return the annotations of the fields of an error."""
    annotations = lexer_class.__init__.__annotations__
    return {name: str(annotations[name]) for name in annotations if name != "return"}


def _default(lexer_class: type[LexerError], name: str) -> object:
    return (lexer_class.__init__.__kwdefaults__ or {}).get(name, "")


def _rebuilt(name: object, fields: Mapping[str, object]) -> LexerError:
    if not isinstance(name, str) or name not in _CLASSES:
        raise ValueError("an exception is of an unknown class")
    lexer_class = _CLASSES[name]
    arguments: dict[str, Any] = {}
    for field, annotation in _annotations(lexer_class).items():
        value = fields.get(field)
        if field not in fields or type(value) not in _TYPES[annotation]:
            raise ValueError(f"field {field!r} of {name} is not of type {annotation}")
        arguments[field] = _clipped(value) if isinstance(value, str) else value
    return lexer_class(**arguments)


def _traceback(error: BaseException) -> str:
    try:
        return _clipped("".join(traceback.format_exception(error)))
    except Exception as broken:  # it calls the exception's methods
        return f"(formatting the traceback raised {type(broken).__name__})"


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise ValueError("an exception is not described by a mapping")
    return value


def _text(data: Mapping[str, object], key: str) -> str:
    text = data.get(key)
    if type(text) is not str:
        raise ValueError(f"{key!r} of an exception is not text")
    return _clipped(text)


def _clipped(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2 - 10
    return f"{text[:half]}\n[...]\n{text[-half:]}"
