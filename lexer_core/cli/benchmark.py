"""``lexer benchmark``: how is a model measured from the command line?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.here import configuration_here, lexer_context, set_outside
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
from lexer_core.engines.choice import parse_engine_choice
from lexer_core.errors import UsageError
from lexer_core.settings.table import setting_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.cli.output import Format
    from lexer_core.report import BenchmarkReport

__all__ = ["benchmark", "exit_status"]

# Three have options of their own, --seed among those of the inputs; and a command prints always.
_NOT_FROM_THE_TABLE = ("engines", "device", "seed", "print_report")
_ABOUT_OUTPUT = ("format", "output_file", "include_model", "include_csv")


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
    metavar="DEVICE",
    help="Where to run, e.g. cpu or cuda:0. An engine that lacks it says so; none falls back. "
    "Unless given: cpu.",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="ENGINE=PATH",
    help="Run this engine (or the row of this label) by another interpreter, in whose environment "
    "lexer-core and the engine's plugin are installed; repeat for several.",
)
@setting_options(*(name for name in setting_names() if name not in _NOT_FROM_THE_TABLE))
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
    help="Also write the results to a file: run.lexer keeps everything, results.json, .csv or .md "
    "the rows. Whether it can be written is checked before anything is measured.",
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
    seed: int | None,
    input_names: str | None,
    output_names: str | None,
    engines: Sequence[str],
    device: str | None,
    pythons: Sequence[str],
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
    interpreters = dict(map(_interpreter, pythons))
    from lexer_core.cli.progress import ProgressLine
    from lexer_core.target.example_inputs import example_inputs, read_request  # not for --help
    from lexer_core.target.load import load_target

    given = {"engines": choices or None, "device": device, "seed": seed, **settings}
    here = configuration_here(given)
    request = read_request(described, inputs_file, batch_size, here.settings.seed or 0)
    with results_alone_on_stdout():
        loaded = load_target(target)
        inputs = example_inputs(loaded, request)
        with ProgressLine() as progress:
            report = lexer_context(context).benchmark(
                torch_model=loaded.model,
                input=inputs.value,
                input_options=inputs.options,
                interpreters=interpreters,
                batch_size=batch_size,
                input_names=name_list(input_names),
                output_names=name_list(output_names),
                progress=progress,
                command=command_line(context, without=_ABOUT_OUTPUT, also=set_outside(here)),
                print_report=False,
                **given_settings({**given, "seed": here.settings.seed}),
            )
    output.deliver(report)
    chosen = here.settings.engines or report.settings.get("engines")
    context.exit(exit_status(report, named=bool(chosen or interpreters)))


def _interpreter(text: str) -> tuple[str, str]:
    """Read ENGINE=PATH."""
    whom, equals, path = text.partition("=")
    if not (whom.strip() and equals and path.strip()):
        raise UsageError(
            f"{text!r} does not say which engine is run by which interpreter.",
            hint="Write ENGINE=PATH: --python onnxruntime=/path/to/venv/bin/python.",
        )
    return whom.strip(), path.strip()


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
