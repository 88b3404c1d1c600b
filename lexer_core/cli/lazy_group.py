"""How does a command group know its commands without importing them?"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LazyGroup"]


class LazyGroup(click.Group):
    """A group whose commands are imported on use.

    Parameters
    ----------
    commands_by_name
        For each command, ``"module:attribute"`` and its line in the group's help.
    """

    def __init__(
        self, *args: Any, commands_by_name: Mapping[str, tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._commands_by_name = dict(commands_by_name)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self._commands_by_name)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self._commands_by_name:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._commands_by_name[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a similar command for one that does not exist."""
        name = args[0]
        if name not in self._commands_by_name and not name.startswith("-"):
            from lexer_core.suggestions import did_you_mean  # only for a mistyped command

            names = self.list_commands(ctx)
            ctx.fail(
                f"No such command {name!r}.\n"
                f"  Commands: {', '.join(names)}.{did_you_mean(name, names)}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, summary) for name, (_, summary) in self._commands_by_name.items()]
            )
