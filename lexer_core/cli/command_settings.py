"""Which settings apply to a command before its model is loaded?

Its options, the environment, the configuration files of the current folder, and
the defaults of commands. Those of the model's decorator are added once the model
is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.settings.layers import argument_layer, merge_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import click

    from lexer_core.context import LexerContext
    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.sources import SettingSources

__all__ = ["command_configuration", "lexer_context"]

_COMMAND_DEFAULTS: Mapping[str, object] = {"seed": 0}
"""Fixed, so that repeating a command repeats its inputs and the order of rounds."""


def command_configuration(
    options: Mapping[str, object], sources: SettingSources | None = None
) -> Configuration:
    """Merge the options of a command with the environment and configuration files.

    Parameters
    ----------
    options
        The settings among the command's options; ``None`` means not set.
    sources
        The environment and files, if already read.

    Raises
    ------
    SettingError
        The environment or a file contains an invalid setting.
    """
    from lexer_core.settings.sources import read_sources  # imports tomllib

    return merge_layers(
        [
            argument_layer("the command line", options),
            *(sources or read_sources()).layers,
            argument_layer("the command's default", _COMMAND_DEFAULTS),
        ]
    )


def lexer_context(context: click.Context) -> LexerContext:
    """Return the ``LexerContext`` of the embedding program, or a new one."""
    embedded: LexerContext | None = context.ensure_object(dict).get("lexer_context")
    if embedded is not None:
        return embedded
    from lexer_core.context import LexerContext  # slow to import

    return LexerContext()
