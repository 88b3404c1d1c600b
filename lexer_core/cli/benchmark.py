"""``lexer benchmark``: how is a model measured from the command line?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.help_groups import GroupedCommand
from lexer_core.cli.main import DONE, ENGINE_FAILED, INTERRUPTED, NOTHING_MEASURED
from lexer_core.cli.measuring import MeasuringCommand
from lexer_core.cli.options import (
    engine_options,
    input_options,
    output_option,
    preset_options,
    setting_options,
)
from lexer_core.cli.output import format_option, verbose_option
from lexer_core.errors import UsageError
from lexer_core.settings.table import setting_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.report import BenchmarkReport
    from lexer_core.results import BenchmarkResult

__all__ = ["benchmark", "exit_status"]

# The first three have their own options (--seed is an input option); the command always prints.
_NOT_FROM_THE_TABLE = (
    "engines",
    "device",
    "seed",
    "print_report",
    "preset",
    "max_configurations",  # of lexer tune
)


_GROUPS = {
    "Inputs": (
        *("described", "inputs_file", "batch_size", "items_per_call", "seed"),
        *("input_names", "output_names", "second_described"),
    ),
    "Engines": ("engines", "device", "precision", "pythons", "threads", "isolation"),
    "How long to measure": (
        *("preset", "num_iterations", "max_seconds", "launches", "margin", "min_seconds"),
        *("tails", "warm_up_seconds", "rounds", "tie", "canary"),
    ),
    "Where the time goes": ("profile",),
    "Correct outputs": ("validation", "rtol", "atol", "second_inputs", "locate_differences"),
    "Export": ("exporter", "opset", "onnx_checks", "use_cache"),
    "Limits": ("load_timeout", "call_timeout", "memory_limit_mb"),
    "Results": (
        *("output_file", "format", "verbose", "include_model", "include_csv"),
        "show_progress",
    ),
}
_COMMON = (
    *("described", "inputs_file", "batch_size", "engines", "device", "precision", "threads"),
    "preset",
    *("num_iterations", "max_seconds", "launches", "output_file", "format", "verbose"),
)


@click.command(cls=GroupedCommand, groups=_GROUPS, common=_COMMON)
@click.argument("targets", metavar="TARGET...", nargs=-1, required=True)
@input_options
@click.option(
    "--second-input",
    "second_described",
    multiple=True,
    metavar="NAME=TYPE[SHAPE][:VALUES]|FILE.npz",
    help="Second inputs, for which the outputs of every engine must be correct, too: described as "
    "with --input, or a file as with --inputs. Same shapes and types, other values. Default: made "
    "from the first inputs.",
)
@engine_options(
    engine="Engine to measure; repeat for several. The first one is the baseline. With options: "
    "'basic=onnxruntime[graph_optimization_level=basic]'. Default: every engine that is ready.",
    device="Device to run on, e.g. cpu or cuda:0. An engine without that device fails; it never "
    "falls back to another one. Default: cpu.",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="ENGINE=PATH",
    help="Run this engine (or the row with this label) with another Python interpreter; repeat for "
    "several. Its environment needs lexer-core and the engine's plugin.",
)
@preset_options
@setting_options(*(name for name in setting_names() if name not in _NOT_FROM_THE_TABLE))
@format_option()
@output_option(
    "Also write the results to a file: run.lexer contains everything; results.json, .csv or "
    ".md contain the rows. Lexer checks that it can write the file before it measures.",
)
@verbose_option
@click.pass_context
def benchmark(
    context: click.Context,
    /,
    *,
    targets: Sequence[str],
    second_described: Sequence[str],
    pythons: Sequence[str],
    **options: Any,
) -> None:
    """Measure one or more models on one or more engines.

    TARGET is package.module:Class, path/to/file.py:Class, model.onnx, a program
    that torch.export.save wrote (.pt2), or the folder of a transformers model.
    Instead of a class, you can name a function that returns the model, with
    literal arguments if it needs any, or an instance. Several TARGETs with the
    same inputs are measured together, in one table.

    \b
    Examples:
      lexer benchmark net.py:Net --input 'image=float32[1,3,224,224]'
      lexer benchmark bert.onnx --input 'ids=int64[1,128]:0..30000' --input 'mask=int64[1,128]:1'
      lexer benchmark "timm:create_model('resnet18')" --input 'x=float32[1,3,224,224]'
      lexer benchmark net.py:Small net.py:Large --input 'float32[1,3,224,224]'
      lexer benchmark shop.models:make_ranker --inputs real.npz --engine torch \\
          --engine 'fast=onnxruntime[graph_optimization_level=all]' -o results.json

    Every engine runs in its own process. Engines take turns in random order
    until the ratios are precise enough. Lexer checks the outputs of every engine
    against those of the model.

    \b
    Exit status: 0 success, 2 wrong usage or input, 3 an engine requested by
    name failed, 4 nothing could be measured, 130 interrupted (prints the
    results so far).
    """  # noqa: D301  click looks for the real \b
    # Check everything that can be checked without running a model first.
    command = MeasuringCommand(context, targets, **options)
    interpreters = dict(map(_interpreter, pythons))
    if len(set(targets)) < len(targets):
        raise UsageError("a TARGET is given twice.", hint="Name each model once.")
    if not interpreters:  # asking another interpreter takes as long as loading a model
        command.check_engines()
    with command.running():
        from lexer_core.run_plan import execute_plan  # imports numpy

        plan = command.plan(second_inputs=second_described, interpreters=interpreters)
        report = execute_plan(plan, **command.how_to_run())
    command.output.deliver(report)
    chosen = command.configuration.settings.engines or report.settings.get("engines")
    context.exit(exit_status(report, named=bool(chosen or interpreters)))


def _interpreter(text: str) -> tuple[str, str]:
    """Parse ENGINE=PATH."""
    engine, equals, path = text.partition("=")
    if not (engine.strip() and equals and path.strip()):
        raise UsageError(
            f"--python {text!r} does not have the form ENGINE=PATH.",
            hint="Write, for example, --python onnxruntime=/path/to/venv/bin/python.",
        )
    return engine.strip(), path.strip()


def exit_status(report: BenchmarkReport, *, named: bool) -> int:
    """Return the exit status of a benchmark.

    Parameters
    ----------
    report
        The report.
    named
        Whether engines were requested by name. If not, an engine that fails does
        not fail the command. A precision that an engine lacks does not either, if it was
        measured in another one.
    """
    if report.stopped_because == "interrupted":
        return INTERRUPTED
    if not any(row.status == "ok" for row in report):
        return NOTHING_MEASURED
    if named and any(row.status != "ok" and not _is_excused(row, report) for row in report):
        return ENGINE_FAILED
    return DONE


def _is_excused(row: BenchmarkResult, report: BenchmarkReport) -> bool:
    """Whether an engine lacks a precision of several that it was asked for."""
    return (
        row.status == "unsupported"
        and bool(row.precision)
        and any(
            other.engine_name == row.engine_name
            and other.status == "ok"
            and other.precision != row.precision
            for other in report
        )
    )
