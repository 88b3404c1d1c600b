"""``lexer tune``: which configuration is the best within limits?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lexer_core.cli.main import DONE, GATE_FAILED, INTERRUPTED, NOTHING_MEASURED
from lexer_core.cli.measuring import MeasuringCommand
from lexer_core.cli.options import (
    COMMON_SETTINGS,
    engine_options,
    input_options,
    output_option,
    setting_options,
    target_argument,
)
from lexer_core.cli.output import format_option, verbose_option
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.errors import OutputFileError, UsageError
from lexer_core.settings.table import TUNING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.tuning.goals import Goal
    from lexer_core.tuning_report import TuningReport

__all__ = ["tune"]

_SETTINGS = (
    "max_seconds",
    "max_configurations",
    "tie",
    "warm_up_seconds",
    "launches",
    "threads",
    "isolation",
    *COMMON_SETTINGS,
    "show_progress",
)


@click.command()
@target_argument
@input_options
@click.option(
    "--vary",
    "axes",
    multiple=True,
    required=True,
    metavar="AXIS=VALUES",
    help="What to vary; repeat for several axes. 'batch=1,2,4' cuts or repeats the inputs, "
    "'threads=1,2', 'precision=float32,bfloat16,int8-dynamic', "
    "'onnxruntime.graph_optimization_level=basic,all' is an option of an engine, "
    "and a dynamic axis of the inputs has its own name: 'sequence=64,128'.",
)
@click.option(
    "--minimize",
    multiple=True,
    metavar="FIGURE",
    help="p50, p90, p95, p99, mean, memory or error. Default: p50.",
)
@click.option(
    "--maximize",
    multiple=True,
    metavar="FIGURE",
    help="throughput, or on its own rate, the requests per second within --slo. Two goals, such "
    "as --minimize p50 --maximize throughput, show the front between them instead of a winner.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="FIGURE<=VALUE",
    help="What a configuration must keep to: 'p99<=20ms', 'memory<=1GB', 'error<=1e-3', "
    "'throughput>=100'. Repeat for several.",
)
@click.option(
    "--slo",
    metavar="PERCENTILE<=TIME",
    help="For --maximize rate: the limit on the latency of requests, such as 'p99<=50ms'. --vary "
    "instances=1,2 varies the threads that serve them, and batch is the largest batch.",
)
@engine_options(
    engine="Engine to tune; repeat for several. Default: every engine that is ready.",
    device="Device to run on, e.g. cuda:0. Default: cpu.",
)
@setting_options(*_SETTINGS, defaults={"max_seconds": TUNING_SECONDS})
@format_option()
@output_option(
    "Also write the results to a file. A .lexer file is written as the tuning goes on.",
)
@click.option(
    "--resume",
    metavar="FILE.lexer",
    help="Go on with a tuning that was interrupted: what it decided is not measured again.",
)
@click.option(
    "--save-best",
    metavar="FOLDER",
    help="Save the winner to a folder, ready to serve, as lexer deploy does.",
)
@click.option(
    "--force", is_flag=True, help="Replace the folder of --save-best if it has a deployment."
)
@verbose_option
@click.pass_context
def tune(
    context: click.Context,
    /,
    *,
    target: str,
    axes: Sequence[str],
    minimize: Sequence[str],
    maximize: Sequence[str],
    limits: Sequence[str],
    slo: str | None,
    resume: str | None,
    save_best: str | None,
    force: bool,
    **options: Any,
) -> None:
    """Find the best configuration of a model on this machine.

    TARGET is as for lexer benchmark. All configurations race in shared rounds, and
    leave as soon as another one is surely better or a limit is surely exceeded. Those
    that are left are measured again in new processes.

    \b
    Examples:
      lexer tune net.py:Net --input 'image=float32[1,3,224,224]' \\
          --vary batch=1,2,4 --vary threads=1,2 --maximize throughput --limit 'p99<=20ms'
      lexer tune net.py:Net --input 'x=float32[1,64]' --engine onnxruntime \\
          --vary onnxruntime.graph_optimization_level=basic,all -o tuned.lexer

    \b
    Exit status: 0 success, 1 nothing meets the limits, 2 wrong usage or input,
    4 nothing could be measured, 130 interrupted (prints the results so far).
    """  # noqa: D301  click looks for the real \b
    command = MeasuringCommand(context, [target], **options)
    from lexer_core.load_testing.slo import parse_slo
    from lexer_core.run_plan import execute_plan  # imports numpy
    from lexer_core.tuning.goals import is_for_rate, read_goals, read_limits
    from lexer_core.tuning.space import parse_axis, read_axes

    vary: dict[str, object] = {}
    for name, values in map(parse_axis, axes):
        if name in vary:
            raise UsageError(f"--vary {name} is given twice.", hint="List all values in one.")
        vary[name] = values
    # Check everything that can be checked without the model first.
    read_axes(vary)
    goals = () if is_for_rate(minimize, maximize, slo) else read_goals(minimize, maximize)
    if slo is not None:
        parse_slo(slo)
    read_limits(limits)
    if save_best is not None:
        _check_folder(Path(save_best), goals, force=force)
    plan = command.plan(vary=vary, minimize=minimize, maximize=maximize, limits=limits, slo=slo)
    output = command.output
    with command.running():
        try:
            measured = execute_plan(
                plan,
                save_to=output.file if output.file_format == "lexer" else None,
                resume=resume,
                **command.how_to_run(),
            )
        except OutputFileError as error:
            if error.report is None:
                raise
            # It is printed all the same, and writing it fails again.
            measured = cast("TuningReport", error.report)
    report = cast("TuningReport", measured)
    output.deliver(report)
    if save_best is not None:
        _save_best(report, save_best, force=force)
    context.exit(_exit_status(report))


def _check_folder(folder: Path, goals: Sequence[Goal], *, force: bool) -> None:
    """Refuse a folder that the winner cannot be saved to, before anything is measured."""
    from lexer_core.deploy.folder import check_new_folder  # imports the engines

    if len(goals) > 1:
        raise UsageError(
            "--save-best needs a single winner, which two goals do not have.",
            hint="Choose one goal and limit the other figure, or save a row of the front later: "
            "-o tuned.lexer, then lexer deploy tuned.lexer FOLDER --engine LABEL.",
        )
    check_new_folder(folder, overwrite=force)


def _save_best(report: TuningReport, folder: str, *, force: bool) -> None:
    if report.best is None:
        click.echo(f"There is no single winner, so nothing was saved to {folder}.", err=True)
        return
    with stdout_to_stderr():
        path = report.best.save(folder, overwrite=force)
    click.echo(f"Saved {report.best.label} to {path}.", err=True)


def _exit_status(report: TuningReport) -> int:
    if report.stopped_because == "interrupted":
        return INTERRUPTED
    if report.pareto:
        return DONE
    over_limit = any(each.fate == "over_limit" for each in report.configurations)
    return GATE_FAILED if over_limit else NOTHING_MEASURED
