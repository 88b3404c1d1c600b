"""Does data from a file or from another process match a record?

A JSON or TOML file may have been written by a newer version, edited, or made to do
harm; a worker process runs code that is not trusted. Whatever is wrong is an
:class:`InvalidDataError` that names the place.
"""

from __future__ import annotations

import builtins
import json
import re
import reprlib
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

import attrs

__all__ = [
    "InvalidDataError",
    "check_version",
    "is_safe_name",
    "parse_json",
    "parse_toml",
    "reader",
    "resolve_annotation",
    "validated",
]

_UNSAFE_IN_NAMES = re.compile(r'[\x00-\x1f\\:*?"<>|\x7f]')

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


def is_safe_name(name: str) -> bool:
    """Return whether a file of that name is inside its folder on every system."""
    return (
        not _UNSAFE_IN_NAMES.search(name)
        # Excludes "." and "..", and names that Windows would change.
        and all(part and part == part.rstrip(" .") for part in name.split("/"))
    )


def validated(value: object, kind: Any, path: str = "", *, skip: _Skip | None = None) -> Any:
    """Convert parsed data to a record, and check every type on the way.

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
        ``Mapping[str, …]``, and tuples or ``Sequence`` for lists. Data of a process may
        also have ``bytes``, ``Path``, ``frozenset`` and numpy arrays. ``Any`` stands for
        a live object, which data does not contain: it must be ``None``.
    path
        The place of ``value`` in the data, for errors.
    skip
        Returns whether a field of a record is never read.

    Raises
    ------
    InvalidDataError
        The value does not match.
    """
    return reader(kind, skip)(value, path)


@cache
def reader(kind: Any, skip: _Skip | None = None) -> _Reader:
    """Return the function that checks and converts values of one type.

    See :func:`validated`; the function takes ``value`` and ``path``.
    """
    read = _reader(kind, skip)

    def read_value(value: object, path: str) -> object:
        try:
            return read(value, path)
        except RecursionError as error:
            raise InvalidDataError("nested too deeply", path) from error

    return read_value


def resolve_annotation(annotation: Any, names: Mapping[str, Any]) -> Any:
    """Resolve an annotation of our own source code.

    ``typing.get_type_hints`` resolves all annotations of a class or none, and those of
    fields that are not read may need a framework.

    Parameters
    ----------
    annotation
        A type, or its text.
    names
        What the names in the text mean, besides those of :data:`_USUAL_NAMES`.
    """
    if not isinstance(annotation, str):
        return annotation
    return eval(annotation, {"__builtins__": builtins}, _Names(names))  # noqa: S307  our own code


class _Names(dict[str, Any]):
    """The names of a module, and those that modules import for type checking only."""

    def __missing__(self, name: str) -> Any:
        if name in _USUAL_NAMES:
            return _USUAL_NAMES[name]
        if name in ("np", "npt"):
            import numpy as np  # files do not contain arrays
            import numpy.typing as npt

            return np if name == "np" else npt
        raise KeyError(name)  # then it is a builtin name


def _reader(kind: Any, skip: _Skip | None) -> _Reader:
    if kind in _SCALARS:
        return _SCALARS[kind]
    if attrs.has(kind):
        return _record(kind, skip)
    origin, arguments = get_origin(kind), get_args(kind)
    if hasattr(origin, "__value__"):  # the alias of a type statement, as NDArray in numpy 2.5
        return _reader(origin.__value__[arguments], skip)
    if origin is Literal:
        return lambda value, path: _choice(value, path, arguments)
    if origin is UnionType:
        return _union([_reader(argument, skip) for argument in arguments])
    if origin is Sequence or (origin is tuple and arguments[-1] is Ellipsis):
        return _list(_reader(arguments[0], skip))
    if origin is tuple:
        return _fixed([_reader(argument, skip) for argument in arguments])
    if origin is frozenset:
        return _set(_reader(arguments[0], skip))
    if origin in (Mapping, dict):
        return _map(_reader(arguments[1], skip))
    if origin is not None and origin.__module__ == "numpy":
        return _array(get_args(arguments[1])[0])
    raise TypeError(f"data cannot contain values of type {kind!r}")


