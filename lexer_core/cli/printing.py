"""How do commands print JSON documents and plain tables?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexer_core import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["print_json", "print_table"]


def print_json(schema_version: int, fields: Mapping[str, object]) -> None:
    """Print a JSON document that starts with its schema version and Lexer's version."""
    import json  # other output does not need it, and `lexer engines list` must start fast

    document = {"schema_version": schema_version, "lexer_version": __version__, **fields}
    click.echo(json.dumps(document, indent=2))


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows with left-aligned columns; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
