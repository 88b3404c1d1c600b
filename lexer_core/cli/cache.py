"""What is kept for reuse, and how is it got rid of?"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import click

from lexer_core.export.cache import ExportCache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.export.entry import Entry

__all__ = ["SCHEMA_VERSION", "cache"]

SCHEMA_VERSION = 1
"""Raised when a field of the JSON is removed or changes its meaning."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_KEY_SHOWN = 12


class _Duration(click.ParamType[float]):
    """``90s``, ``15m``, ``12h``, ``30d``, ``2w``; a number alone is days."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Turn the text into seconds."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration such as 12h, 30d or 2w.", param, ctx)
        return float(match[1]) * _UNITS[match[2] or "d"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def cache(context: click.Context, as_json: bool) -> None:
    """Show or clear the exports that are kept for reuse.

    An export is used again where the traced model, its weights, the options
    and the versions of what made it are the same. Without a command: where the
    cache is, its size, its limit and the number of entries.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "cache":
    {"path", "size_bytes", "limit_bytes", "entries"}}.

    The folder is $LEXER_CACHE_DIR, otherwise the user's cache folder.
    """  # noqa: D301 - to click, \b is the character
    if context.invoked_subcommand is not None:
        return
    kept = ExportCache()
    entries = kept.entries()
    size = sum(entry.size_bytes for entry in entries)
    if as_json:
        facts = {
            "path": str(kept.directory),
            "size_bytes": size,
            "limit_bytes": kept.max_bytes,
            "entries": len(entries),
        }
        _print_json({"cache": facts})
    else:
        click.echo(f"place    {kept.directory}")
        click.echo(f"size     {_bytes(size)}")
        click.echo(f"limit    {_bytes(kept.max_bytes)}")
        click.echo(f"entries  {len(entries)}")
    _say_notes(kept)


@cache.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """List the exports that are kept, the last used first.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "entries": […]};
    each entry has key, model, format, exporter, size_bytes, export_seconds,
    and created_at and used_at in seconds since 1970.
    """  # noqa: D301 - to click, \b is the character
    kept = ExportCache()
    entries = kept.entries()
    if as_json:
        _print_json({"entries": [_as_json(entry) for entry in entries]})
    elif entries:
        _print_table(entries)
    else:
        click.echo("The cache is empty.")
    _say_notes(kept)


@cache.command("clear")
@click.option(
    "--older-than",
    type=_Duration(),
    default=None,
    metavar="DURATION",
    help="Only exports that were not used for so long: 12h, 30d, 2w; a number alone is days.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def clear_command(older_than: float | None, as_json: bool) -> None:
    """Remove exports from the cache.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "removed": […]}
    with the fields of `lexer cache list --json`.
    """  # noqa: D301 - to click, \b is the character
    kept = ExportCache()
    removed = kept.clear(older_than=older_than)
    if as_json:
        _print_json({"removed": [_as_json(entry) for entry in removed]})
    else:
        size = sum(entry.size_bytes for entry in removed)
        exports = "export" if len(removed) == 1 else "exports"
        click.echo(f"removed {len(removed)} {exports}, {_bytes(size)}")
    _say_notes(kept)


@cache.command("path")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def path_command(as_json: bool) -> None:
    """Print the folder in which exports are kept."""
    directory = str(ExportCache().directory)
    if as_json:
        _print_json({"path": directory})
    else:
        click.echo(directory)


def _say_notes(kept: ExportCache) -> None:
    for note in kept.take_notes():
        click.echo(f"Note: {note}", err=True)


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "key": entry.key,
        "model": entry.model_name,
        "format": entry.exported.format,
        "exporter": entry.exported.exporter,
        "size_bytes": entry.size_bytes,
        "export_seconds": round(entry.export_seconds, 3),
        "created_at": round(entry.created_at, 3),
        "used_at": round(entry.used_at, 3),
    }


def _print_table(entries: Sequence[Entry]) -> None:
    now = time.time()
    rows = [("KEY", "MODEL", "FORMAT", "SIZE", "EXPORT TOOK", "USED", "EXPORTER")]
    rows += [
        (
            entry.key[:_KEY_SHOWN],
            entry.model_name,
            entry.exported.format,
            _bytes(entry.size_bytes),
            f"{entry.export_seconds:.1f} s",
            f"{_age(now - entry.used_at)} ago",
            entry.exported.exporter,
        )
        for entry in entries
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _print_json(fields: dict[str, object]) -> None:
    from lexer_core import __version__

    document = {"schema_version": SCHEMA_VERSION, "lexer_version": __version__, **fields}
    click.echo(json.dumps(document, indent=2))


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 (the units are binary)
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _age(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS[unit]:
            return f"{seconds / _UNITS[unit]:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
