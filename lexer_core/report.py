"""``BenchmarkReport``: how does a user read, print and write a report?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from attrs import frozen

from lexer_core.output_files import write_if_named
from lexer_core.reporting.report_csv import report_to_csv
from lexer_core.reporting.report_html import report_to_html
from lexer_core.reporting.report_json import (
    report_from_dict,
    report_from_json,
    report_to_dict,
    report_to_json,
)
from lexer_core.reporting.report_markdown import report_to_markdown
from lexer_core.reporting.terminal_table import report_to_text
from lexer_core.results.report_data import ReportData

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

__all__ = ["BenchmarkReport"]


@frozen(kw_only=True, repr=False)
class BenchmarkReport(ReportData):
    """The results of a benchmark: a sequence of rows that prints as a table.

    ``report[0]`` is a row by position, and ``report["torch"]`` by its label or, if
    it is the only one, by its engine's name. The fields are those of
    :class:`~lexer_core.results.ReportData`.
    """

    def __str__(self) -> str:
        return report_to_text(self, how_to_see_more="report.to_text(verbose=True)")

    def _repr_html_(self) -> str:
        return report_to_html(self)

    def to_text(self, *, width: int | None = None, verbose: bool = False) -> str:
        """Return the report as it is printed on a terminal.

        Parameters
        ----------
        width
            Characters per line. Default: the width of the terminal, or 100.
        verbose
            If true, with all caveats, the details of a noisy machine, and where the
            time went, as with ``lexer benchmark --verbose``.
        """
        return report_to_text(
            self, width, verbose=verbose, how_to_see_more="report.to_text(verbose=True)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report without raw samples, as JSON types (docs/json.md)."""
        return report_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Return the report from :meth:`to_dict`, equal to the original one.

        Raises
        ------
        ReportFormatError
            The data is not a valid report, or has a newer schema version.
        """
        return report_from_dict(data, cls)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the report from :meth:`to_json`, equal to the original one.

        Raises
        ------
        ReportFormatError
            The text is not a valid report, or has a newer schema version.
        """
        return report_from_json(text, cls)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the report as JSON, and write it to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(report_to_json(self), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return the rows as CSV (docs/csv.md), and write them to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(report_to_csv(self), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the report as an HTML page with plots, and write it to ``path`` if given.

        The page is a single file that loads nothing and runs no script
        (docs/reading-the-report.md).

        Raises
        ------
        MissingPackageError
            The extra ``lexer-core[report]`` is not installed.
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.page import report_page  # an extra

        return write_if_named(report_page(self), path)

    def to_dataframe(self, *, samples: bool = False) -> pd.DataFrame:
        """Return the report as a pandas DataFrame.

        Parameters
        ----------
        samples
            If true, one line per raw sample, with its label, engine, device, launch,
            round and latency in milliseconds. Otherwise one line per row of the
            report, with the columns of the CSV (docs/csv.md).

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        # pandas is optional
        from lexer_core.reporting.report_dataframe import report_to_dataframe, samples_to_dataframe

        return samples_to_dataframe(self) if samples else report_to_dataframe(self)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return the report as Markdown, and write it to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(report_to_markdown(self), path)
