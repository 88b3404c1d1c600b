"""Where do results go, and in which format?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import click
from attrs import frozen

from lexer_core.errors import UsageError
from lexer_core.output_files import check_writable, write_text
from lexer_core.reporting.sentences import is_interrupted
from lexer_core.reporting.terminal_table import (
    encodable,
    print_layouts,
    print_report,
    report_to_text,
)
from lexer_core.results.report_data import ReportData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.merged import MergedRuns
    from lexer_core.report import BenchmarkReport

__all__ = [
    "FORMATS",
    "Format",
    "Output",
    "depth_option",
    "format_of_file",
    "format_option",
    "plan_output",
    "verbose_option",
]

FormatT = TypeVar("FormatT")

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

_ONE_LAUNCH = (
    "lexer: {file} has one launch of each engine, so that `lexer compare` will show ratios but no "
    "verdicts. For verdicts, add --launches 5, or measure its models again with a new one: "
    "lexer compare --rerun {file} TARGET"
)


@frozen(kw_only=True)
class Output:
    """Where the results of a command go.

    ``shown`` is the format for standard output; ``file``, if any, is written in
    ``file_format``. ``verbose`` is whether a table shows all caveats and details, and
    ``depth`` how many names of a module's path it shows.
    """

    shown: Format
    verbose: bool = False
    depth: int | None = None
    file: Path | None = None
    file_format: FileFormat = "table"

    def deliver(self, report: BenchmarkReport | MergedRuns) -> None:
        """Print the report, then write the file, even if the report cannot be printed.

        A run that was interrupted before its first sample is not written.

        Raises
        ------
        OutputFileError
            The file or standard output cannot be written.
        """
        try:
            self._print(report)
        finally:
            self._write(report)

    def _print(self, report: BenchmarkReport | MergedRuns) -> None:
        if self.shown != "table":
            text = self._render(self.shown, report)
            sys.stdout.write(encodable(text, sys.stdout.encoding))
        elif isinstance(report, ReportData):
            print_report(report, verbose=self.verbose, depth=self.depth)
        else:
            print_layouts(report.layouts())
        sys.stdout.flush()

    def _write(self, report: BenchmarkReport | MergedRuns) -> None:
        if self.file is None:
            return
        single = report if isinstance(report, ReportData) else None
        if single and all(map(is_interrupted, single)):
            click.echo(f"Nothing was measured, so {self.file} was not written.", err=True)
        elif self.file_format != "lexer":
            write_text(self.file, self._render(self.file_format, report))
        elif single is None:
            report.save(self.file)
        else:
            _save(single, self.file)
            launches = max((row.launches or 0 for row in single), default=0)
            # A profile and a load test have no option for more launches.
            has_option = single.load_test is None and not single.command.startswith("lexer profile")
            if launches == 1 and has_option:
                click.echo(_ONE_LAUNCH.format(file=self.file), err=True)

    def _render(self, format: Format, report: BenchmarkReport | MergedRuns) -> str:
        if format == "table":
            if isinstance(report, ReportData):
                text = report_to_text(
                    report, width=_FILE_TABLE_WIDTH, verbose=self.verbose, depth=self.depth
                )
            else:
                text = report.to_text(width=_FILE_TABLE_WIDTH)
            return f"{text}\n"
        return _RENDERERS[format](report)


def format_option(
    choices: Sequence[str] = FORMATS,
) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Add ``--format``."""
    return click.option(
        "--format",
        type=click.Choice(choices),
        help="Output format. Default: the one that the suffix of -o implies, or else a table.",
    )


verbose_option = click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="In a table, show all caveats, the details of a noisy machine, and where the time went.",
)


depth_option = click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many names of a module's path to show: with 2, blocks.3.attn is a part of blocks.3. "
    "Default: as few as show where most of the time goes.",
)


def plan_output(
    format: Format | None, file: str | None, *, verbose: bool = False, depth: int | None = None
) -> Output:
    """Choose the formats, and check that the file can be written.

    Parameters
    ----------
    format
        The value of ``--format``: the format of the file, or that of standard
        output if there is no file or the file is a ``.lexer`` file.
    file
        The value of ``-o``; ``-`` is standard output. Its suffix implies the
        format if ``--format`` is not used.
    verbose, depth
        The values of ``--verbose`` and ``--depth``.

    Raises
    ------
    UsageError
        The suffix implies no format.
    OutputFileError
        The file cannot be written.
    """
    if file is None or file == "-":
        return Output(shown=format or "table", verbose=verbose, depth=depth)
    path = Path(file)
    if path.suffix.lower() == ".lexer":
        # It contains every format, so --format applies to standard output.
        check_writable(path)
        shown = format or "table"
        return Output(shown=shown, file=path, file_format="lexer", verbose=verbose, depth=depth)
    file_format: FileFormat = format_of_file(file, _SUFFIXES) if format is None else format
    check_writable(path)
    return Output(shown="table", file=path, file_format=file_format, verbose=verbose, depth=depth)


def format_of_file(file: str, formats: Mapping[str, FormatT]) -> FormatT:
    """Return the format that the suffix of a file name implies.

    Parameters
    ----------
    file
        The file name.
    formats
        Formats by suffix.

    Raises
    ------
    UsageError
        The suffix implies no format.
    """
    suffix = Path(file).suffix.lower()
    if suffix not in formats:
        raise UsageError(
            f"cannot tell the output format from the file name {file!r}.",
            hint=f"Use --format, or one of the suffixes {', '.join(formats)}.",
        )
    return formats[suffix]


def _save(report: BenchmarkReport, path: Path) -> None:
    from lexer_core.artifact import save_as_set  # imports numpy

    save_as_set(report, path, warn=lambda text: click.echo(f"Warning: {text}", err=True))


_RENDERERS: Mapping[Format, Callable[[BenchmarkReport | MergedRuns], str]] = {
    "json": lambda report: report.to_json(),
    "csv": lambda report: report.to_csv(),
    "markdown": lambda report: report.to_markdown(),
}