def _record(record: type[Any], skip: _Skip | None) -> _Reader:
    """Return the function that reads records of one class."""
    readers = _field_readers(record, skip)

    def read_record(value: object, path: str) -> object:
        if isinstance(value, record):  # parsed data contains none, except what was made for it
            return value
        data = _mapping(value, path)
        arguments = {}
        for name, (read, is_required) in readers.items():
            if name in data:
                arguments[name] = read(data[name], _join(path, name))
            elif is_required:
                raise InvalidDataError(f"{_join(path, name)!r} is missing")
        try:
            return record(**arguments)
        except ValueError as error:  # from a validator
            raise InvalidDataError(str(error), path) from error

    return read_record


def _field_readers(record: type[Any], skip: _Skip | None) -> dict[str, tuple[_Reader, bool]]:
    names: dict[str, Any] = {}
    for base in reversed(record.__mro__):
        names |= vars(sys.modules[base.__module__])
    return {
        field.name: (
            _reader(resolve_annotation(field.type, names), skip),
            field.default is attrs.NOTHING,
        )
        for field in attrs.fields(record)
        if skip is None or not skip(field)
    }


def _list(read: _Reader) -> _Reader:
    def read_list(value: object, path: str) -> object:
        if not isinstance(value, list | tuple):
            raise _unexpected(value, path, "a list")
        return tuple(read(item, f"{path}[{index}]") for index, item in enumerate(value))

    return read_list


def _fixed(readers: list[_Reader]) -> _Reader:
    expected = f"a list of {len(readers)}"

    def read_fixed(value: object, path: str) -> object:
        if not isinstance(value, list | tuple) or len(value) != len(readers):
            raise _unexpected(value, path, expected)
        return tuple(
            read(item, f"{path}[{index}]")
            for index, (read, item) in enumerate(zip(readers, value, strict=True))
        )

    return read_fixed


def _set(read: _Reader) -> _Reader:
    def read_set(value: object, path: str) -> object:
        if not isinstance(value, frozenset):
            raise _unexpected(value, path, "a set")
        return frozenset(read(item, path) for item in value)

    return read_set


def _array(scalar: Any) -> _Reader:
    """Return the function that reads arrays; ``Any`` as scalar type: of any numbers."""
    import numpy as np  # files do not contain arrays

    expected = "an array" if scalar is Any else f"an array of {scalar.__name__}"

    def read_array(value: object, path: str) -> object:
        if not isinstance(value, np.ndarray):
            raise _unexpected(value, path, expected)
        if scalar is not Any and value.dtype.type is not scalar:
            raise InvalidDataError(
                f"expected {expected}, got one of {value.dtype}", path, expected=expected
            )
        return value

    return read_array


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
                    # Its traceback would keep the caller's data alive in a cycle.
                    errors.append(error.with_traceback(None))
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
    if not -(2**63) <= value < 2**63:  # as arrays and other languages hold them
        raise _unexpected(value, path, "a whole number of 64 bits")
    return value


def _number(value: object, path: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _unexpected(value, path, "a number")
    try:
        return float(value)
    except OverflowError:
        raise _unexpected(value, path, "a number that fits in a float") from None


def _bytes(value: object, path: str) -> bytes:
    if not isinstance(value, bytes):
        raise _unexpected(value, path, "bytes")
    return value


def _path(value: object, path: str) -> Path:
    if not isinstance(value, Path):
        raise _unexpected(value, path, "a path")
    return value


def _none(value: object, path: str) -> None:
    if value is not None:
        raise _unexpected(value, path, "nothing")


def _anything(value: object, path: str) -> object:
    del path  # every value is valid
    return value


_SCALARS: Mapping[Any, _Reader] = {
    Any: _none,
    None: _none,
    Path: _path,
    bool: _boolean,
    bytes: _bytes,
    float: _number,
    int: _whole_number,
    NoneType: _none,
    object: _anything,
    str: _string,
}


_USUAL_NAMES: Mapping[str, Any] = {
    "Any": Any,
    "Literal": Literal,
    "Mapping": Mapping,
    "Path": Path,
    "Sequence": Sequence,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _unexpected(value: object, path: str, expected: str) -> InvalidDataError:
    reason = f"expected {expected}, got {reprlib.repr(value)}"
    return InvalidDataError(reason, path, expected=expected)
