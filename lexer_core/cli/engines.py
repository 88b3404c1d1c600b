"""How are the installed engines shown on the command line?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexer_core.cli.check import check
from lexer_core.cli.streams import results_alone_on_stdout
from lexer_core.engines.registry import EngineRegistry, EngineState

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lexer_core.engines.probe import EngineProbe
    from lexer_core.engines.states import EngineListing
    from lexer_core.records import EngineOption

__all__ = ["SCHEMA_VERSION", "engines"]

SCHEMA_VERSION = 1
"""Raised when a field of the JSON is removed or changes its meaning."""

_TYPE_NAMES = {"bool": "true or false", "int": "whole number", "float": "number", "str": "text"}


@click.group(invoke_without_command=True)
@click.pass_context
def engines(context: click.Context) -> None:
    """Show which engines are installed, and whether they are ready.

    \b
    An engine is in one of four states:
      ready         the plugin is sound and its runtime is installed
      unavailable   the plugin is sound, something that it needs is not installed
      broken        the plugin cannot be loaded or breaks the contract
      incompatible  the plugin is written for another version of the contract
    """  # noqa: D301 - to click, \b is the character
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@engines.command("list")
@click.option("--probe", is_flag=True, help="Also start each ready engine and list its devices.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds to wait for each engine with --probe.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(probe: bool, timeout: float, as_json: bool) -> None:
    """List all installed engines and their states.

    Read from metadata, without starting an engine, unless --probe is given.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "engines": […]};
    each engine has
      name                  what it is called on the command line
      display_name          what it is called in results
      state                 ready, unavailable, broken or incompatible
      reason, remedy        why it is not ready, and the command that mends it
      version               of the runtime, or null
      runtime_distribution  what provides the runtime, or null
      plugin                the plugin's distribution and version
      formats               model formats that it accepts, or null if unknown
      runs_by_default       whether it runs when no engine is named, or null
      probe                 null, or {"usable", "reason", "seconds", "log",
                            "devices": [{"name", "label", "description"}]}
    """  # noqa: D301 - to click, \b is the character
    with results_alone_on_stdout():
        listings = EngineRegistry().listings()
        probes = _probe([each.name for each in listings if _is_ready(each)], timeout, wanted=probe)
    if as_json:
        _print_json({"engines": [_as_json(each, probes.get(each.name)) for each in listings]})
        return
    if not listings:
        click.echo("No engine is installed.\n  pip install lexer-torch lexer-ort")
        return
    _print_table(_rows(listings, probes, probed=probe))
    for listing in listings:
        answer = probes.get(listing.name) if _is_ready(listing) else None
        if listing.reason:
            click.echo(f"\n{listing.name} is {listing.state}: {listing.reason}")
            click.echo(f"  {listing.remedy}")
        elif answer is not None and not answer.usable:
            click.echo(f"\n{listing.name} is not usable: {answer.reason}")
            click.echo(f"  lexer engines show {listing.name}")


@engines.command("new")
@click.argument("name")
@click.option(
    "--accepts",
    default="onnx",
    show_default=True,
    metavar="FORMAT",
    help="The format that the engine loads: onnx, torch, torch_export, or one of its own.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Where to write; ./lexer-NAME unless given.",
)
def new_command(name: str, accepts: str, into: str | None) -> None:
    """Write the distribution of a new engine.

    It can be installed and listed as it is. What only you know is marked
    FILL IN; `lexer engines check NAME` says what is missing.
    """
    from pathlib import Path  # only this command needs these

    from lexer_core.scaffold import new_engine

    folder = Path(into or f"lexer-{name}")
    for path in new_engine(name, folder, accepts=accepts):
        click.echo(path)
    click.echo(f"\n  pip install -e {folder}\n  lexer engines check {name}")


@engines.command("show")
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the engine's answer.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show_command(name: str, timeout: float, as_json: bool) -> None:
    """Show one engine: its state, devices, formats and options.

    A ready engine is started in a process of its own and asked for its
    devices; one that crashes or does not answer is shown with that as its
    reason.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "engine": {…}}:
    the fields of `lexer engines list --json`, and
      options   [{"name", "type": "bool"|"int"|"float"|"str", "default",
                  "choices", "help"}], or null if unknown
      details   more about the reason, such as a traceback
    """  # noqa: D301 - to click, \b is the character
    with results_alone_on_stdout():
        listing = EngineRegistry().listing(name)
        probe = _probe([name], timeout, wanted=_is_ready(listing)).get(name)
    if as_json:
        options = None if listing.info is None else [*map(_option, listing.info.options)]
        fields = {**_as_json(listing, probe), "options": options, "details": listing.details}
        _print_json({"engine": fields})
        return
    click.echo(f"{listing.display_name} ({listing.name})")
    for label, value in _facts(listing, probe):
        click.echo(f"  {label:<9} {value}")
    if listing.info is not None and listing.info.options:
        click.echo(f"\nOptions, as in --engine '{name}[{listing.info.options[0].name}=VALUE]':")
        for option in listing.info.options:
            _print_option(option)
    for text in (listing.details, probe.log if probe and not probe.usable else ""):
        if text.strip():
            click.echo(f"\n{text.rstrip()}")


engines.add_command(check)


# -- what is asked -----------------------------------------------------------------


def _probe(names: Sequence[str], timeout: float, *, wanted: bool) -> dict[str, EngineProbe]:
    if not wanted:
        return {}
    from lexer_core.engines.probe import probe_engines  # only here: listing alone is quicker

    return {probe.engine: probe for probe in probe_engines(names, timeout=timeout)}


def _is_ready(listing: EngineListing) -> bool:
    return listing.state is EngineState.READY


# -- as text -----------------------------------------------------------------------


def _rows(
    listings: Sequence[EngineListing], probes: dict[str, EngineProbe], *, probed: bool
) -> list[tuple[str, ...]]:
    head = ("NAME", "ENGINE", "STATE", "VERSION", "RUNTIME", "PLUGIN")
    rows: list[tuple[str, ...]] = [(*head, "DEVICES") if probed else head]
    for listing in listings:
        row = (
            listing.name,
            listing.display_name,
            str(listing.state),
            listing.version or "-",
            listing.runtime_distribution or "-",
            listing.distribution,
        )
        answer = probes.get(listing.name) if _is_ready(listing) else None
        rows.append((*row, _devices(answer) or "-") if probed else row)
    return rows


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _devices(probe: EngineProbe | None) -> str:
    return ", ".join(device.name for device in probe.devices) if probe else ""


def _facts(listing: EngineListing, probe: EngineProbe | None) -> Iterator[tuple[str, str]]:
    yield "state", str(listing.state)
    if listing.reason:
        yield "reason", listing.reason
    if listing.remedy:
        yield "mend", listing.remedy
    runtime = " ".join(filter(None, (listing.runtime_distribution, listing.version)))
    yield "runtime", runtime or "-"
    yield "plugin", listing.distribution
    if listing.info is not None:
        yield "formats", ", ".join(listing.info.formats)
        when = "runs when no engine is named" if listing.info.runs_by_default else "runs when named"
        yield "default", when
    if probe is not None:
        described = (
            f"{device.name} ({device.description})" if device.description else device.name
            for device in probe.devices
        )
        yield "devices", ", ".join(described) or "-"
        answer = "yes" if probe.usable else f"no: {probe.reason}"
        yield "usable", f"{answer} (answered in {probe.seconds:.1f} s)" if probe.usable else answer


def _print_option(option: EngineOption) -> None:
    default = "the runtime's own" if option.default is None else _spelled(option.default)
    values = ", ".join(map(_spelled, option.choices)) or _TYPE_NAMES[option.type.__name__]
    click.echo(f"  {option.name}: {values} (default: {default})")
    if option.help:
        click.echo(f"      {option.help}")


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# -- as JSON -----------------------------------------------------------------------


def _print_json(fields: dict[str, object]) -> None:
    import json  # only here: the table does not need it

    from lexer_core import __version__

    document = {"schema_version": SCHEMA_VERSION, "lexer_version": __version__, **fields}
    click.echo(json.dumps(document, indent=2))


def _as_json(listing: EngineListing, probe: EngineProbe | None) -> dict[str, object]:
    info = listing.info
    return {
        "name": listing.name,
        "display_name": listing.display_name,
        "state": str(listing.state),
        "reason": listing.reason,
        "remedy": listing.remedy,
        "version": listing.version,
        "runtime_distribution": listing.runtime_distribution,
        "plugin": listing.distribution,
        "formats": None if info is None else list(info.formats),
        "runs_by_default": None if info is None else info.runs_by_default,
        "probe": None if probe is None or not _is_ready(listing) else _probe_as_json(probe),
    }


def _probe_as_json(probe: EngineProbe) -> dict[str, object]:
    return {
        "usable": probe.usable,
        "reason": probe.reason,
        "seconds": round(probe.seconds, 3),
        "log": probe.log,
        "devices": [
            {"name": device.name, "label": device.label, "description": device.description}
            for device in probe.devices
        ],
    }


def _option(option: EngineOption) -> dict[str, object]:
    return {
        "name": option.name,
        "type": option.type.__name__,
        "default": option.default,
        "choices": list(option.choices),
        "help": option.help,
    }
