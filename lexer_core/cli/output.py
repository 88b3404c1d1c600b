"""Where do results go, and in which form?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from attrs import frozen

from lexer_core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lexer_core.report import BenchmarkReport

__all__ = ["FORMATS", "Format", "Output", "plan_output"]

Format = Literal["table", "json", "csv", "markdown"]
FileFormat = Format | Literal["lexer"]

FORMATS: tuple[Format, ...] = ("table", "json", "csv", "markdown")

_SUFFIXES: Mapping[str, FileFormat] = {
    ".lexer": "lexer",
    ".json": "json",
    ".csv": "csv",
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "table",
}

_FILE_TABLE_WIDTH = 120


@frozen(kw_only=True)
class Output:
    """Where the results of one command go.

    ``shown`` is what standard output gets, ``file`` what else is written, as
    ``file_format``.
    """

    shown: Format
    file: Path | None = None
    file_format: FileFormat = "table"

    def deliver(self, report: BenchmarkReport) -> None:
        """Print the report, then write the file: what is printed cannot be lost any more.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        if self.shown == "table":
            from lexer_core.reporting.terminal_table import print_report  # rich is not for --help

            print_report(report)
        else:
            sys.stdout.write(_RENDERERS[self.shown](report))
        sys.stdout.flush()
        if self.file is None:
            return
        if self.file_format == "lexer":
            _save(report, self.file)
        else:
            from lexer_core.output_files import write_text

            write_text(self.file, _RENDERERS[self.file_format](report))


def plan_output(format: Format | None, file: str | None) -> Output:
    """Decide on the forms, and check that the file can be written.

    Parameters
    ----------
    format
        Asked for by name. With a file it is the file's, otherwise that of
        standard output, as it is where the file is an artifact.
    file
        ``-o``; ``-`` is standard output. Its suffix says the format where none
        is asked for. With a file, standard output shows the table.

    Raises
    ------
    UsageError
        The suffix says nothing.
    OutputFileError
        The file cannot be written.
    """
    if file is None or file == "-":
        return Output(shown=format or "table")
    path = Path(file)
    told = _SUFFIXES.get(path.suffix.lower())
    # An artifact holds every form, so the one asked for is that of standard output.
    chosen = told if told == "lexer" else format or told
    if chosen is None:
        raise UsageError(
            f"the name {file!r} does not say in which format to write.",
            hint=f"Let it end in {', '.join(_SUFFIXES)}, or give --format.",
        )
    from lexer_core.output_files import check_writable

    check_writable(path)
    shown = (format or "table") if chosen == "lexer" else "table"
    return Output(shown=shown, file=path, file_format=chosen)


def _save(report: BenchmarkReport, path: Path) -> None:
    from lexer_core.artifact import save_as_set  # imports numpy

    save_as_set(report, path, warn=lambda text: click.echo(f"Warning: {text}", err=True))


def _table(report: BenchmarkReport) -> str:
    from lexer_core.reporting.terminal_table import report_to_text  # rich is not for --help

    return report_to_text(report, width=_FILE_TABLE_WIDTH) + "\n"


_RENDERERS: Mapping[Format, Callable[[BenchmarkReport], str]] = {
    "table": _table,
    "json": lambda report: report.to_json(),
    "csv": lambda report: report.to_csv(),
    "markdown": lambda report: report.to_markdown(),
}
