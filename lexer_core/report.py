"""``BenchmarkReport``: how does a user read, print and write a benchmark?"""

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
    """The results of one benchmark: a sequence of rows that prints as a table.

    ``report[0]`` is a row by position, ``report["torch"]`` by its label or, where
    only one row has it, by its engine's name. The fields are those of
    :class:`~lexer_core.results.ReportData`.
    """

    def __str__(self) -> str:
        return report_to_text(self)

    def _repr_html_(self) -> str:
        return report_to_html(self)

    def to_dict(self) -> dict[str, Any]:
        """Give the whole report but the raw samples, as JSON types (docs/json.md)."""
        return report_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Read back what :meth:`to_dict` gave; equal to it but for raw samples.

        Raises
        ------
        ReportFormatError
            The data are not of that form, or of a newer schema.
        """
        return report_from_dict(data, cls)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read back what :meth:`to_json` wrote.

        Raises
        ------
        ReportFormatError
            The text is not JSON, is not of that form, or has a newer schema.
        """
        return report_from_json(text, cls)

    def to_json(self, path: str | Path | None = None) -> str:
        """Give the report as JSON text, and write it to ``path`` if there is one.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(report_to_json(self), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Give the rows as CSV text (docs/csv.md), and write it to ``path`` if there is one.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(report_to_csv(self), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Give the report as an HTML page with plots (docs/reading-the-report.md).

        The page is one file that loads nothing and runs no script. It is written
        to ``path`` if there is one.

        Raises
        ------
        MissingPackageError
            The extra ``lexer-core[report]`` is not installed.
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.page import report_page  # the extra, which may be missing

        return write_if_named(report_page(self), path)

    def to_dataframe(self, *, samples: bool = False) -> pd.DataFrame:
        """Give the report as a pandas DataFrame.

        Parameters
        ----------
        samples
            One line for each raw sample, with its label, engine, device, launch,
            round and latency in milliseconds; otherwise one line for each row of
            the report, in the columns of the CSV (docs/csv.md).

        Raises
        ------
        MissingPackageError
            pandas is not installed.
        """
        # pandas, which may be missing
        from lexer_core.reporting.report_dataframe import report_to_dataframe, samples_to_dataframe

        return samples_to_dataframe(self) if samples else report_to_dataframe(self)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Give the report as a Markdown table, and write it to ``path`` if there is one.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(report_to_markdown(self), path)
