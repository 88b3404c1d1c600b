"""Which settings apply to a command before its model is loaded?

Its options, the environment, the configuration files of the current folder, and
the defaults of commands. Those of the model's decorator are added once the model
is loaded.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from lexer_core.settings.layers import argument_layer, merge_layers
from lexer_core.settings.table import DEFAULT, preset_origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    import click

    from lexer_core.context import LexerContext
    from lexer_core.settings.layers import Configuration
    from lexer_core.settings.sources import SettingSources
    from lexer_core.settings.table import Settings

__all__ = [
    "check_engines",
    "command_configuration",
    "early_model_process",
    "explicit_settings",
    "lexer_context",
]

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


def explicit_settings(configuration: Configuration) -> dict[str, object]:
    """Return the settings that have neither their built-in default nor a preset's."""
    values = configuration.settings
    implied = (DEFAULT, preset_origin(values.preset))
    return {
        name: getattr(values, name)
        for name, origin in configuration.setting_origins.items()
        if origin not in implied
    }


def check_engines(context: click.Context, configuration: Configuration) -> None:
    """Check the engines and their options before the model is loaded, which takes longer.

    An embedding program's context has its own engines, and checks them itself.

    Raises
    ------
    UsageError
        An engine is not installed, or an option or a precision is wrong.
    """
    chosen = configuration.settings.engines
    if not (chosen or configuration.settings.precision) or "lexer_context" in context.ensure_object(
        dict
    ):
        return
    if any(choice.python or choice.name in configuration.engines for choice in chosen or ()):
        return  # perhaps another interpreter runs it
    from lexer_core.benchmark.cases import select_cases  # imports numpy
    from lexer_core.engines.registry import EngineRegistry

    select_cases(
        EngineRegistry(),
        chosen,
        configuration.settings.device,
        named_in=str(configuration.setting_origins["engines"]),
        precisions=configuration.settings.precision or (),
    )


def lexer_context(context: click.Context) -> LexerContext:
    """Return the ``LexerContext`` of the embedding program, or a new one."""
    embedded: LexerContext | None = context.ensure_object(dict).get("lexer_context")
    if embedded is not None:
        return embedded
    from lexer_core.context import LexerContext  # slow to import

    return LexerContext()


def early_model_process(
    targets: Sequence[str], settings: Settings
) -> AbstractContextManager[object]:
    """Return a context in which the model's process starts before the model is loaded.

    An ``.onnx`` file needs none with torch.
    """
    if all(target.endswith(".onnx") for target in targets):
        return nullcontext()
    from lexer_core.benchmark.early_model import model_process_started_early  # on use

    return model_process_started_early(settings)
