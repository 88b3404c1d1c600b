"""``lexer benchmark``: how is a model measured from the command line?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.main import DONE, ENGINE_FAILED, INTERRUPTED, NOTHING_MEASURED
from lexer_core.cli.options import (
    command_line,
    given_settings,
    input_options,
    name_list,
    setting_options,
    target_argument,
)
from lexer_core.cli.output import FORMATS, plan_output
from lexer_core.cli.streams import results_alone_on_stdout
from lexer_core.config import setting_names
from lexer_core.engines.choice import parse_engine_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.cli.output import Format
    from lexer_core.context import LexerContext
    from lexer_core.results import BenchmarkReport

__all__ = ["benchmark", "exit_status"]


@click.command()
@target_argument
@input_options
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="[LABEL=]NAME[OPTIONS]",
    help="Measure on this engine; repeat for several, the first is what the others are compared "
    "with. Every ready engine unless given. With options: "
    "'basic=onnxruntime[graph_optimization_level=basic]'.",
)
@click.option(
    "--device",
    default="cpu",
    show_default=True,
    metavar="DEVICE",
    help="Where to run, e.g. cpu or cuda:0. An engine that lacks it says so; none falls back.",
)
# --seed is among the options of the inputs, which it makes as well.
@setting_options(*(name for name in setting_names() if name != "seed"))
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Form of the results: a table unless given, or what the suffix of -o says.",
)
@click.option(
    "-o",
    "--output",
    "output_file",
    metavar="FILE",
    help="Also write the results to a file, e.g. results.json, .csv or .md; whether it can be "
    "written is checked before anything is measured.",
)
@click.pass_context
def benchmark(
    context: click.Context,
    /,
    *,
    target: str,
    described: Sequence[str],
    inputs_file: str | None,
    batch_size: int | None,
    seed: int,
    input_names: str | None,
    output_names: str | None,
    engines: Sequence[str],
    device: str,
    format: Format | None,
    output_file: str | None,
    **settings: Any,
) -> None:
    """Measure a model on one or more engines, side by side.

    TARGET is package.module:Class, path/to/file.py:Class (a function that
    returns the model, or the model itself, will do too) or model.onnx.

    \b
    Examples:
      lexer benchmark net.py:Net --input 'image=float32[1,3,224,224]'
      lexer benchmark bert.onnx --input 'ids=int64[1,128]:0..30000' --input 'mask=int64[1,128]:1'
      lexer benchmark shop.models:make_ranker --inputs real.npz --engine torch \\
          --engine 'fast=onnxruntime[graph_optimization_level=all]' -o results.json

    Every engine runs in a process of its own, and they take turns in random
    order until the differences are precise enough. Each row says whether the
    outputs agree with the model's own.

    \b
    Exit status: 0 done, 2 bad usage or input, 3 an engine asked for by name
    failed, 4 nothing could be measured, 130 interrupted (what was measured so
    far is printed).
    """  # noqa: D301  click looks for the real \b
    # What can be wrong without running anything comes first.
    output = plan_output(format, output_file)
    choices = [parse_engine_choice(text) for text in engines]
    from lexer_core.cli.example_inputs import example_inputs, read_request  # not for --help
    from lexer_core.cli.progress import ProgressLine
    from lexer_core.cli.targets import load_target

    request = read_request(described, inputs_file, batch_size, seed)
    with results_alone_on_stdout():
        loaded = load_target(target)
        inputs = example_inputs(loaded, request)
        with ProgressLine() as progress:
            report = _lexer_context(context).benchmark(
                torch_model=loaded.model,
                input=inputs,
                engines=choices or None,
                device=device,
                batch_size=batch_size,
                input_names=name_list(input_names),
                output_names=name_list(output_names),
                progress=progress,
                command=command_line(context, without=("format", "output_file")),
                seed=seed,
                **given_settings(settings),
            )
    output.deliver(report)
    context.exit(exit_status(report, named=bool(choices)))


def exit_status(report: BenchmarkReport, *, named: bool) -> int:
    """Decide on the exit status.

    Parameters
    ----------
    report
        What came of it.
    named
        Whether the engines were asked for by name. An engine that was not, and
        that does not suit the model, is a row and not a failure.
    """
    if report.stopped_because == "interrupted":
        return INTERRUPTED
    if not any(row.status == "ok" for row in report):
        return NOTHING_MEASURED
    if named and any(row.status != "ok" for row in report):
        return ENGINE_FAILED
    return DONE


def _lexer_context(context: click.Context) -> LexerContext:
    """Give the context that the embedding program brought, or a new one."""
    given: LexerContext | None = context.ensure_object(dict).get("lexer_context")
    if given is not None:
        return given
    from lexer_core.context import LexerContext  # not for --help

    return LexerContext()
