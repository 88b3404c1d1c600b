"""``lexer export``: how is a model exported from the command line?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.command_settings import command_configuration, lexer_context
from lexer_core.cli.options import (
    given_settings,
    input_options,
    name_list,
    output_option,
    setting_options,
    target_argument,
)
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.errors import InputError, TargetError
from lexer_core.output_files import check_writable
from lexer_core.reporting.numbers import bytes_text
from lexer_core.temporary_folders import private_temporary_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.records import ExportedModel

__all__ = ["describe_export", "export", "parse_dynamic_axis"]


@click.command()
@target_argument
@input_options
@output_option(
    "File to write, e.g. model.onnx. Weights over 1.5 GiB go to a second file next to it.",
    required=True,
    metavar="FILE.onnx",
)
@click.option(
    "--dynamic",
    multiple=True,
    metavar="NAME:DIM=AXIS",
    help="Make a dimension dynamic, e.g. image:0=batch; repeat for several. All others have the "
    "sizes of the example inputs.",
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
    """Export a model to an .onnx file, and check it.

    TARGET is package.module:Class or path/to/file.py:Class. Instead of a class,
    you can name a function that returns the model, or an instance.

    \b
    Examples:
      lexer export net.py:Net --input 'image=float32[1,3,224,224]' -o net.onnx
      lexer export net.py:Net --input 'image=float32[1,3,224,224]' -o net.onnx \\
          --dynamic image:0=batch --opset 18
    """  # noqa: D301  click looks for the real \b
    from lexer_core.target.example_inputs import example_inputs, read_request  # imports numpy
    from lexer_core.target.load import load_target

    path = Path(output_file)
    check_writable(path)
    axes = _axes(dynamic)
    configuration = command_configuration({"seed": seed, **settings})
    seed_or_default = configuration.settings.seed or 0
    request = read_request(described, inputs_file, batch_size, seed_or_default)
    with stdout_to_stderr(), private_temporary_files():
        loaded = load_target(target, seed=seed_or_default)
        if loaded.is_file:
            raise TargetError(
                f"{target!r} is already an exported model.",
                hint="Name the PyTorch model: path/to/file.py:Class.",
            )
        lexer, explicit = lexer_context(context), given_settings(settings)
        exported = lexer.export(
            loaded.model,
            example_inputs(loaded, request).value,
            path,
            format="onnx",
            dynamic_axes=axes or None,
            input_names=name_list(input_names),
            output_names=name_list(output_names),
            **explicit,
        )
    effective = lexer.configuration(loaded.model, **explicit).settings
    click.echo(describe_export(exported, path, checked=effective.onnx_checks))


def describe_export(exported: ExportedModel, path: Path, *, checked: bool) -> str:
    """Return a description of the exported file, in lines."""
    from lexer_core.target.onnx_file import read_opset  # imports numpy

    opset = read_opset(path)
    lines = [
        (
            f"Wrote {path}: {bytes_text(exported.size_bytes)}"
            f"{'' if opset is None else f', opset {opset}'}, "
            f"{'checked by onnx.checker' if checked else 'not checked'}."
        ),
        *(f"  input   {spec}" for spec in exported.inputs),
        *(f"  output  {spec}" for spec in exported.outputs),
        f"  exported by {exported.exporter}",
        *(f"  note: {note}" for note in exported.notes),
    ]
    return "\n".join(lines)


def parse_dynamic_axis(text: str) -> tuple[str, int, str]:
    """Parse one ``--dynamic``: the input's name, the dimension, the axis' name.

    Raises
    ------
    InputError
        The text is malformed.
    """
    match = re.fullmatch(r"(?P<name>[^:=\s]+):(?P<dim>\d+)=(?P<axis>\w+)", text.strip())
    if match is None:
        raise InputError(
            f"--dynamic {text!r} does not have the form NAME:DIMENSION=AXIS.",
            hint="Write, for example, --dynamic image:0=batch.",
        )
    return match["name"], int(match["dim"]), match["axis"]


def _axes(dynamic: Sequence[str]) -> dict[str, dict[int, str]]:
    axes: dict[str, dict[int, str]] = {}
    for text in dynamic:
        name, dimension, axis = parse_dynamic_axis(text)
        if dimension in axes.setdefault(name, {}):
            raise InputError(
                f"--dynamic names dimension {dimension} of {name!r} twice.", hint="Remove one."
            )
        axes[name][dimension] = axis
    return axes
