"""``lexer profile``: in which modules does each engine spend its time?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lexer_core.cli.benchmark import exit_status
from lexer_core.cli.command_settings import (
    check_engines,
    command_configuration,
    early_model_process,
    explicit_settings,
    lexer_context,
)
from lexer_core.cli.options import (
    command_line,
    given_settings,
    input_options,
    name_list,
    output_option,
    setting_options,
    target_argument,
)
from lexer_core.cli.output import depth_option, format_option, plan_output, verbose_option
from lexer_core.cli.sigint import exits_at_once_until_a_run_begins
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.engines.choice import parse_engine_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.cli.output import Format

__all__ = ["profile"]

_SETTINGS = (
    "num_iterations",
    "max_seconds",
    "precision",
    "threads",
    "isolation",
    "validation",
    "rtol",
    "atol",
    "load_timeout",
    "call_timeout",
    "memory_limit_mb",
    "exporter",
    "opset",
    "use_cache",
    "show_progress",
)
_OUTPUT_OPTIONS = ("format", "output_file", "verbose", "depth", "show_progress")


@click.command()
@target_argument
@input_options
@click.option(
    "--engine",
    "engines",
    multiple=True,
    metavar="[LABEL=]NAME[OPTIONS]",
    help="Engine to profile; repeat for several. Default: every engine that is ready.",
)
@click.option("--device", metavar="DEVICE", help="Device to run on. Default: cpu.")
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
    described: Sequence[str],
    inputs_file: str | None,
    batch_size: int | None,
    seed: int | None,
    input_names: str | None,
    output_names: str | None,
    engines: Sequence[str],
    device: str | None,
    depth: int | None,
    format: Format | None,
    output_file: str | None,
    verbose: bool,
    **settings: Any,
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
    output = plan_output(format, output_file, verbose=verbose, depth=depth)
    choices = [parse_engine_choice(text) for text in engines]
    options = {"engines": choices or None, "device": device, "seed": seed, **settings}
    configuration = command_configuration(options)
    input_seed = configuration.settings.seed or 0
    check_engines(context, configuration)
    with (
        exits_at_once_until_a_run_begins(),
        stdout_to_stderr(),
        early_model_process([target], configuration.settings),
    ):
        from lexer_core.target.example_inputs import example_inputs, read_request  # imports numpy
        from lexer_core.target.load import load_target

        request = read_request(described, inputs_file, batch_size, input_seed)
        loaded = load_target(target, seed=input_seed)
        inputs = example_inputs(loaded, request)
        report = lexer_context(context).profile(
            loaded.model,
            inputs.value,
            input_options=inputs.options,
            batch_size=batch_size,
            input_names=name_list(input_names),
            output_names=name_list(output_names),
            command=command_line(
                context, without=_OUTPUT_OPTIONS, also=explicit_settings(configuration)
            ),
            target=target,
            print_report=False,
            **given_settings({**options, "seed": configuration.settings.seed}),
        )
    output.deliver(report)
    named = bool(configuration.settings.engines or report.settings.get("engines"))
    context.exit(exit_status(report, named=named))
