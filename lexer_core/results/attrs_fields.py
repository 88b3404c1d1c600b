"""How do the records of a report store their values?

Converters and attrs fields. With them, a record made from numpy scalars, lists
and views is equal to the one that is read back from JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import attrs
from attrs import field

__all__ = [
    "RAW",
    "as_float",
    "comparable",
    "count",
    "is_raw",
    "join_path",
    "map_leaves",
    "mapping",
    "number",
    "plain",
    "plain_mapping",
    "texts",
    "without_not_finite",
]

RAW: Mapping[str, bool] = {"raw": True}
"""Metadata of a field that ``to_dict`` leaves out: raw samples, logs, models.

A ``.lexer`` file stores them separately (docs/artifact.md).
"""


def plain(value: object) -> object:
    """Convert a value to JSON types: None, bool, int, float, str, list, dict.

    Records become dicts, numpy scalars and arrays become numbers and lists, and
    anything else becomes its ``str``. Floats that are not finite stay floats.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    if attrs.has(type(value)):
        return {
            attribute.name: plain(getattr(value, attribute.name))
            for attribute in attrs.fields(cast("type[attrs.AttrsInstance]", type(value)))
            if not is_raw(attribute)
        }
    # numpy scalars and arrays, without importing numpy.
    convert = getattr(value, "tolist", None)
    return plain(convert()) if callable(convert) else str(value)


def is_raw(attribute: attrs.Attribute[Any]) -> bool:
    """Return whether ``to_dict`` leaves a field out: samples, a log, models."""
    return bool(attribute.metadata.get("raw"))


def as_float(value: Any) -> Any:
    """Convert a real number to float; ``None`` stays."""
    return None if value is None else float(value)


def as_int(value: Any) -> Any:
    """Convert a whole number to int; ``None`` stays."""
    return None if value is None else int(value)


def comparable(value: Any) -> Any:
    """Return what equality compares, so that NaN is equal to NaN."""
    return "nan" if value != value else value  # noqa: PLR0124


def number(default: float | None = None) -> Any:
    """Return a field for a float or ``None``."""
    return field(default=default, converter=as_float, eq=comparable)


def count(default: int | None = None) -> Any:
    """Return a field for an int or ``None``."""
    return field(default=default, converter=as_int)


def plain_mapping(value: Mapping[str, object]) -> dict[str, object]:
    """Convert a mapping to JSON types, so that it is equal after saving and loading."""
    return {str(key): plain(item) for key, item in value.items()}


def mapping() -> Any:
    """Return a field for a mapping, which is copied to a dict."""
    return field(factory=dict, converter=dict)


def texts(value: Iterable[object]) -> tuple[str, ...]:
    """Convert a sequence to a tuple of strings; a single string is an error."""
    if isinstance(value, str):
        raise TypeError(f"expected a sequence of strings, got the string {value!r}")
    return tuple(str(item) for item in value)


def join_path(path: str, name: str) -> str:
    """Return the path of a nested field: ``"environment.cpu_model"``."""
    return f"{path}.{name}" if path else name


def map_leaves(value: object, path: str, change: Callable[[object, str], object]) -> object:
    """Replace every leaf of nested JSON types by ``change(leaf, path)``."""
    if isinstance(value, Mapping):
        return {key: map_leaves(item, join_path(path, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_leaves(item, f"{path}[{at}]", change) for at, item in enumerate(value)]
    return change(value, path)


def without_not_finite(value: object, not_finite: dict[str, str]) -> object:
    """Replace floats that are not finite by ``None``, and add them to ``not_finite``."""

    def change(leaf: object, path: str) -> object:
        if isinstance(leaf, float) and not math.isfinite(leaf):
            not_finite[path] = str(leaf)
            return None
        return leaf

    return map_leaves(value, "", change)
