"""Which options do several commands share?

The options of settings are generated from :mod:`lexer_core.settings.table`, with
their types, ranges, choices and help.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click
from click.core import ParameterSource

from lexer_core.settings.legacy import former_margin
from lexer_core.settings.table import Settings
from lexer_core.settings.values import kind_of, parse_fraction

__all__ = [
    "COMMON_SETTINGS",
    "command_line",
    "command_words",
    "engine_options",
    "given_settings",
    "input_options",
    "name_list",
    "output_option",
    "preset_options",
    "setting_options",
    "target_argument",
]

_CommandT = TypeVar("_CommandT", bound=Callable[..., object])


if TYPE_CHECKING:
    _FloatType = click.ParamType[float]
else:  # generic only in newer versions of click
    _FloatType = click.ParamType


class Fraction(_FloatType):
    """A fraction of one: ``1%`` or ``0.01``."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert ``1%`` or ``0.01`` to 0.01."""
        fraction = parse_fraction(str(value))
        if fraction is None:
            self.fail(f"{value!r} is not a fraction such as 1% or 0.01.", param, ctx)
        if fraction >= 1:
            self.fail(f"{value!r} is not below 100%.", param, ctx)
        return fraction


COMMON_SETTINGS = (
    *("rtol", "atol", "load_timeout", "call_timeout", "memory_limit_mb"),
    *("exporter", "opset", "use_cache"),
)
"""Settings that are options of every command that measures a model."""


target_argument = click.argument("target", metavar="TARGET")


def input_options(command: _CommandT) -> _CommandT:
    """Add the options that describe example inputs."""
    for option in reversed(
        (
            click.option(
                "--input",
                "described",
                multiple=True,
                metavar="NAME=TYPE[SHAPE][:VALUES]",
                help="Generate an input; repeat for each. 'image=float32[1,3,224,224]' is "
                "standard normal; append ':0..1' for uniform values or ':1' for a constant. "
                "'ids=int64[1,128]:0..30000' has integers from 0 to 29999; without a range, "
                "integers are 0, which is a valid index of any embedding. 'flag=bool[1]' is "
                "random, 'flag=bool[1]:true' is constant. 'scale=float32[]' is a scalar tensor. "
                "'use_cache:=false' is an argument that is not a tensor.",
            ),
            click.option(
                "--inputs",
                "inputs_file",
                metavar="FILE.npz",
                help="Read real inputs from a file. To create it: "
                "numpy.savez('inputs.npz', image=array).",
            ),
            click.option(
                "--batch-size",
                type=click.IntRange(min=1),
                metavar="N",
                help="Batch size: the size of dimension 0 of every generated input, e.g. 8, and "
                "the number of items that one call counts for.",
            ),
            click.option(
                "--seed",
                type=click.IntRange(min=0),
                metavar="N",
                help="Seed of the generated inputs, of the weights of a model that Lexer creates, "
                "and of the order of rounds. Default: 0.",
            ),
            click.option(
                "--input-names",
                metavar="A,B",
                help="Names for the model's input tensors, in order, e.g. image,mask.",
            ),
            click.option(
                "--output-names",
                metavar="A,B",
                help="Names for the model's output tensors, in order, e.g. logits.",
            ),
        )
    ):
        command = option(command)
    return command


def engine_options(*, engine: str, device: str) -> Callable[[_CommandT], _CommandT]:
    """Add ``--engine`` and ``--device``, with these help texts."""

    def decorate(command: _CommandT) -> _CommandT:
        command = click.option("--device", metavar="DEVICE", help=device)(command)
        return click.option(
            "--engine", "engines", multiple=True, metavar="[LABEL=]NAME[OPTIONS]", help=engine
        )(command)

    return decorate


def setting_options(
    *names: str, defaults: Mapping[str, object] = MappingProxyType({})
) -> Callable[[_CommandT], _CommandT]:
    """Add an option for each of these settings; an option that is not used is ``None``.

    ``defaults`` are the defaults of this command that differ from those of the table.
    """
    table = attrs.fields_dict(Settings)

    def decorate(command: _CommandT) -> _CommandT:
        for name in reversed(names):
            command = _option(table[name], defaults.get(name, table[name].default))(command)
        return command

    return decorate


