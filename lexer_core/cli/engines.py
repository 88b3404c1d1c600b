"""``lexer engines``: the group of commands about engines."""

from __future__ import annotations

import click

from lexer_core.cli.lazy_group import LazyGroup

__all__ = ["engines"]

_COMMANDS = {
    "list": (
        "lexer_core.cli.engines_list:list_command",
        "List the installed engines and their states.",
    ),
    "show": (
        "lexer_core.cli.engines_show:show_command",
        "Show one engine: its state, devices, formats, precisions and options.",
    ),
    "check": (
        "lexer_core.cli.engines_check:check",
        "Check whether an engine conforms to the contract.",
    ),
    "new": (
        "lexer_core.cli.engines_new:new_command",
        "Create the source tree of a new engine.",
    ),
}


@click.group(cls=LazyGroup, commands_by_name=_COMMANDS, invoke_without_command=True)
@click.pass_context
def engines(context: click.Context) -> None:
    """Show installed engines, check them, or create a new one.

    \b
    An engine is in one of four states:
      ready         the plugin is valid and its runtime is installed
      unavailable   the plugin is valid, but something it needs is not installed
      broken        the plugin cannot be loaded or violates the contract
      incompatible  the plugin requires another version of the contract
    """  # noqa: D301 - to click, \b is the character
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
