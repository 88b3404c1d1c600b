"""On which line of a TOML file is each key?

``tomllib`` does not report line numbers. A TOML document is a series of
statements, each a key with its value or the header of a table, and each a valid
document by itself. So lines are collected until the parser accepts them, and no
second TOML grammar is needed.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["key_lines"]

_Path = tuple[str, ...]


def key_lines(text: str) -> dict[_Path, int]:
    """Return the line on which each key and each table of a valid document begins.

    Returns
    -------
    dict
        Line numbers from 1, by the path of the key: ``("exports", "opset")``. For a
        table that appears several times, its first line.
    """
    lines: dict[_Path, int] = {}
    table: _Path = ()
    begin, statement = 1, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        statement += line + "\n"
        try:
            content = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # the statement continues on the next line
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


def _paths(content: Mapping[str, Any], parent: _Path = ()) -> Iterator[_Path]:
    for key, value in content.items():
        path = (*parent, key)
        yield path
        # The header of an array of tables is a list with one empty table.
        if isinstance(value, dict):
            yield from _paths(value, path)
