"""``lexer export``: how is a model turned into a file from the command line?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.here import configuration_here, lexer_context
from lexer_core.cli.options import (
    given_settings,
    input_options,
    name_list,
    setting_options,
    target_argument,
)
from lexer_core.errors import InputError, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.records import ExportedModel

__all__ = ["describe_export", "export", "parse_dynamic_axis"]

_HOW_TO_WRITE = "Write NAME:DIMENSION=AXIS, such as image:0=batch."


@click.command()
@target_argument
@input_options
@click.option(
    "-o",
    "--output",
    "output_file",
    required=True,
    metavar="FILE.onnx",
    help="The file to write, e.g. model.onnx. Weights over 1.5 GiB go into a file beside it.",
)
@click.option(
    "--dynamic",
    multiple=True,
    metavar="NAME:DIM=AXIS",
    help="Let a dimension vary in the exported model, e.g. image:0=batch; repeat for each. "
    "All others are as in the example inputs.",
)
@setting_options("exporter", "opset", "onnx_checks", "use_cache", "validation")
@click.pass_context
def export(
    context: click.Context,
    /,
    *,
    target: str,
    described: Sequence[str],
    inputs_file: str | None,
    batch_size: int | None,
    seed: int | None,
    input_names: str | None,
    output_names: str | None,
    output_file: str,
    dynamic: Sequence[str],
    **settings: Any,
) -> None:
    """Turn a model into an .onnx file, and check it.

    TARGET is package.module:Class or path/to/file.py:Class; a function that
    returns the model, or the model itself, will do too.

    \b
    Examples:
      lexer export net.py:Net --input 'image=float32[1,3,224,224]' -o net.onnx
      lexer export net.py:Net --input 'image=float32[1,3,224,224]' -o net.onnx \\
          --dynamic image:0=batch --opset 18
    """  # noqa: D301  click looks for the real \b
    from lexer_core.cli.streams import results_alone_on_stdout
    from lexer_core.output_files import check_writable
    from lexer_core.target.example_inputs import example_inputs, read_request  # not for --help
    from lexer_core.target.load import load_target

    path = Path(output_file)
    check_writable(path)
    axes = _axes(dynamic)
    here = configuration_here({"seed": seed, **settings})
    request = read_request(described, inputs_file, batch_size, here.settings.seed or 0)
    with results_alone_on_stdout():
        loaded = load_target(target)
        if loaded.is_file:
            raise TargetError(
                f"{target!r} is an exported model already.",
                hint="Name the PyTorch model: path/to/file.py:Class.",
            )
        asked, given = lexer_context(context), given_settings(settings)
        exported = asked.export(
            loaded.model,
            example_inputs(loaded, request).value,
            path,
            format="onnx",
            dynamic_axes=axes or None,
            input_names=name_list(input_names),
            output_names=name_list(output_names),
            **given,
        )
    holding = asked.configuration(loaded.model, **given).settings
    click.echo(describe_export(exported, path, checked=holding.onnx_checks))


def describe_export(exported: ExportedModel, path: Path, *, checked: bool) -> str:
    """Say what was written, line by line."""
    from lexer_core.reporting.numbers import bytes_text
    from lexer_core.target.onnx_file import read_opset  # not for --help

    opset = read_opset(path)
    lines = [
        (
            f"Wrote {path}: {bytes_text(exported.size_bytes)}"
            f"{'' if opset is None else f', opset {opset}'}, "
            f"{'checked by onnx.checker' if checked else 'not checked'}."
        ),
        *(f"  input   {spec}" for spec in exported.inputs),
        *(f"  output  {spec}" for spec in exported.outputs),
        f"  made by {exported.exporter}",
        *(f"  note: {note}" for note in exported.notes),
    ]
    return "\n".join(lines)


def parse_dynamic_axis(text: str) -> tuple[str, int, str]:
    """Read one ``--dynamic``: the input's name, the dimension, the axis' name.

    Raises
    ------
    InputError
        It has another form.
    """
    match = re.fullmatch(r"(?P<name>[^:=\s]+):(?P<dim>\d+)=(?P<axis>\w+)", text.strip())
    if match is None:
        raise InputError(f"--dynamic {text!r} names no dimension.", hint=_HOW_TO_WRITE)
    return match["name"], int(match["dim"]), match["axis"]


def _axes(dynamic: Sequence[str]) -> dict[str, dict[int, str]]:
    axes: dict[str, dict[int, str]] = {}
    for text in dynamic:
        name, dimension, axis = parse_dynamic_axis(text)
        if dimension in axes.setdefault(name, {}):
            raise InputError(
                f"--dynamic names dimension {dimension} of {name!r} twice.", hint=_HOW_TO_WRITE
            )
        axes[name][dimension] = axis
    return axes