def _option(setting: attrs.Attribute[Any], default: object) -> Callable[[_CommandT], _CommandT]:
    name, metadata, kind = setting.name, setting.metadata, kind_of(setting)
    flag = name.replace("_", "-")
    text = metadata["help"]
    if default is not None:
        text += f" Default: {_shown(setting, default)}."
    if kind == "bool":
        # Both forms, because the environment or a file may have set either.
        return click.option(
            metadata["option"] or f"--{flag}/--no-{flag}", name, default=None, help=text
        )
    if kind == "precisions":
        text += " For example float32,bfloat16."
    elif metadata["example"]:
        text += f" For example {_written(setting, float(metadata['example']))}."
    return click.option(
        metadata["option"] or f"--{flag}",
        name,
        type=_type(kind, metadata),
        default=None,
        metavar=_metavar(kind, metadata),
        help=text,
    )


def _shown(setting: attrs.Attribute[Any], default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return _written(setting, default)


def _written(setting: attrs.Attribute[Any], value: object) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.0%}" if setting.metadata["share"] else f"{value:g}"


def _type(kind: str, metadata: Mapping[str, Any]) -> Any:
    if metadata["choices"]:
        return click.Choice(metadata["choices"])
    if kind == "precisions":
        return str
    if metadata["share"]:
        return Fraction()
    bounds = {
        "min": metadata["low"],
        "max": metadata["high"],
        "min_open": bool(metadata["exclusive"]),
    }
    return click.IntRange(**bounds) if kind == "int" else click.FloatRange(**bounds)


_METAVARS = {"int": "N", "float": "X", "precisions": "A,B"}


def _metavar(kind: str, metadata: Mapping[str, Any]) -> str | None:
    return None if metadata["choices"] else _METAVARS.get(kind)


def output_option(
    help: str, *, required: bool = False, metavar: str = "FILE"
) -> Callable[[_CommandT], _CommandT]:
    """Add ``-o``."""
    return click.option(
        "-o", "--output", "output_file", required=required, metavar=metavar, help=help
    )


def preset_options(command: _CommandT) -> _CommandT:
    """Add a flag for each preset of the settings."""
    texts = {
        "quick": "Stop as soon as every verdict is clear, after 10 s of measuring at most.",
        "thorough": "Ratios to 1%, p99 with its interval, 3 launches; 5 minutes at most.",
    }
    for preset, text in reversed(texts.items()):
        command = click.option(f"--{preset}", "preset", flag_value=preset, help=text)(command)
    return command


def given_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not ``None``; the configuration defines the others."""
    return {name: value for name, value in values.items() if value is not None}


def name_list(text: str | None) -> list[str] | None:
    """Split ``a,b`` into names; ``None`` stays ``None``."""
    return None if text is None else [name.strip() for name in text.split(",")]


def command_line(
    context: click.Context,
    *,
    without: Sequence[str] = (),
    also: Mapping[str, object] | None = None,
) -> str:
    """Return the command line that reproduces this one; parameters as in :func:`command_words`."""
    name = [context.command.name] if context.command.name else []
    return shlex.join(["lexer", *name, *command_words(context, without=without, also=also)])


def command_words(
    context: click.Context,
    *,
    without: Sequence[str] = (),
    also: Mapping[str, object] | None = None,
) -> list[str]:
    """Return the arguments and options of the running command, to run it again.

    Parameters
    ----------
    context
        The context of the command.
    without
        Parameters to leave out.
    also
        Values of parameters that were set elsewhere, such as in a configuration
        file.
    """
    words: list[str] = []
    values = {**(also or {})} | {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        # The setting margin, which it stands for, is in ``also``.
        and former_margin(name, value) is None
    }
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in without and name in values:
            words += _words(parameter, values[name])
    return words


def _words(parameter: click.Parameter, value: Any) -> list[str]:
    if isinstance(parameter, click.Argument):
        return list(map(str, value)) if parameter.nargs == -1 else [str(value)]
    flag = max(parameter.opts, key=len)
    if isinstance(parameter, click.Option) and isinstance(parameter.flag_value, str):
        return [flag] if value == parameter.flag_value else []
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [flag if value else max(parameter.secondary_opts, key=len)]
    if isinstance(value, tuple) and not parameter.multiple:
        value = ",".join(value)
    return [
        word for each in (value if parameter.multiple else (value,)) for word in (flag, str(each))
    ]
