"""What does ``lexer`` do with a command line, and with what goes wrong?

Exit status: 0 done; 1 a gate said no; 2 bad usage or input; 3 an engine asked
for by name failed; 4 nothing could be measured; 70 a defect of Lexer itself;
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from lexer_core import __version__
from lexer_core.cli.interrupts import noted_interrupts
from lexer_core.cli.lazy_group import LazyGroup
from lexer_core.errors import EngineError, LexerError, ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "BAD_USAGE",
    "DEFECT",
    "DONE",
    "ENGINE_FAILED",
    "GATE_SAID_NO",
    "INTERRUPTED",
    "NOTHING_MEASURED",
    "exit_status_of",
    "lexer",
    "main",
    "run",
]

DONE = 0
GATE_SAID_NO = 1
BAD_USAGE = 2
ENGINE_FAILED = 3
NOTHING_MEASURED = 4
DEFECT = 70
INTERRUPTED = 130

_COMPLETION_VARIABLE = "_LEXER_COMPLETE"

_COMMANDS = {
    "engines": (
        "lexer_core.cli.engines:engines",
        "Show which engines are installed, and whether they are ready.",
    ),
    "benchmark": (
        "lexer_core.cli.benchmark:benchmark",
        "Measure a model on one or more engines, side by side.",
    ),
    "show": (
        "lexer_core.cli.show:show",
        "Show a benchmark that was saved.",
    ),
    "compare": (
        "lexer_core.cli.compare:compare",
        "Say which cases of saved runs have become slower.",
    ),
    "report": (
        "lexer_core.cli.report:report",
        "Write saved runs as one HTML page, with plots.",
    ),
    "export": (
        "lexer_core.cli.export:export",
        "Turn a model into a file that engines accept.",
    ),
    "config": (
        "lexer_core.cli.config:config",
        "Show the settings that hold here, or write a file for them.",
    ),
    "cache": (
        "lexer_core.cli.cache:cache",
        "Show or clear the exports that are kept for reuse.",
    ),
}


@click.group(
    cls=LazyGroup,
    commands_by_name=_COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 done, 1 a gate said no, 2 bad usage or input, 3 an engine asked for by "
    "name failed, 4 nothing could be measured, 70 a defect of Lexer itself, 130 interrupted.",
)
@click.version_option(__version__, prog_name="lexer", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def lexer(context: click.Context, debug: bool) -> None:
    """Which engine should run this PyTorch model here, and are its answers right?

    Lexer measures a model on every engine that is installed (Torch,
    ONNXRuntime, …), each in a process of its own and taking turns, and checks
    every engine's outputs against the model's own.

    \b
    A first session:
      lexer engines list
      lexer benchmark my_models.py:Net --input 'image=float32[1,3,224,224]'
      lexer benchmark model.onnx --engine onnxruntime
    """  # noqa: D301 - to click, \b is the character
    context.ensure_object(dict)["debug"] = debug
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> None:
    """Run the ``lexer`` command of this process, and end it."""
    instruction = os.environ.get(_COMPLETION_VARIABLE)
    if instruction:
        from click.shell_completion import shell_complete  # only where a shell asks for it

        sys.exit(shell_complete(lexer, {}, "lexer", _COMPLETION_VARIABLE, instruction))
    sys.exit(run())


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status; prints what went wrong.

    Parameters
    ----------
    arguments
        Without the program's name; ``None`` takes those of this process.
    """
    with noted_interrupts() as interrupts:
        status = _run(sys.argv[1:] if arguments is None else list(arguments), interrupts)
    return INTERRUPTED if interrupts else status


def _run(words: list[str], interrupts: Sequence[int]) -> int:
    state: dict[str, bool] = {"debug": False}
    try:
        # Not lexer.main(): it answers a reader that went away with status 1.
        with lexer.make_context("lexer", words, obj=state) as context:
            result = lexer.invoke(context)
        if sys.stdout is not None:  # as it is where standard output was closed
            sys.stdout.flush()
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return BAD_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except LexerError as error:
        if state["debug"]:
            _print_traceback(error)
        click.echo(f"Error: {error}", err=True)
        return exit_status_of(error)
    except BrokenPipeError:
        _let_go_of_stdout()
        return DONE  # whoever read the output has what they wanted
    except Exception as error:
        if state["debug"] or not interrupts:
            _print_traceback(error)
        if interrupts:
            click.echo("Interrupted.", err=True)
            return INTERRUPTED
        click.echo(f"Error: this is a defect of Lexer {__version__}; please report it.", err=True)
        return DEFECT
    return result if isinstance(result, int) else DONE


def exit_status_of(error: LexerError) -> int:
    """Return the exit status that belongs to an error."""
    # A model that rejects its inputs, or is wrong itself, is bad input to Lexer.
    if isinstance(error, (UsageError, ModelError)):
        return BAD_USAGE
    return ENGINE_FAILED if isinstance(error, EngineError) else NOTHING_MEASURED


def _print_traceback(error: BaseException) -> None:
    import traceback  # only here: it takes time to import and is needed for errors alone

    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)


def _let_go_of_stdout() -> None:
    """Send what is still in the buffer nowhere, so that Python's exit is quiet."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
