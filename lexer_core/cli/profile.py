"""``lexer profile``: in which modules does each engine spend its time?"""

from __future__ import annotations

from typing import Any

import click

from lexer_core.cli.benchmark import exit_status
from lexer_core.cli.measuring import MeasuringCommand
from lexer_core.cli.options import (
    COMMON_SETTINGS,
    engine_options,
    input_options,
    output_option,
    setting_options,
    target_argument,
)
from lexer_core.cli.output import depth_option, format_option, verbose_option

__all__ = ["profile"]

_SETTINGS = (
    "num_iterations",
    "max_seconds",
    "precision",
    "threads",
    "isolation",
    "validation",
    *COMMON_SETTINGS,
    "show_progress",
)


@click.command()
@target_argument
@input_options
@engine_options(
    engine="Engine to profile; repeat for several. Default: every engine that is ready.",
    device="Device to run on. Default: cpu.",
)
@depth_option
@setting_options(*_SETTINGS, defaults={"max_seconds": 10.0})
@format_option()
@output_option(
    "Also write the results to a file, e.g. run.lexer or results.json.",
)
@verbose_option
@click.pass_context
def profile(
    context: click.Context,
    /,
    *,
    target: str,
    **options: Any,
) -> None:
    """Show in which modules of a model each engine spends its time.

    TARGET is as for lexer benchmark. The model is measured as by lexer benchmark --quick,
    and then profiled in new sessions, so that profiling slows down no latency.

    \b
    Examples:
      lexer profile net.py:Net --input 'image=float32[1,3,224,224]'
      lexer profile net.py:Net --input 'x=float32[1,64]' --engine torch \\
          --engine onnxruntime --depth 2 -o run.lexer

    \b
    Exit status: 0 success, 2 wrong usage or input, 3 an engine requested by
    name failed, 4 nothing could be measured, 130 interrupted.
    """  # noqa: D301  click looks for the real \b
    options |= {"preset": "quick", "profile": True}  # as LexerContext.profile()
    command = MeasuringCommand(context, [target], **options)
    command.check_engines()
    with command.running():
        from lexer_core.run_plan import execute_plan  # imports numpy

        report = execute_plan(command.plan(), **command.how_to_run())
    command.output.deliver(report)
    named = bool(command.configuration.settings.engines or report.settings.get("engines"))
    context.exit(exit_status(report, named=named))
