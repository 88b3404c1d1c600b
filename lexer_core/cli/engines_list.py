"""``lexer engines list``: which engines are installed, and are they ready?"""

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
from lexer_core.cli.printing import print_json, print_table
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.engines.registry import EngineRegistry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.engines.probe import EngineProbe
    from lexer_core.engines.states import EngineListing

__all__ = ["list_command"]


@click.command("list")
@click.option("--probe", is_flag=True, help="Also start each ready engine and list its devices.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=LONGEST_TIMEOUT, min_open=True),
    default=60.0,
    show_default=True,
    metavar="X",
    help="Seconds to wait for each engine with --probe.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(probe: bool, timeout: float, as_json: bool) -> None:
    """List the installed engines and their states.

    Reads package metadata only; no engine is started without --probe. DEFAULT is
    whether the engine runs if none is named; the others run with --engine NAME.

    \b
    --json prints {"schema_version": 1, "lexer_version": "…", "engines": […]}.
    Each engine has
      name                  its name on the command line
      display_name          its name in results
      state                 ready, unavailable, broken or incompatible
      reason, remedy        why it is not ready, and the command that fixes it
      version               version of the runtime, or null
      runtime_distribution  package that provides the runtime, or null
      plugin                package and version of the plugin
      formats               model formats that it accepts, or null if unknown
      precisions            what it can be asked to compute in; empty if unknown
      concurrency           what threads may call at once: shared, per_thread or none
      runs_by_default       whether it runs if no engine is named, or null
      probe                 null, or {"usable", "reason", "seconds", "log",
                            "devices": [{"name", "label", "description"}]}
    """  # noqa: D301 - to click, \b is the character
    with stdout_to_stderr():
        listings = EngineRegistry().listings()
        ready = [listing.name for listing in listings if is_ready(listing)]
        probes = probe_by_name(ready, timeout) if probe else {}
    if as_json:
        fields = [listing_as_json(each, probes.get(each.name)) for each in listings]
        print_json(SCHEMA_VERSION, {"engines": fields})
        return
    if not listings:
        click.echo("No engines are installed.\n  pip install lexer-torch lexer-ort")
        return
    print_table(_rows(listings, probes, probed=probe))
    for listing in listings:
        answer = probes.get(listing.name)
        if listing.reason:
            click.echo(f"\n{listing.name} is {listing.state}: {listing.reason}")
            click.echo(f"  {listing.remedy}")
        elif answer is not None and not answer.usable:
            click.echo(f"\n{listing.name} is not usable: {answer.reason}")
            click.echo(f"  lexer engines show {listing.name}")


def _rows(
    listings: Sequence[EngineListing], probes: Mapping[str, EngineProbe], *, probed: bool
) -> list[tuple[str, ...]]:
    head = ("NAME", "ENGINE", "STATE", "DEFAULT", "VERSION", "RUNTIME", "PLUGIN")
    rows: list[tuple[str, ...]] = [(*head, "DEVICES") if probed else head]
    for listing in listings:
        row = (
            listing.name,
            listing.display_name,
            str(listing.state),
            "-" if listing.info is None else "yes" if listing.info.runs_by_default else "no",
            listing.version or "-",
            listing.runtime_distribution or "-",
            listing.distribution,
        )
        rows.append((*row, _devices(probes.get(listing.name)) or "-") if probed else row)
    return rows


def _devices(probe: EngineProbe | None) -> str:
    return ", ".join(device.name for device in probe.devices) if probe else ""
