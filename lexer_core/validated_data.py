"""Does data from a JSON or TOML file match a record?

The file may have been written by a newer version, edited, or made to do harm.
Whatever is wrong is an :class:`InvalidDataError` that names the place.
"""

from __future__ import annotations

import json
import reprlib
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import attrs

__all__ = ["InvalidDataError", "check_version", "parse_json", "parse_toml", "validated"]

_Reader = Callable[[object, str], object]
_Skip = Callable[["attrs.Attribute[Any]"], bool]


class InvalidDataError(ValueError):
    """Data does not match its record.

    Parameters
    ----------
    reason
        What is wrong.
    path
        Where: ``"results[0].engine"``; empty for the data as a whole.
    hint
        How to fix it; may be empty.
    expected
        What should be there instead, if the value has the wrong type.
    """

    def __init__(self, reason: str, path: str = "", *, hint: str = "", expected: str = "") -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.hint = hint
        self.expected = expected


def parse_json(text: str | bytes) -> object:
    """Parse JSON.

    Raises
    ------
    InvalidDataError
        The text is not valid JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDataError(f"not valid JSON: {error}") from error


def parse_toml(text: str) -> dict[str, object]:
    """Parse TOML.

    Raises
    ------
    InvalidDataError
        The text is not valid TOML.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidDataError(f"not valid TOML: {error}") from error


def check_version(data: object, key: str, supported: int) -> None:
    """Check the schema version that a file declares.

    Raises
    ------
    InvalidDataError
        It declares another version, or none.
    """
    table = _mapping(data, "")
    if key not in table:
        raise InvalidDataError(f"{key!r} is missing")
    version = _whole_number(table[key], key)
    if version != supported:
        raise InvalidDataError(
            f"schema version {version} is not supported; this lexer-core reads version {supported}",
            hint="Install a newer lexer-core." if version > supported else "",
        )


def validated(value: object, kind: Any, path: str = "", *, skip: _Skip | None = None) -> Any:
    """Convert parsed JSON or TOML to a record, and check every type on the way.

    Missing fields take their defaults, and unknown ones are ignored, so that a
    schema can grow within one version. Numbers and strings are not converted
    into each other.

    Parameters
    ----------
    value
        What was parsed.
    kind
        An attrs class, or any other type that its annotations may use: ``bool``,
        ``int``, ``float``, ``str``, ``object``, ``None``, ``Literal``, unions,
        ``Mapping[str, …]``, and ``tuple[…, ...]`` or ``Sequence`` for lists.
    path
        The place of ``value`` in the file, for errors.
    skip
        Returns whether a field of a record is never read from a file.

    Raises
    ------
    InvalidDataError
        The value does not match.
    """
    try:
        return _reader(kind, skip)(value, path)
    except RecursionError as error:
        raise InvalidDataError("nested too deeply", path) from error


def _reader(kind: Any, skip: _Skip | None) -> _Reader:
    """Return the function that checks and converts values of one type."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    if attrs.has(kind):
        return lambda value, path: _record(value, path, kind, skip)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return lambda value, path: _choice(value, path, arguments)
    if origin is UnionType:
        return _union([_reader(argument, skip) for argument in arguments])
    if origin in (tuple, Sequence):
        return _list(_reader(arguments[0], skip))
    if origin is Mapping:
        return _map(_reader(arguments[1], skip))
    raise TypeError(f"a file cannot hold values of type {kind!r}")


def _record(value: object, path: str, record: type[Any], skip: _Skip | None) -> object:
    data = _mapping(value, path)
    arguments = {}
    for field in attrs.fields(record):
        if skip is not None and skip(field):
            continue
        if field.name in data:
            read = _reader(_type_of(field, record), skip)
            arguments[field.name] = read(data[field.name], _join(path, field.name))
        elif field.default is attrs.NOTHING:
            raise InvalidDataError(f"{_join(path, field.name)!r} is missing")
    try:
        return record(**arguments)
    except ValueError as error:  # from a validator
        raise InvalidDataError(str(error), path) from error


def _type_of(field: attrs.Attribute[Any], record: type[Any]) -> Any:
    """Resolve the annotation of one field.

    ``typing.get_type_hints`` resolves all of them or none, and those of skipped
    fields may need numpy.
    """
    annotation: Any = field.type
    if not isinstance(annotation, str):
        return annotation
    names: dict[str, object] = {}
    for base in reversed(record.__mro__):
        names |= vars(sys.modules[base.__module__])
    return eval(annotation, names)  # noqa: S307  the text is our own source code


def _list(read: _Reader) -> _Reader:
    def read_list(value: object, path: str) -> object:
        if not isinstance(value, list | tuple):
            raise _unexpected(value, path, "a list")
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(value))

    return read_list


def _map(read: _Reader) -> _Reader:
    def read_map(value: object, path: str) -> object:
        items = _mapping(value, path).items()
        return {key: read(item, _join(path, key)) for key, item in items}

    return read_map


def _union(readers: list[_Reader]) -> _Reader:
    def read_union(value: object, path: str) -> object:
        errors = []
        for read in readers:
            try:
                return read(value, path)
            except InvalidDataError as error:
                if read is not _none:
                    errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        raise _unexpected(value, path, " or ".join(error.expected for error in errors))

    return read_union


def _choice(value: object, path: str, choices: tuple[object, ...]) -> object:
    if value not in choices:
        raise _unexpected(value, path, f"one of {', '.join(map(repr, choices))}")
    return value


def _mapping(value: object, path: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _unexpected(value, path, "a mapping")
    return value


def _string(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise _unexpected(value, path, "a string")
    return value


def _boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise _unexpected(value, path, "true or false")
    return value


def _whole_number(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unexpected(value, path, "a whole number")
    return value


def _number(value: object, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _unexpected(value, path, "a number")
    try:
        return float(value)
    except OverflowError:
        raise _unexpected(value, path, "a number that fits in a float") from None


def _none(value: object, path: str) -> None:
    if value is not None:
        raise _unexpected(value, path, "nothing")


def _anything(value: object, path: str) -> object:
    del path  # every value is valid
    return value


_SCALARS: Mapping[Any, _Reader] = {
    bool: _boolean,
    float: _number,
    int: _whole_number,
    NoneType: _none,
    object: _anything,
    str: _string,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unexpected(value: object, path: str, expected: str) -> InvalidDataError:
    reason = f"expected {expected}, got {reprlib.repr(value)}"
    return InvalidDataError(reason, path, expected=expected)
