"""``lexer merge``: how do runs of several machines become one table?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lexer_core.cli.main import DONE, WRONG_USAGE
from lexer_core.cli.options import output_option
from lexer_core.cli.output import format_option, plan_output
from lexer_core.errors import OutputFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.cli.output import Format
    from lexer_core.merged import MergedRuns

__all__ = ["merge"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@output_option(
    "File to write: fleet.lexer keeps every run whole; .json, .csv, .md and .txt have the table.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="RUN=NAME",
    help="Name the machine of a run, e.g. a.lexer=gpu-box; repeat for each. RUN may also be the "
    "name of a machine so far. Default: its processor, cores and GPUs.",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="NAME=PRICE/h",
    help="What a machine costs per hour, in any currency, e.g. 'gpu-box=$2.50/h'; repeat for "
    "each. Adds the cost of a million items.",
)
@format_option()
@click.pass_context
def merge(
    context: click.Context,
    /,
    *,
    runs: Sequence[str],
    output_file: str | None,
    names: Sequence[str],
    prices: Sequence[str],
    format: Format | None,
) -> None:
    """Put runs of several machines into one table.

    RUN is a file written by `lexer benchmark … -o run.lexer`, its JSON, a file that
    this command wrote, or a folder, in which all .lexer files are taken. Measures
    nothing and runs no code from the files.

    \b
    Examples:
      lexer merge laptop.lexer server.lexer -o fleet.lexer
      lexer merge runs/ -o fleet.lexer --name a.lexer=gpu-box --price 'gpu-box=$2.50/h'
      lexer merge fleet.lexer new.lexer -o fleet.lexer

    Shows the best case of each machine, its items per second, also per core, and
    with prices their cost. `lexer show` and `lexer report` open the file, too.

    \b
    Exit status: 0 success, 2 wrong usage, or a file cannot be read. The others are
    merged all the same.
    """  # noqa: D301  click looks for the real \b
    from lexer_core.merged import merge as merge_runs  # imports numpy

    called = _pairs(names, "--name", "a.lexer=gpu-box")
    priced = _pairs(prices, "--price", "'gpu-box=$2.50/h'")
    output = plan_output(format, output_file)
    merged = merge_runs(runs, names=called, prices=priced, skip_damaged=True)
    if output.file is not None:
        _refuse_to_overwrite(output.file, runs, merged)
    output.deliver(merged)
    for problem in merged.problems:
        click.echo(f"Error: {problem}", err=True)
    if merged.problems:
        click.echo("The other runs were merged.", err=True)
    context.exit(WRONG_USAGE if merged.problems else DONE)


def _pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        left, sign, right = text.rpartition("=")
        if not (left.strip() and sign and right.strip()):
            raise UsageError(f"{option} {text!r} is not a pair.", hint=f"{option} {example}")
        pairs[left.strip()] = right.strip()
    return pairs


def _refuse_to_overwrite(output: Path, runs: Sequence[str], merged: MergedRuns) -> None:
    """Allow to replace merged runs by more of them, but not one run, or what was not read."""
    from lexer_core.artifact.merged_file import is_merged_file  # imports numpy

    target = output.resolve()
    if target not in [Path(run).resolve() for run in runs]:
        return
    if merged.problems or not is_merged_file(target):
        raise OutputFileError(
            f"{str(output)!r} is one of the runs, which the merged file would replace.",
            hint="Choose another file: -o fleet.lexer",
        )
