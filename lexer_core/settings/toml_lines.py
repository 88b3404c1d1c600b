"""In which line of a TOML file does each key stand?

``tomllib`` does not tell. A TOML document is a series of statements, each a key
with its value or the header of a table, and each a valid document by itself; so
lines are gathered until the parser accepts what was gathered. No second grammar
of TOML is needed.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["key_lines"]

_Path = tuple[str, ...]


def key_lines(text: str) -> dict[_Path, int]:
    """Find the line in which each key and each table of a valid document begins.

    Returns
    -------
    dict
        Line numbers from 1, by the path to the key: ``("exports", "opset")``.
        Where a table appears several times, its first line.
    """
    lines: dict[_Path, int] = {}
    table: _Path = ()
    begin, statement = 1, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        statement += line + "\n"
        try:
            content = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # it goes on in the next line
        paths = list(_paths(content))
        if statement.lstrip().startswith("["):
            table = paths[-1]
            paths = [table[: depth + 1] for depth in range(len(table))]
        else:
            paths = [(*table, *path) for path in paths]
        for path in paths:
            lines.setdefault(path, begin)
        begin, statement = number + 1, ""
    return lines


def _paths(content: Mapping[str, Any], above: _Path = ()) -> Iterator[_Path]:
    for key, value in content.items():
        path = (*above, key)
        yield path
        # The header of an array of tables is a list with one empty table.
        if isinstance(value, dict):
            yield from _paths(value, path)
