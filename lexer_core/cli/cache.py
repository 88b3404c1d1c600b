"""``lexer cache``: what is cached, and how is it removed?"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import click

from lexer_core.cli.printing import print_json, print_table
from lexer_core.engines.remembered import forget, remembered_files
from lexer_core.export.cache import ExportCache
from lexer_core.reporting.numbers import bytes_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.engines.remembered import RememberedFile
    from lexer_core.export.entry import Entry

__all__ = ["SCHEMA_VERSION", "cache"]

SCHEMA_VERSION = 1
"""Incremented when a field of the JSON is removed or changes its meaning."""

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_KEY_SHOWN = 12


class _Duration(click.ParamType[float]):
    """``90s``, ``15m``, ``12h``, ``30d``, ``2w``; a plain number means days."""

    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert the text to seconds."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a duration such as 12h, 30d or 2w.", param, ctx)
        return float(match[1]) * _UNITS[match[2] or "d"]


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.pass_context
def cache(context: click.Context, as_json: bool) -> None:
    """Show or clear cached exports and the remembered descriptions of engines.

    An export is reused if the traced model, its weights, the options and the
    versions of the exporters are the same; a description as long as the plugin's
    files are the same. Without a command, shows the folder, size, limit and number
    of entries of the cache of exports, and the number of descriptions.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "cache":
    {"path", "size_bytes", "limit_bytes", "entries", "engine_descriptions"}}.

    The folder is $LEXER_CACHE_DIR, or else in the user's cache folder.
    """  # noqa: D301 - to click, \b is the character
    if context.invoked_subcommand is not None:
        return
    exports = ExportCache()
    entries = exports.entries()
    size = sum(entry.size_bytes for entry in entries)
    remembered = remembered_files()
    if as_json:
        fields = {
            "path": str(exports.directory),
            "size_bytes": size,
            "limit_bytes": exports.max_bytes,
            "entries": len(entries),
            "engine_descriptions": len(remembered),
        }
        print_json(SCHEMA_VERSION, {"cache": fields})
    else:
        click.echo(f"folder   {exports.directory}")
        click.echo(f"size     {bytes_text(size)}")
        click.echo(f"limit    {bytes_text(exports.max_bytes)}")
        click.echo(f"entries  {len(entries)}")
        click.echo(f"engines  {_descriptions(remembered)}")
    _print_notes(exports)


@cache.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """List cached exports, the most recently used first, and count descriptions of engines.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "entries": […],
    "engine_descriptions": N}.
    Each entry has key, model, format, exporter, size_bytes, export_seconds,
    and created_at and used_at in seconds since 1970.
    """  # noqa: D301 - to click, \b is the character
    exports = ExportCache()
    entries = exports.entries()
    remembered = remembered_files()
    if as_json:
        fields = {
            "entries": [_as_json(entry) for entry in entries],
            "engine_descriptions": len(remembered),
        }
        print_json(SCHEMA_VERSION, fields)
    elif entries:
        print_table(_rows(entries))
    elif remembered:
        click.echo("No export is cached.")
    else:
        click.echo("The cache is empty.")
    if remembered and not as_json:
        click.echo(f"\nIn addition: {_descriptions(remembered)}.")
    _print_notes(exports)


@cache.command("clear")
@click.option(
    "--older-than",
    type=_Duration(),
    default=None,
    metavar="DURATION",
    help="Only exports not used for this long, and descriptions of engines of this age: 12h, 30d, "
    "2w; a plain number means days.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def clear_command(older_than: float | None, as_json: bool) -> None:
    """Remove exports and descriptions of engines from the cache.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "removed": […],
    "removed_engine_descriptions": N}, with the fields of `lexer cache list --json`.
    """  # noqa: D301 - to click, \b is the character
    exports = ExportCache()
    removed = exports.clear(older_than=older_than)
    forgotten = forget(older_than=older_than)
    if as_json:
        fields = {
            "removed": [_as_json(entry) for entry in removed],
            "removed_engine_descriptions": len(forgotten),
        }
        print_json(SCHEMA_VERSION, fields)
    else:
        size = sum(entry.size_bytes for entry in removed)
        noun = "export" if len(removed) == 1 else "exports"
        click.echo(
            f"removed {len(removed)} {noun}, {bytes_text(size)}, and {_descriptions(forgotten)}"
        )
    _print_notes(exports)


@cache.command("path")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def path_command(as_json: bool) -> None:
    """Print the folder of the cache."""
    directory = str(ExportCache().directory)
    if as_json:
        print_json(SCHEMA_VERSION, {"path": directory})
    else:
        click.echo(directory)


def _descriptions(files: Sequence[RememberedFile]) -> str:
    noun = "description" if len(files) == 1 else "descriptions"
    return f"{len(files)} {noun} of engines, {bytes_text(sum(file.size for file in files))}"


def _print_notes(exports: ExportCache) -> None:
    for note in exports.take_notes():
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


def _rows(entries: Sequence[Entry]) -> list[tuple[str, ...]]:
    now = time.time()
    rows: list[tuple[str, ...]] = [
        ("KEY", "MODEL", "FORMAT", "SIZE", "EXPORT TIME", "USED", "EXPORTER")
    ]
    rows += [
        (
            entry.key[:_KEY_SHOWN],
            entry.model_name,
            entry.exported.format,
            bytes_text(entry.size_bytes),
            f"{entry.export_seconds:.1f} s",
            f"{_age(now - entry.used_at)} ago",
            entry.exported.exporter,
        )
        for entry in entries
    ]
    return rows


def _age(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds >= _UNITS[unit]:
            return f"{seconds / _UNITS[unit]:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
