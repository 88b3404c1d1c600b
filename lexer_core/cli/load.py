"""``lexer load``: how many requests a second, within a limit on the latency?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

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
from lexer_core.errors import UsageError
from lexer_core.settings.table import LOAD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.load_report import LoadReport

__all__ = ["load"]

Number = TypeVar("Number", int, float)

_SETTINGS = (
    "max_seconds",
    "precision",
    "warm_up_seconds",
    "isolation",
    *COMMON_SETTINGS,
    "show_progress",
)


@click.command()
@target_argument
@input_options
@click.option(
    "--slo",
    required=True,
    metavar="PERCENTILE<=TIME",
    help="The limit: 'p99<=50ms' is that 99% of the requests are answered within 50 ms of their "
    "arrival. Any percentile, such as p95 or p99.9.",
)
@click.option(
    "--rate",
    "rates",
    metavar="A,B",
    help="Requests per second to try, e.g. 20,50,100. Default: find the highest rate that keeps "
    "to the limit.",
)
@click.option(
    "--instances",
    metavar="A,B",
    help="Threads that serve requests, each with a session of its own, e.g. 1,2. Default: one "
    "with all cores, and as many as cores with one thread each.",
)
@click.option(
    "--threads",
    metavar="A,B",
    help="Threads of each call, e.g. 1,2. Instances × threads is at most the number of cores. "
    "Default: all cores, divided by the instances.",
)
@click.option(
    "--shared-session",
    is_flag=True,
    help="Let all instances call one session, if the engine declares that they can.",
)
@click.option(
    "--arrivals",
    default="poisson",
    metavar="poisson|constant|FILE",
    help="When requests arrive: at random times, at equal gaps, or as in a file with the time of "
    "a request on each line, in seconds. Default: poisson.",
)
@click.option(
    "--batch-up-to",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Serve up to N waiting requests in one call. The inputs are those of one request.",
)
@click.option(
    "--batch-wait",
    "batch_wait_ms",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MS",
    help="Milliseconds that the first request of a batch waits for others at most. Default: 0.",
)
@engine_options(
    engine="Engine to test; repeat for several. Default: every engine that is ready.",
    device="Device to run on, e.g. cuda:0. Default: cpu.",
)
@setting_options(*_SETTINGS, defaults={"max_seconds": LOAD_SECONDS})
@format_option()
@output_option(
    "Also write the results to a file, e.g. load.lexer, .json, .csv or .md.",
)
@verbose_option
@click.pass_context
def load(
    context: click.Context,
    /,
    *,
    target: str,
    slo: str,
    rates: str | None,
    instances: str | None,
    threads: str | None,
    shared_session: bool,
    arrivals: str,
    batch_up_to: int,
    batch_wait_ms: float,
    **options: Any,
) -> None:
    """Find how many requests a second a model serves on this machine.

    TARGET is as for lexer benchmark. Requests arrive at times that are drawn
    beforehand, however long the answers take, and the latency of each counts from its
    arrival, with its wait for a free instance. Engines take turns.

    \b
    Examples:
      lexer load net.py:Net --input 'image=float32[1,3,224,224]' --slo 'p99<=50ms'
      lexer load net.py:Net --input 'x=float32[1,64]' --engine onnxruntime \\
          --slo 'p95<=5ms' --instances 1,2 --threads 1 -o load.lexer
      lexer load net.onnx --slo 'p99<=20ms' --rate 50,100

    \b
    Exit status: 0 success, 1 no rate keeps to the limit (with --rate: one of them
    does not, for each engine), 2 wrong usage or input, 4 nothing could be measured
    (every rate was withheld), 130 interrupted (prints the results so far).
    """  # noqa: D301  click looks for the real \b
    command = MeasuringCommand(context, [target], **options)
    from lexer_core.load_testing.request import read_plan  # imports numpy
    from lexer_core.load_testing.setups import combined
    from lexer_core.machine.affinity import usable_threads
    from lexer_core.run_plan import execute_load_test

    what: dict[str, Any] = {
        "rates": _numbers("rate", rates, float),
        "arrivals": arrivals,
        "batch_wait_ms": batch_wait_ms,
    }
    numbers = _numbers("instances", instances, int), _numbers("threads", threads, int)
    # Check everything that can be checked without the model first.
    read_plan(slo, command.configuration.settings, **what)
    combined(*numbers, usable_threads(), shared_session=shared_session, batch=batch_up_to)
    with command.running():
        report = execute_load_test(
            command.plan(),
            **command.how_to_run(),
            slo=slo,
            **what,
            instances=numbers[0],
            threads=numbers[1],
            shared_session=shared_session,
            batch_up_to=batch_up_to,
        )
    command.output.deliver(report)
    context.exit(_exit_status(report, asked_rates=rates is not None))


def _numbers(name: str, text: str | None, kind: Callable[[str], Number]) -> tuple[Number, ...]:
    """Split ``1,2`` into numbers; nothing for an option that is not used."""
    if text is None:
        return ()
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            f"--{name} {text!r} is not a list of numbers.",
            hint=f"Write, for example, --{name} 1,2.",
        ) from None


def _exit_status(report: LoadReport, *, asked_rates: bool) -> int:
    if report.stopped_because == "interrupted":
        return INTERRUPTED
    tested = [
        each
        for each in report.configurations
        if any(point.verdict != "withheld" for point in each.points)
    ]
    if not tested:
        return NOTHING_MEASURED
    if not asked_rates:
        return DONE if report.best is not None else GATE_FAILED
    kept = any(
        all(each.rate is not None and point.rate <= each.rate for point in each.points)
        for each in tested
    )
    return DONE if kept else GATE_FAILED
