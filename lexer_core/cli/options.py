"""Which options do several commands share?

Settings come from the one table in :mod:`lexer_core.settings.table`: an option here for
each of them, with its type, range, choices and help.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click
from click.core import ParameterSource

from lexer_core.settings.table import Settings
from lexer_core.settings.values import kind_of, parse_fraction

__all__ = [
    "command_line",
    "command_words",
    "given_settings",
    "input_options",
    "name_list",
    "setting_options",
    "target_argument",
]

_CommandT = TypeVar("_CommandT", bound=Callable[..., object])


if TYPE_CHECKING:
    _FloatType = click.ParamType[float]
else:  # generic only in newer versions of click
    _FloatType = click.ParamType


class Share(_FloatType):
    """A part of one: ``1%`` or ``0.01``."""

    name = "percent"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Turn ``1%`` or ``0.01`` into 0.01."""
        share = parse_fraction(str(value))
        if share is None:
            self.fail(f"{value!r} is no share; write it like 1% or 0.01.", param, ctx)
        if share >= 1:
            self.fail(f"{value!r} is not below 100%; write it like 1% or 0.01.", param, ctx)
        return share


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
                help="Describe one input, which is then made; repeat for each. "
                "'image=float32[1,3,224,224]' is standard normal; ':0..1' after it makes it "
                "uniform, ':1' fills it. 'ids=int64[1,128]:0..30000' are whole numbers from 0 to "
                "29999; without a range whole numbers are 0, an index that every table has. "
                "'flag=bool[1]' is random, ':true' is not. 'scale=float32[]' is one number. "
                "'use_cache:=false' is an argument that is no tensor.",
            ),
            click.option(
                "--inputs",
                "inputs_file",
                metavar="FILE.npz",
                help="Take real inputs from a file, by name: "
                "numpy.savez('inputs.npz', image=array).",
            ),
            click.option(
                "--batch-size",
                type=click.IntRange(min=1),
                metavar="N",
                help="Items in one call: sets dimension 0 of every input that is made, e.g. 8. "
                "That of real inputs is read from them.",
            ),
            click.option(
                "--seed",
                type=click.IntRange(min=0),
                metavar="N",
                help="Seed of the inputs that are made and of the order of rounds. "
                "Unless given: 0.",
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


def setting_options(*names: str) -> Callable[[_CommandT], _CommandT]:
    """Add an option for each of these settings; what is not given stays unset."""
    table = attrs.fields_dict(Settings)

    def decorate(command: _CommandT) -> _CommandT:
        for name in reversed(names):
            command = _option(table[name])(command)
        return command

    return decorate


def _option(setting: attrs.Attribute[Any]) -> Callable[[_CommandT], _CommandT]:
    name, facts, kind = setting.name, setting.metadata, kind_of(setting)
    flag = name.replace("_", "-")
    text = facts["help"]
    if setting.default is not None:
        text += f" Default: {_shown(setting)}."
    if kind == "bool":
        # Both ways, since the environment or a file may have turned it.
        return click.option(
            facts["option"] or f"--{flag}/--no-{flag}", name, default=None, help=text
        )
    if facts["example"]:
        text += f" For example {_written(setting, float(facts['example']))}."
    return click.option(
        facts["option"] or f"--{flag}",
        name,
        type=_type(kind, facts),
        default=None,
        metavar=_metavar(kind, facts),
        help=text,
    )


def _shown(setting: attrs.Attribute[Any]) -> str:
    if isinstance(setting.default, bool):
        return "yes" if setting.default else "no"
    return _written(setting, setting.default)


def _written(setting: attrs.Attribute[Any], value: object) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:.0%}" if setting.metadata["share"] else f"{value:g}"


def _type(kind: str, facts: Mapping[str, Any]) -> Any:
    if facts["choices"]:
        return click.Choice(facts["choices"])
    if facts["share"]:
        return Share()
    bounds = {"min": facts["low"], "max": facts["high"], "min_open": bool(facts["exclusive"])}
    return click.IntRange(**bounds) if kind == "int" else click.FloatRange(**bounds)


def _metavar(kind: str, facts: Mapping[str, Any]) -> str | None:
    return None if facts["choices"] else {"int": "N", "float": "X"}.get(kind)


def given_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the settings that were given; the others are for the configuration to say."""
    return {name: value for name, value in values.items() if value is not None}


def name_list(text: str | None) -> list[str] | None:
    """Split ``a,b`` into names; ``None`` where none are given."""
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
    }
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in without and name in values:
            words += _words(parameter, values[name])
    return words


def _words(parameter: click.Parameter, value: Any) -> list[str]:
    if isinstance(parameter, click.Argument):
        return [str(value)]
    flag = max(parameter.opts, key=len)
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return [flag if value else max(parameter.secondary_opts, key=len)]
    return [
        word for each in (value if parameter.multiple else (value,)) for word in (flag, str(each))
    ]
