"""Which options do several commands share?

Settings come from the one table in :mod:`lexer_core.config`: an option here for
each of them, with its type, range, choices and help.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click
from click.core import ParameterSource

from lexer_core.config import Settings

__all__ = [
    "command_line",
    "given_settings",
    "input_options",
    "name_list",
    "setting_options",
    "target_argument",
]

_CommandT = TypeVar("_CommandT", bound=Callable[..., object])

# What a setting is called here, where that is not its own name with hyphens.
_NAMES = {"num_iterations": "--iterations", "use_cache": "--no-cache"}

_EXAMPLES = {
    "num_iterations": "1000",
    "precision": "2%",
    "max_seconds": "20",
    "warm_up_seconds": "2",
    "rounds": "30",
    "launches": "5",
    "threads": "1",
    "tie": "5%",
    "rtol": "1e-3",
    "atol": "1e-4",
    "load_timeout": "120",
    "call_timeout": "10",
    "memory_limit_mb": "2048",
    "opset": "18",
}

_FLAGS = {
    "onnx_checks": "Do not run onnx.checker on what was exported.",
    "use_cache": "Export again, also where an earlier export of the same model is kept.",
}

_PERCENTAGES = ("precision", "tie")


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
        match = re.fullmatch(r"\s*((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*(%?)\s*", str(value), re.I)
        if match is None:
            self.fail(f"{value!r} is no share; write it like 1% or 0.01.", param, ctx)
        share = float(match[1]) / (100 if match[2] else 1)
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
                default=0,
                show_default=True,
                metavar="N",
                help="Seed of the inputs that are made and of the order of rounds.",
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
    name, facts = setting.name, setting.metadata
    kind = str(setting.type).split(" |")[0]
    text = facts["help"]
    if kind == "bool":
        # A flag says the opposite of the default.
        flag = _NAMES.get(name, f"--no-{name}" if setting.default else f"--{name}")
        return click.option(
            flag.replace("_", "-"),
            name,
            is_flag=True,
            flag_value=not setting.default,
            default=None,
            help=_FLAGS.get(name, text),
        )
    if setting.default is not None:
        shown = f"{setting.default:.0%}" if name in _PERCENTAGES else f"{setting.default}"
        text += f" Unless given: {shown.removesuffix('.0')}."
    if name in _EXAMPLES:
        text += f" For example {_EXAMPLES[name]}."
    return click.option(
        _NAMES.get(name, f"--{name}").replace("_", "-"),
        name,
        type=_type(name, kind, facts),
        default=None,
        metavar=_metavar(kind, facts),
        help=text,
    )


def _type(name: str, kind: str, facts: Mapping[str, Any]) -> Any:
    if facts["choices"]:
        return click.Choice(facts["choices"])
    if name in _PERCENTAGES:
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


def command_line(context: click.Context, *, without: Sequence[str] = ()) -> str:
    """Write the command line that asks for the same again.

    Parameters
    ----------
    context
        Of the command that runs.
    without
        Parameters to leave out. A seed is always written.
    """
    words = ["lexer", *([context.command.name] if context.command.name else [])]
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in without or not (given or name == "seed"):
            continue
        value = context.params[name]
        if isinstance(parameter, click.Argument):
            words.append(str(value))
            continue
        flag = max(parameter.opts, key=len)
        if isinstance(parameter, click.Option) and parameter.is_flag:
            words.append(flag)
            continue
        for each in value if parameter.multiple else (value,):
            words += [flag, str(each)]
    return shlex.join(words)
