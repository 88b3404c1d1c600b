"""``lexer compare``: has a model become slower, and does the build fail for it?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lexer_core.cli.main import DONE, GATE_SAID_NO
from lexer_core.cli.options import Share
from lexer_core.cli.rerun import rerun_options, run_again, status_of_rerun
from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.comparison import RunComparison, VerdictOfCase

__all__ = ["compare", "gate_status"]

_Format = Literal["table", "markdown", "json"]

_FORMATS: tuple[_Format, ...] = ("table", "markdown", "json")

_SUFFIXES: Mapping[str, _Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
    ".txt": "table",
}

_FAILING: Mapping[str, tuple[VerdictOfCase, ...]] = {
    "regression": ("REGRESSION",),
    "inconclusive": ("REGRESSION", "INCONCLUSIVE"),
    "not-comparable": ("REGRESSION", "INCONCLUSIVE", "NOT COMPARABLE"),
}
"""What fails the gate, by how strict it is."""

_FILE_WIDTH = 100


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="BASE NEW...|TARGET")
@click.option(
    "--threshold",
    type=Share(),
    metavar="SHARE",
    help="Smallest slowdown that counts, e.g. 5% or 0.05; unless given, 2% where both hosts were "
    "quiet, and 5% where one may be shared.",
)
@click.option(
    "--fail-on",
    type=click.Choice(tuple(_FAILING)),
    help="Exit with 1 if a case has that verdict, or a worse one: inconclusive includes "
    "regression, and not-comparable both.",
)
@click.option(
    "--format",
    type=click.Choice(_FORMATS),
    help="Form of the comparison: a table unless given, or what the suffix of -o says.",
)
@click.option(
    "-o",
    "--output",
    "output_file",
    metavar="FILE",
    help="Also write the comparison to a file, e.g. comment.md or comparison.json.",
)
@rerun_options
@click.pass_context
def compare(
    context: click.Context,
    /,
    *,
    runs: Sequence[str],
    threshold: float | None,
    fail_on: str | None,
    format: _Format | None,
    output_file: str | None,
    **of_rerun: Any,
) -> None:
    """Say which cases of saved runs have become slower than in the first.

    BASE and NEW are files that `lexer benchmark … --launches 5 -o run.lexer`
    wrote; of several new ones each is compared with the base. With --rerun, the
    base's models are measured again beside the one that TARGET names.

    \b
    Examples:
      lexer compare base.lexer new.lexer
      lexer compare --rerun base.lexer net.py:Net --fail-on regression
      lexer compare base.lexer new.lexer --threshold 5% --fail-on regression -o comment.md

    Every case is REGRESSION, OK, IMPROVED, INCONCLUSIVE or NOT COMPARABLE, with
    the ratio of its times, new over base, and the reason.

    \b
    Exit status: 0 done, 1 the gate of --fail-on said no, 2 bad usage, or a file
    that is no saved run. With --rerun also 4, the new model could not be
    measured on any engine, and 130, interrupted.
    """  # noqa: D301  click looks for the real \b
    shown, file, file_format = _plan(format, output_file)
    again = run_again(context, runs, threshold, of_rerun)
    if again is not None:
        deliver(again.comparison, shown, file, file_format)
        # What was broken off has passed no gate.
        context.exit(status_of_rerun(again) or gate_status(again.comparison, fail_on))
    from lexer_core.comparison import compare as compare_runs  # numpy is not for --help

    comparison = compare_runs(*runs, threshold=threshold)
    deliver(comparison, shown, file, file_format)
    context.exit(gate_status(comparison, fail_on))


def gate_status(comparison: RunComparison, fail_on: str | None) -> int:
    """Decide on the exit status.

    Parameters
    ----------
    comparison
        What came of it.
    fail_on
        ``"regression"``, ``"inconclusive"`` or ``"not-comparable"``; ``None``:
        nothing fails.
    """
    failing = _FAILING[fail_on] if fail_on is not None else ()
    return GATE_SAID_NO if comparison.with_verdict(*failing) else DONE


def deliver(
    comparison: RunComparison, shown: _Format, file: Path | None, file_format: _Format
) -> None:
    """Print a comparison, then write its file.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    from lexer_core.reporting.terminal_table import encodable  # rich is not for --help

    sys.stdout.write(encodable(_rendered(comparison, shown), sys.stdout.encoding))
    sys.stdout.flush()
    if file is not None:
        from lexer_core.output_files import write_text

        write_text(file, _rendered(comparison, file_format, width=_FILE_WIDTH))


def _plan(format: _Format | None, file: str | None) -> tuple[_Format, Path | None, _Format]:
    """Decide what standard output gets, and what a file does; as for ``lexer benchmark``."""
    if file is None or file == "-":
        return format or "table", None, "table"
    path = Path(file)
    chosen = format or _SUFFIXES.get(path.suffix.lower())
    if chosen is None:
        raise UsageError(
            f"the name {file!r} does not say in which format to write.",
            hint=f"Let it end in {', '.join(_SUFFIXES)}, or give --format.",
        )
    from lexer_core.output_files import check_writable

    check_writable(path)
    return "table", path, chosen


def _rendered(comparison: RunComparison, format: _Format, width: int | None = None) -> str:
    if format == "markdown":
        return comparison.to_markdown()
    if format == "json":
        return comparison.to_json()
    from lexer_core.comparison.comparison_table import comparison_to_text

    return comparison_to_text(comparison, width) + "\n"
