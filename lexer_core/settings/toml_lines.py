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
        table that appears several times, its first line. The path of an array of tables
        is followed by the number of the table: ``("runs", "0", "targets")``.
    """
    lines: dict[_Path, int] = {}
    table: _Path = ()
    counts: dict[_Path, int] = {}
    begin, statement = 1, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        statement += line + "\n"
        try:
            content = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # the statement continues on the next line
        paths = list(_paths(content))
        if statement.lstrip().startswith("["):
            table = _table(paths[-1], counts, is_new=statement.lstrip().startswith("[["))
            paths = [table[: depth + 1] for depth in range(len(table))]
        else:
            paths = [(*table, *path) for path in paths]
        for path in paths:
            lines.setdefault(path, begin)
        begin, statement = number + 1, ""
    return lines


def _table(header: _Path, counts: dict[_Path, int], *, is_new: bool) -> _Path:
    """Return the path of a table, with numbers after the arrays of tables that it is in."""
    path: _Path = ()
    for depth, name in enumerate(header, start=1):
        path = (*path, name)
        if is_new and depth == len(header):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, str(counts[path]))
    return path


def _paths(content: Mapping[str, Any], parent: _Path = ()) -> Iterator[_Path]:
    for key, value in content.items():
        path = (*parent, key)
        yield path
        # The header of an array of tables is a list with one empty table.
        if isinstance(value, dict):
            yield from _paths(value, path)
