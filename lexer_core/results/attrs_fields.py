"""How do the records of a result hold their values?

Converters and field makers, so that a record made with numpy's scalars, lists
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
"""Metadata of a field that stays out of ``to_dict``: raw samples, logs, models.

In a ``.lexer`` file each has a place of its own (docs/artifact.md).
"""


def plain(value: object) -> object:
    """Turn a value into what JSON knows: None, bool, int, float, str, list, dict.

    Records become dicts, numpy scalars and arrays become numbers and lists,
    and anything else its own text. Floats that are not finite stay floats.
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
    # numpy's scalars and arrays, without importing numpy.
    convert = getattr(value, "tolist", None)
    return plain(convert()) if callable(convert) else str(value)


def is_raw(attribute: attrs.Attribute[Any]) -> bool:
    """Tell whether a field is raw: samples, a log, models, which stay out of ``to_dict``."""
    return bool(attribute.metadata.get("raw"))


def as_float(value: Any) -> Any:
    """Turn any real number into a float; ``None`` stays."""
    return None if value is None else float(value)


def as_int(value: Any) -> Any:
    """Turn any whole number into an int; ``None`` stays."""
    return None if value is None else int(value)


def comparable(value: Any) -> Any:
    """Turn a number into what equality looks at: NaN differs from itself, reports need not."""
    return "nan" if value != value else value  # noqa: PLR0124


def number(default: float | None = None) -> Any:
    """Make a field for a float or ``None``."""
    return field(default=default, converter=as_float, eq=comparable)


def count(default: int | None = None) -> Any:
    """Make a field for an int or ``None``."""
    return field(default=default, converter=as_int)


def plain_mapping(value: Mapping[str, object]) -> dict[str, object]:
    """Turn a mapping into one of JSON types, so that it survives being saved."""
    return {str(key): plain(item) for key, item in value.items()}


def mapping() -> Any:
    """Make a field for a mapping, kept as a dict of its own."""
    return field(factory=dict, converter=dict)


def texts(value: Iterable[object]) -> tuple[str, ...]:
    """Turn a sequence into a tuple of texts; a text alone is a mistake."""
    if isinstance(value, str):
        raise TypeError(f"a sequence of texts is needed, not the text {value!r}")
    return tuple(str(item) for item in value)


def join_path(path: str, name: str) -> str:
    """Name a field within another: ``"environment.cpu_model"``."""
    return f"{path}.{name}" if path else name


def map_leaves(value: object, path: str, change: Callable[[object, str], object]) -> object:
    """Replace every leaf of nested JSON types by ``change(leaf, path)``."""
    if isinstance(value, Mapping):
        return {key: map_leaves(item, join_path(path, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_leaves(item, f"{path}[{at}]", change) for at, item in enumerate(value)]
    return change(value, path)


def without_not_finite(value: object, not_finite: dict[str, str]) -> object:
    """Replace floats that are not finite by ``None``, and record them in ``not_finite``."""

    def change(leaf: object, path: str) -> object:
        if isinstance(leaf, float) and not math.isfinite(leaf):
            not_finite[path] = str(leaf)
            return None
        return leaf

    return map_leaves(value, "", change)
