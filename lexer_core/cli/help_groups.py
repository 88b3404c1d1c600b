"""How does ``--help`` show many options: a few of them in groups, and all on request?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["GroupedCommand"]

_EVERYTHING = "lexer_core.cli.help_all"


class GroupedCommand(click.Command):
    """A command that lists its options in groups.

    Parameters
    ----------
    groups
        For each group, its title and the names of its parameters.
    common
        Those that ``--help`` lists; ``--help-all`` lists the rest, too.
    """

    def __init__(
        self,
        *args: Any,
        groups: Mapping[str, Sequence[str]],
        common: Collection[str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_everything,
                help="Show all options, and exit.",
            )
        )
        self._groups = {**groups, "Help": ("--help", "help_all")}
        self._common = {*common, "help_all", "--help"}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options in their groups."""
        shows_everything = ctx.meta.get(_EVERYTHING, False)
        for title, names in self._groups.items():
            chosen = [name for name in names if shows_everything or name in self._common]
            records = [
                record
                for name in chosen
                for parameter in self.get_params(ctx)
                if name in (parameter.name, *parameter.opts)
                and (record := parameter.get_help_record(ctx)) is not None
            ]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def _show_everything(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value and not context.resilient_parsing:
        context.meta[_EVERYTHING] = True
        click.echo(context.get_help(), color=context.color)
        context.exit()
