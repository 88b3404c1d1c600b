"""``lexer engines show``: what can one engine do?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexer_core.cli.engine_listing import (
    LONGEST_TIMEOUT,
    SCHEMA_VERSION,
    is_ready,
    listing_as_json,
    probe_by_name,
)
from lexer_core.cli.printing import print_json
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.engines.choice import option_text
from lexer_core.engines.registry import EngineRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.engines.probe import EngineProbe
    from lexer_core.engines.states import EngineListing
    from lexer_core.records import EngineOption

__all__ = ["show_command"]

_TYPE_NAMES = {"bool": "true or false", "int": "integer", "float": "number", "str": "string"}


@click.command("show")
@click.argument("name")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=LONGEST_TIMEOUT, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds to wait for the engine.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show_command(name: str, timeout: float, as_json: bool) -> None:
    """Show one engine: its state, devices, formats, precisions and options.

    A ready engine is started in a separate process to list its devices. If it
    crashes or does not answer, the output says so.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "engine": {…}},
    with the fields of `lexer engines list --json` and
      options   [{"name", "type": "bool"|"int"|"float"|"str", "default",
                  "choices", "help"}], or null if unknown
      details   details of the reason, such as a traceback
    """  # noqa: D301 - to click, \b is the character
    with stdout_to_stderr():
        listing = EngineRegistry().listing(name)
        probe = probe_by_name([name], timeout).get(name) if is_ready(listing) else None
    if as_json:
        options = None if listing.info is None else [*map(_option_as_json, listing.info.options)]
        fields = {"options": options, "details": listing.details}
        print_json(SCHEMA_VERSION, {"engine": {**listing_as_json(listing, probe), **fields}})
        return
    click.echo(f"{listing.display_name} ({listing.name})")
    for label, value in _lines(listing, probe):
        click.echo(f"  {label:<9} {value}")
    if listing.info is not None and listing.info.options:
        click.echo(f"\nOptions, used as --engine '{name}[{listing.info.options[0].name}=VALUE]':")
        for option in listing.info.options:
            _print_option(option)
    for text in (listing.details, probe.log if probe and not probe.usable else ""):
        if text.strip():
            click.echo(f"\n{text.rstrip()}")


_CONCURRENCY = {
    "shared": "may share a session",
    "per_thread": "may each have a session",
    "none": "take turns (nothing else is declared)",
}
"""What threads may do at the same time."""


def _lines(listing: EngineListing, probe: EngineProbe | None) -> Iterator[tuple[str, str]]:
    yield "state", str(listing.state)
    if listing.reason:
        yield "reason", listing.reason
    if listing.remedy:
        yield "fix", listing.remedy
    runtime = " ".join(filter(None, (listing.runtime_distribution, listing.version)))
    yield "runtime", runtime or "-"
    yield "plugin", listing.distribution
    if listing.info is not None:
        yield "formats", ", ".join(listing.info.formats)
        if listing.info.precisions:
            yield "precision", ", ".join(listing.info.precisions)
        yield "threads", _CONCURRENCY[listing.info.concurrency]
        by_default = listing.info.runs_by_default
        yield "default", "runs if no engine is named" if by_default else "runs only if named"
    if probe is not None:
        devices = (
            f"{device.name} ({device.description})" if device.description else device.name
            for device in probe.devices
        )
        yield "devices", ", ".join(devices) or "-"
        answer = f"yes (answered in {probe.seconds:.1f} s)"
        yield "usable", answer if probe.usable else f"no: {probe.reason}"


def _print_option(option: EngineOption) -> None:
    default = "chosen by the runtime" if option.default is None else option_text(option.default)
    values = ", ".join(map(option_text, option.choices)) or _TYPE_NAMES[option.type.__name__]
    click.echo(f"  {option.name}: {values} (default: {default})")
    if option.help:
        click.echo(f"      {option.help}")


def _option_as_json(option: EngineOption) -> dict[str, object]:
    return {
        "name": option.name,
        "type": option.type.__name__,
        "default": option.default,
        "choices": list(option.choices),
        "help": option.help,
    }
