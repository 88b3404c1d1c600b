"""``lexer report``: how do saved runs become a page?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lexer_core.errors import OutputFileError, ReportFormatError, TargetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.report import BenchmarkReport

__all__ = ["report"]


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "-o",
    "--output",
    "output_file",
    required=True,
    metavar="FILE.html",
    help="The page to write, e.g. report.html. It is one file, which loads nothing and runs no "
    "script.",
)
def report(*, runs: Sequence[str], output_file: str) -> None:
    """Write saved runs as one HTML page, with plots.

    RUN is a file that `lexer benchmark … -o run.lexer` wrote. A .json file will
    do too, but holds no samples, and its page no distributions. Several runs are
    put side by side, and each has a part of its own.

    \b
    Examples:
      lexer report run.lexer -o report.html
      lexer report monday.lexer tuesday.lexer -o both.html

    The plots need an extra: pip install 'lexer-core[report]'.
    """  # noqa: D301  click looks for the real \b
    from lexer_core.output_files import check_writable, write_text  # not for --help
    from lexer_core.reporting.numbers import bytes_text
    from lexer_core.reporting.page import check_extra, report_page

    check_extra()
    page = Path(output_file)
    paths = [Path(run) for run in runs]
    if page.resolve() in [path.resolve() for path in paths]:
        raise OutputFileError(
            f"{output_file!r} is one of the runs: the page would take its place.",
            hint="Name another file: -o report.html",
        )
    check_writable(page)
    html = report_page([_read(path) for path in paths], names=[path.stem for path in paths])
    write_text(page, html)
    click.echo(f"Wrote {page}: {bytes_text(page.stat().st_size)}.")


def _read(path: Path) -> BenchmarkReport:
    """Read a saved run.

    Raises
    ------
    TargetError
        The file is not there, or is no saved run.
    """
    if not path.is_file():
        raise TargetError(f"there is no file {str(path)!r}.")
    try:
        if path.suffix.lower() == ".json":
            from lexer_core.report import BenchmarkReport  # only for such a file

            return BenchmarkReport.from_json(path.read_bytes())
        from lexer_core.artifact import load  # only for such a file

        return load(path)
    except ReportFormatError as error:
        # To whoever reads a report, a fault of the file; here, of the request.
        raise TargetError(
            f"{str(path)!r} is not a saved run: {error.message}",
            hint=error.hint or "A run is saved by: lexer benchmark … -o run.lexer",
        ) from error
