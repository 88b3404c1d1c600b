"""How does ``lexer`` run a command line and report errors?

Exit status: 0 success; 1 a gate failed; 2 wrong usage or input; 3 an engine
requested by name failed; 4 nothing could be measured; 70 a bug in Lexer; 130
interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from lexer_core import __version__
from lexer_core.cli.lazy_group import LazyGroup
from lexer_core.cli.sigint import INTERRUPTED, recorded_interrupts
from lexer_core.cli.streams import discard_stdout, open_standard_streams
from lexer_core.errors import EngineError, LexerError, ModelError, StandardOutputError, UsageError
from lexer_core.worker.telemetry import without_telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "COMPLETION_VARIABLE",
    "DONE",
    "ENGINE_FAILED",
    "GATE_FAILED",
    "INTERNAL_ERROR",
    "INTERRUPTED",
    "NOTHING_MEASURED",
    "WRONG_USAGE",
    "exit_status_of",
    "lexer",
    "main",
    "run",
]

DONE = 0
GATE_FAILED = 1
WRONG_USAGE = 2
ENGINE_FAILED = 3
NOTHING_MEASURED = 4
INTERNAL_ERROR = 70

COMPLETION_VARIABLE = "_LEXER_COMPLETE"

_COMMANDS = {
    "engines": (
        "lexer_core.cli.engines:engines",
        "Show installed engines, check them, or create a new one.",
    ),
    "benchmark": (
        "lexer_core.cli.benchmark:benchmark",
        "Measure a model on one or more engines.",
    ),
    "profile": (
        "lexer_core.cli.profile:profile",
        "Show in which modules of a model each engine spends its time.",
    ),
    "tune": (
        "lexer_core.cli.tune:tune",
        "Find the best batch size, threads and options within limits.",
    ),
    "load": (
        "lexer_core.cli.load:load",
        "Find how many requests a second a model serves within a limit.",
    ),
    "show": (
        "lexer_core.cli.show:show",
        "Show a saved benchmark.",
    ),
    "merge": (
        "lexer_core.cli.merge:merge",
        "Put runs of several machines into one table.",
    ),
    "fleet": (
        "lexer_core.cli.fleet:fleet",
        "Measure a plan on many machines.",
    ),
    "compare": (
        "lexer_core.cli.compare:compare",
        "Compare saved runs, and report which cases became slower.",
    ),
    "report": (
        "lexer_core.cli.report:report",
        "Write saved runs as an HTML page with plots.",
    ),
    "deploy": (
        "lexer_core.cli.deploy:deploy",
        "Save the fastest engine's model to a folder, ready to serve.",
    ),
    "export": (
        "lexer_core.cli.export:export",
        "Export a model to an .onnx file, and check it.",
    ),
    "config": (
        "lexer_core.cli.config:config",
        "Show the effective settings, or create a file for them.",
    ),
    "cache": (
        "lexer_core.cli.cache:cache",
        "Show or clear cached exports.",
    ),
    "completion": (
        "lexer_core.cli.completion:completion",
        "Print a script that completes commands and options.",
    ),
}


@click.group(
    cls=LazyGroup,
    commands_by_name=_COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 success, 1 a gate failed, 2 wrong usage or input, 3 an engine requested "
    "by name failed, 4 nothing could be measured, 70 a bug in Lexer, 130 interrupted.",
)
@click.version_option(__version__, prog_name="lexer", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show tracebacks of errors.")
@click.pass_context
def lexer(context: click.Context, debug: bool) -> None:
    """Benchmark a PyTorch model across inference engines, and check their outputs.

    Lexer measures a model on every installed engine (Torch, ONNXRuntime, …) in
    interleaved rounds, each engine in its own process, and compares the outputs
    of every engine with those of the model.

    \b
    First steps:
      lexer engines list
      lexer benchmark my_models.py:Net --input 'image=float32[1,3,224,224]'
      lexer benchmark model.onnx --engine onnxruntime
    """  # noqa: D301 - to click, \b is the character
    context.ensure_object(dict)["debug"] = debug
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the command line of this process, and exit."""
    open_standard_streams()
    os.environ.update(without_telemetry())  # exports and checks run in this process
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete  # only for shell completion

        sys.exit(shell_complete(lexer, {}, "lexer", COMPLETION_VARIABLE, instruction))
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, print any error, and return the exit status.

    Parameters
    ----------
    arguments
        Arguments without the program name. Default: those of this process.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    with recorded_interrupts() as interrupts:
        try:
            status = _run(words, interrupts)
        except KeyboardInterrupt:  # pressed again while the first one was reported
            status = INTERRUPTED
    return INTERRUPTED if interrupts else status


def _run(words: list[str], interrupts: Sequence[int]) -> int:
    state: dict[str, bool] = {"debug": False}
    try:
        # Not lexer.main(), which exits with 1 if the reader of a pipe closed it.
        with lexer.make_context("lexer", words, obj=state) as context:
            result = lexer.invoke(context)
        if sys.stdout is not None:  # None if standard output is closed
            sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return WRONG_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except LexerError as error:
        if isinstance(error, StandardOutputError):
            discard_stdout()
        if state["debug"]:
            _print_traceback(error)
        click.echo(f"Error: {error}", err=True)
        return exit_status_of(error)
    except BrokenPipeError:
        discard_stdout()
        return DONE  # the reader has what it wanted
    except Exception as error:
        if state["debug"] or not interrupts:
            _print_traceback(error)
        if interrupts:
            click.echo("Interrupted.", err=True)
            return INTERRUPTED
        click.echo(f"Error: this is a bug in Lexer {__version__}; please report it.", err=True)
        return INTERNAL_ERROR
    return result if isinstance(result, int) else DONE


def exit_status_of(error: LexerError) -> int:
    """Return the exit status for an error."""
    # A model that rejects its inputs or fails counts as wrong input.
    if isinstance(error, (UsageError, ModelError)):
        return WRONG_USAGE
    return ENGINE_FAILED if isinstance(error, EngineError) else NOTHING_MEASURED


def _print_traceback(error: BaseException) -> None:
    import traceback  # slow to import, and only for errors

    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
