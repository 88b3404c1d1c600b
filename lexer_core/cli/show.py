"""``lexer show``: what does a saved benchmark say, or several merged ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexer_core.cli.options import output_option
from lexer_core.cli.output import depth_option, format_option, plan_output, verbose_option
from lexer_core.errors import UsageError
from lexer_core.reporting.numbers import bytes_text
from lexer_core.results.report_data import ReportData
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from lexer_core.artifact import Content
    from lexer_core.cli.output import Format
    from lexer_core.merged import MergedRuns
    from lexer_core.report import BenchmarkReport

__all__ = ["show"]


@click.command()
@click.argument("file", metavar="FILE")
@format_option()
@output_option("Also write the results to a file, e.g. results.json, .csv or .md.")
@click.option(
    "--contents",
    "only_contents",
    is_flag=True,
    help="List the contents of the file.",
)
@click.option(
    "--run",
    "run_name",
    metavar="NAME",
    help="Of merged runs, show only this one; with -o run.lexer, also write it to its own file.",
)
@depth_option
@verbose_option
def show(
    file: str,
    format: Format | None,
    output_file: str | None,
    only_contents: bool,
    run_name: str | None,
    depth: int | None,
    verbose: bool,
) -> None:
    """Show a benchmark that was saved with -o run.lexer or flush(), or merged runs.

    FILE may also be the JSON of a benchmark (--format json), which has no samples.
    Prints the same table as the benchmark, or `lexer merge`, did. Measures nothing
    and runs no code from the file.

    \b
    Examples:
      lexer show run.lexer
      lexer show run.lexer --format markdown
      lexer show run.lexer --contents
      lexer show fleet.lexer --run laptop -o laptop.lexer
    """  # noqa: D301  click looks for the real \b
    from lexer_core.artifact import contents  # imports numpy
    from lexer_core.merged import load_saved

    if only_contents:
        if format is not None or output_file is not None or run_name is not None:
            raise UsageError("--contents cannot be combined with --format, -o or --run.")
        click.echo(_listing(contents(file)))
        return
    output = plan_output(format, output_file, verbose=verbose, depth=depth)
    saved = load_saved(file)
    output.deliver(saved if run_name is None else _run_of(saved, run_name, file))


def _run_of(saved: BenchmarkReport | MergedRuns, name: str, file: str) -> BenchmarkReport:
    if isinstance(saved, ReportData):
        raise UsageError(f"{file!r} is a single run, without names of runs.", hint="Omit --run.")
    names = [run.name for run in saved]
    if name not in names:
        raise UsageError(
            f"{file!r} has no run {name!r}.",
            hint=f"Runs: {', '.join(names)}.{did_you_mean(name, names)}",
        )
    return saved[name].report


def _listing(files: tuple[Content, ...]) -> str:
    sizes = [bytes_text(file.size_bytes) for file in files]
    size_width = max(map(len, sizes), default=0)
    name_width = max((len(file.name) for file in files), default=0)
    return "\n".join(
        f"{size:>{size_width}}  {file.name:<{name_width}}  {file.what}".rstrip()
        for size, file in zip(sizes, files, strict=True)
    )
