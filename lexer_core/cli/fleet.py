"""``lexer fleet``: the group of commands that measure on many machines."""

from __future__ import annotations

import click

from lexer_core.cli.lazy_group import LazyGroup

__all__ = ["fleet"]

_COMMANDS = {
    "run": (
        "lexer_core.cli.fleet_run:run_command",
        "Measure a plan on many machines, and merge the runs.",
    ),
    "plan": (
        "lexer_core.cli.fleet_plan:plan_command",
        "Check a plan, or print an example.",
    ),
    "local": (
        "lexer_core.cli.fleet_local:local_command",
        "Start a scheduler and workers on this machine, to try a plan.",
    ),
}


@click.group(cls=LazyGroup, commands_by_name=_COMMANDS, invoke_without_command=True)
@click.pass_context
def fleet(context: click.Context) -> None:
    """Measure a plan on many machines.

    Each machine runs a Dask worker. The plan names the models, their inputs and the
    settings; every machine measures all of it, and the runs are merged into one file.

    \b
    First steps:
      lexer fleet plan --example > plan.toml
      lexer fleet run plan.toml --scheduler this-machine -o fleet.lexer
    """  # noqa: D301 - to click, \b is the character
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
