"""``lexer report``: how do saved runs become an HTML page?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lexer_core.cli.options import output_option
from lexer_core.errors import OutputFileError
from lexer_core.output_files import check_writable, write_text
from lexer_core.reporting.numbers import bytes_text

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["report"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@output_option(
    "Page to write, e.g. report.html. It is self-contained and contains no scripts.",
    required=True,
    metavar="FILE.html",
)
def report(*, runs: Sequence[str], output_file: str) -> None:
    """Write saved runs as an HTML page with plots.

    RUN is a file written by `lexer benchmark … -o run.lexer`. A .json file works,
    too, but has no samples, so its page shows no distributions. Several runs
    appear side by side, followed by a section for each. A file written by
    `lexer merge` becomes a page of its machines; other runs are added to it.

    \b
    Examples:
      lexer report run.lexer -o report.html
      lexer report monday.lexer tuesday.lexer -o both.html
      lexer report fleet.lexer -o fleet.html

    Plots require an extra: pip install 'lexer-core[report]'.
    """  # noqa: D301  click looks for the real \b
    from lexer_core.artifact import load  # imports numpy
    from lexer_core.artifact.merged_file import is_merged_file
    from lexer_core.merged import load_saved, merge
    from lexer_core.reporting.page import check_extra, report_page

    check_extra()
    page = Path(output_file)
    paths = [Path(run) for run in runs]
    check_writable(page)
    if page.resolve() in [path.resolve() for path in paths]:
        raise OutputFileError(
            f"{output_file!r} is one of the runs, which the page would overwrite.",
            hint="Choose another file: -o report.html",
        )
    if not any(map(is_merged_file, paths)):
        html = report_page([load(path) for path in paths], names=[path.stem for path in paths])
    else:
        merged = load_saved(paths[0]) if len(paths) == 1 else merge(paths)
        html = merged.to_html()
    write_text(page, html)
    click.echo(f"Wrote {page}: {bytes_text(page.stat().st_size)}.")
