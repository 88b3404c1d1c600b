"""``lexer show``: what does a saved benchmark say?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lexer_core.cli.output import FORMATS, plan_output
from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from lexer_core.artifact import Content
    from lexer_core.cli.output import Format

__all__ = ["show"]


@click.command()
@click.argument("file", metavar="FILE.lexer")
@click.option(
    "--format",
    type=click.Choice(FORMATS),
    help="Form of the results: a table unless given, or what the suffix of -o says.",
)
@click.option(
    "-o",
    "--output",
    "output_file",
    metavar="FILE",
    help="Also write the results to a file, e.g. results.json, .csv or .md.",
)
@click.option(
    "--contents", "only_contents", is_flag=True, help="List the files in it, and what each is."
)
def show(file: str, format: Format | None, output_file: str | None, only_contents: bool) -> None:
    """Show a benchmark that was saved with -o run.lexer or flush().

    The same table as when it was measured, from the file alone: nothing is
    measured, and nothing in the file is run.

    \b
    Examples:
      lexer show run.lexer
      lexer show run.lexer --format markdown
      lexer show run.lexer --contents
    """  # noqa: D301  click looks for the real \b
    from lexer_core.artifact import contents, load  # imports numpy

    if only_contents:
        if format is not None or output_file is not None:
            raise UsageError("--contents lists files, and shows no results: ask for one of them.")
        click.echo(_listing(contents(file)))
        return
    output = plan_output(format, output_file)
    output.deliver(load(file))


def _listing(found: tuple[Content, ...]) -> str:
    from lexer_core.reporting.numbers import bytes_text  # not for --help

    sizes = [bytes_text(content.size_bytes) for content in found]
    wide = max(map(len, sizes), default=0)
    longest = max((len(content.name) for content in found), default=0)
    return "\n".join(
        f"{size:>{wide}}  {content.name:<{longest}}  {content.what}".rstrip()
        for size, content in zip(sizes, found, strict=True)
    )
