"""``lexer compare``: has a model become slower, and should the build fail?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lexer_core.cli.help_groups import GroupedCommand
from lexer_core.cli.main import DONE, GATE_FAILED
from lexer_core.cli.options import Fraction, output_option
from lexer_core.cli.output import format_of_file, format_option
from lexer_core.cli.rerun import (
    BASE_OPTIONS,
    INPUT_OPTIONS,
    RERUN_SETTINGS,
    refuse_rerun_options,
    rerun_from_options,
    rerun_options,
    rerun_status,
)
from lexer_core.comparison.comparison_table import comparison_to_text
from lexer_core.output_files import check_writable, write_text
from lexer_core.reporting.terminal_table import encodable

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
"""The verdicts that fail the gate, from lenient to strict."""

_FILE_WIDTH = 100


_GROUPS = {
    "Verdicts": ("threshold", "fail_on"),
    "Results": ("format", "output_file"),
    "Measure again": ("rerun", *BASE_OPTIONS),
    "Inputs, with --rerun": INPUT_OPTIONS,
    "Settings, with --rerun": RERUN_SETTINGS,
}
_COMMON = (*_GROUPS["Verdicts"], *_GROUPS["Results"], *_GROUPS["Measure again"])


@click.command(cls=GroupedCommand, groups=_GROUPS, common=_COMMON)
@click.argument("runs", nargs=-1, required=True, metavar="BASE NEW...|TARGET")
@click.option(
    "--threshold",
    type=Fraction(),
    metavar="FRACTION",
    help="Smallest slowdown that counts, e.g. 5% or 0.05. Default: 2% if both hosts were quiet, "
    "5% if one may be shared.",
)
@click.option(
    "--fail-on",
    type=click.Choice(tuple(_FAILING)),
    help="Exit with 1 if any case has this verdict or a worse one: inconclusive includes "
    "regression, not-comparable includes both. With --rerun, also if the base's TARGET turns out "
    "to be the new model.",
)
@format_option(_FORMATS)
@output_option(
    "Also write the comparison to a file, e.g. comment.md or comparison.json.",
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
    **for_rerun: Any,
) -> None:
    """Compare saved runs, and report which cases became slower.

    BASE and NEW are files written by `lexer benchmark … --launches 5 -o
    run.lexer`, or their JSON, from which ratios have no verdict because it has no
    samples. Each new run is compared with the base. With --rerun, the base's
    models are measured again, interleaved with the model that TARGET names.

    \b
    Examples:
      lexer compare base.lexer new.lexer
      lexer compare --rerun base.lexer net.py:Net --fail-on regression
      lexer compare base.lexer new.lexer --threshold 5% --fail-on regression -o comment.md

    Every case is REGRESSION, OK, IMPROVED, INCONCLUSIVE or NOT COMPARABLE, with
    the ratio of times, new over base, and a reason if there is one.

    \b
    Exit status: 0 success, 1 a case has a verdict that --fail-on names, 2 wrong
    usage or not a saved run. With --rerun also 4 if the new model could not be
    measured on any engine, and 130 if interrupted.
    """  # noqa: D301  click looks for the real \b
    shown, file, file_format = _plan(format, output_file)
    if for_rerun["rerun"]:
        result = rerun_from_options(context, runs, threshold, for_rerun)
        deliver(result.comparison, shown, file, file_format)
        # An interrupted rerun must not pass the gate.
        context.exit(rerun_status(result) or gate_status(result.comparison, fail_on))
    refuse_rerun_options(context)
    from lexer_core.comparison import compare as compare_runs  # imports numpy

    comparison = compare_runs(*runs, threshold=threshold)
    deliver(comparison, shown, file, file_format)
    context.exit(gate_status(comparison, fail_on))


def gate_status(comparison: RunComparison, fail_on: str | None) -> int:
    """Return the exit status of a comparison.

    Parameters
    ----------
    comparison
        The comparison.
    fail_on
        ``"regression"``, ``"inconclusive"`` or ``"not-comparable"``; ``None``
        never fails.
    """
    if fail_on is None:
        return DONE
    if any(pair.wrong_base for pair in comparison.pairs):
        return GATE_FAILED  # the gate would have compared the new model with itself
    return GATE_FAILED if comparison.with_verdict(*_FAILING[fail_on]) else DONE


def deliver(
    comparison: RunComparison, shown: _Format, file: Path | None, file_format: _Format
) -> None:
    """Print a comparison, then write the file.

    Raises
    ------
    OutputFileError
        The file cannot be written.
    """
    sys.stdout.write(encodable(_rendered(comparison, shown), sys.stdout.encoding))
    sys.stdout.flush()
    if file is not None:
        write_text(file, _rendered(comparison, file_format, width=_FILE_WIDTH))


def _plan(format: _Format | None, file: str | None) -> tuple[_Format, Path | None, _Format]:
    """Choose the formats of standard output and the file, as for ``lexer benchmark``."""
    if file is None or file == "-":
        return format or "table", None, "table"
    file_format = format_of_file(file, _SUFFIXES) if format is None else format
    check_writable(Path(file))
    return "table", Path(file), file_format


def _rendered(comparison: RunComparison, format: _Format, width: int | None = None) -> str:
    if format == "markdown":
        return comparison.to_markdown()
    if format == "json":
        return comparison.to_json()
    return comparison_to_text(comparison, width) + "\n"
