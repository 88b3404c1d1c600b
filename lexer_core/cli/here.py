"""What holds on the command line before anything is loaded?

A command's options, the environment, the files that hold in the current folder,
and the defaults of the command line itself. What a decorator says comes in
between, once the model is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.settings.table import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

    from lexer_core.context import LexerContext
    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.sources import SettingSources

__all__ = ["configuration_here", "lexer_context", "set_outside"]

_OF_THE_COMMAND: Mapping[str, object] = {"seed": 0}
"""A command can be repeated as it is written; the seed makes the inputs as well."""


def configuration_here(
    given: Mapping[str, object], around: SettingSources | None = None
) -> Configuration:
    """Lay the options of a command over what the surroundings say.

    Parameters
    ----------
    given
        Settings that are options of the command; ``None`` is not given.
    around
        Read before, where it is needed for itself.

    Raises
    ------
    SettingError
        The environment or a file says something that is no setting.
    """
    from lexer_core.settings.layers import argument_layer, merge_layers
    from lexer_core.settings.sources import read_sources  # not for --help

    return merge_layers(
        [
            argument_layer("the command line", given),
            *(around or read_sources()).layers,
            argument_layer("the command's default", _OF_THE_COMMAND),
        ]
    )


def set_outside(configuration: Configuration) -> dict[str, object]:
    """Give the settings that somebody set: options, the environment, files, the command."""
    values = configuration.settings
    return {
        name: getattr(values, name)
        for name, origin in configuration.setting_origins.items()
        if origin != DEFAULT
    }


def lexer_context(context: click.Context) -> LexerContext:
    """Give the context that the embedding program brought, or a new one."""
    given: LexerContext | None = context.ensure_object(dict).get("lexer_context")
    if given is not None:
        return given
    from lexer_core.context import LexerContext  # not for --help

    return LexerContext()
