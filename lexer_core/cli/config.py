"""``lexer config``: what are the effective settings, and how is a file for them created?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click

from lexer_core.cli.command_settings import command_configuration
from lexer_core.cli.printing import print_json
from lexer_core.errors import OutputFileError, UsageError
from lexer_core.output_files import write_text
from lexer_core.settings.locations import FILE_NAME, NO_FILES
from lexer_core.settings.table import DEFAULT, Settings
from lexer_core.settings.template import template
from lexer_core.settings.values import to_toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.locations import ConfigFile
    from lexer_core.settings.table import Origin

__all__ = ["SCHEMA_VERSION", "config"]

SCHEMA_VERSION = 1
"""Incremented when a field of the JSON is removed or changes its meaning."""


@click.group(invoke_without_command=True)
@click.pass_context
def config(context: click.Context) -> None:
    """Show the effective settings, or create a file for them.

    \b
    A setting is taken from the first of these that defines it:
      an option of the command, or an argument of the call
      the decorator @Lexer(…), then LexerContext(…)
      the environment, such as LEXER_THREADS for threads
      .lexer_config.toml in the folder $LEXER_CONFIG_PATH
      .lexer_config.toml in this folder or one above it
      [tool.lexer] in the project's pyproject.toml
      .lexer_config.toml in the home folder
      the default
    """  # noqa: D301 - to click, \b is the character
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@config.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show_command(as_json: bool) -> None:
    """Print every setting, its value and where that was set.

    `lexer benchmark` would use these values in this folder, unless its options
    or the model's decorator override them.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "settings": […],
    "engines": […], "files": […], "notes": […]}. A setting has
      name, section    as in a file
      value, default   null if the run decides
      place            the variable or file, or "default"
      line             line in the file, or null
    An engine setting has name, key, value, place and line; a file has kind,
    path and exists.
    """  # noqa: D301 - to click, \b is the character
    from lexer_core.settings.sources import read_sources  # imports tomllib

    sources = read_sources()
    configuration = command_configuration({}, sources)
    notes = [*configuration.notes, *_engine_notes(configuration)]
    if as_json:
        fields = {
            "settings": list(_settings(configuration)),
            "engines": list(_engines(configuration)),
            "files": [_file(file) for file in sources.files],
            "notes": notes,
        }
        print_json(SCHEMA_VERSION, fields)
        return
    _print(configuration, sources.files)
    for note in notes:
        click.echo(f"Note: {note}", err=True)


@config.command("init")
@click.option("--global", "for_user", is_flag=True, help="Create the file in the home folder.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.argument("path", required=False)
def init_command(for_user: bool, force: bool, path: str | None) -> None:
    """Create a file with every setting, its help and its default.

    PATH is a folder or a file. Default: the current folder. All settings are
    commented out, so the file changes nothing until you edit it.
    """
    if for_user and path is not None:
        raise UsageError("--global cannot be combined with a path.")
    target = Path.home() if for_user else Path(path or ".")
    if target.is_dir() or target.suffix != ".toml":
        target /= FILE_NAME
    if target.exists() and not force:
        raise OutputFileError(f"{str(target)!r} already exists.", hint="Use --force to replace it.")
    write_text(target, template())
    click.echo(f"Wrote {target}: every setting, commented out.")
    if target.name != FILE_NAME:
        click.echo(f"Note: Lexer reads only files named {FILE_NAME}.", err=True)


# -- collecting --------------------------------------------------------------------


def _settings(configuration: Configuration) -> Iterator[dict[str, object]]:
    values = configuration.settings.to_dict()
    for setting in attrs.fields(Settings):
        yield {
            "name": setting.name,
            "section": setting.metadata["section"],
            "value": values[setting.name],
            "default": setting.default,
            **_origin(configuration.setting_origins[setting.name]),
        }


def _engine_notes(configuration: Configuration) -> list[str]:
    """Check engine settings as a benchmark would; without any, start no engine discovery."""
    if not configuration.engines:
        return []
    from lexer_core.benchmark.cases import check_tables
    from lexer_core.engines.registry import EngineRegistry  # slow, and only for engine settings

    return check_tables(EngineRegistry(), configuration.engines)


def _engines(configuration: Configuration) -> Iterator[dict[str, object]]:
    for name, table in configuration.engines.items():
        for key, value in table.values().items():
            yield {"name": name, "key": key, "value": value.value, **_origin(value.origin)}


def _origin(origin: Origin) -> dict[str, object]:
    return {"place": origin.name, "line": origin.line}


def _file(file: ConfigFile) -> dict[str, object]:
    return {"kind": file.kind, "path": str(file.path), "exists": file.exists}


# -- printing ----------------------------------------------------------------------


def _print(configuration: Configuration, files: Sequence[ConfigFile]) -> None:
    blocks: dict[str, list[tuple[str, str, str]]] = {}
    for entry in _settings(configuration):
        blocks.setdefault(f"[{entry['section']}]", []).append(_row(entry, "name"))
    for entry in _engines(configuration):
        blocks.setdefault(f"[engines.{entry['name']}]", []).append(_row(entry, "key"))
    rows = [row for block in blocks.values() for row in block]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for heading, block in blocks.items():
        click.echo(heading)
        for name, value, place in block:
            # On a terminal, values that are not defaults stand out.
            shown = place if place == DEFAULT.name else click.style(place, bold=True)
            click.echo(f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {shown}")
        click.echo()
    click.echo("Configuration files, by precedence:")
    for file in files:
        click.echo(f"  {file.path}{'' if file.exists else ' (does not exist)'}")
    if not files:
        because = f": {NO_FILES} is set" if os.environ.get(NO_FILES) else ""
        click.echo(f"  none{because}")


def _row(entry: dict[str, Any], name: str) -> tuple[str, str, str]:
    place, line = entry["place"], entry["line"]
    where = place + (f", line {line}" if line else "")
    return str(entry[name]), to_toml(entry["value"]), where
