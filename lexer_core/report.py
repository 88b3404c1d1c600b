"""``BenchmarkReport``: how does a user read, print and write a report?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import attrs
from attrs import frozen

from lexer_core.deploy.row_model import LiveModel, RowModel
from lexer_core.errors import UsageError
from lexer_core.output_files import write_if_named
from lexer_core.reporting.baseline import baseline_of, reversed_comparison
from lexer_core.reporting.caveats import caveats_of
from lexer_core.reporting.report_csv import column_numbers, report_to_csv
from lexer_core.reporting.report_html import report_to_html
from lexer_core.reporting.report_json import (
    report_from_dict,
    report_from_json,
    report_to_dict,
    report_to_json,
)
from lexer_core.reporting.report_markdown import report_to_markdown
from lexer_core.reporting.sentences import problem
from lexer_core.reporting.table_layout import in_order
from lexer_core.reporting.terminal_table import report_to_text
from lexer_core.results.report_data import ReportData

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

    from lexer_core.results import BenchmarkResult, Comparison

__all__ = ["BenchmarkReport"]


@frozen(kw_only=True, repr=False)
class BenchmarkReport(ReportData):
    """The results of a benchmark: a sequence of rows that prints as a table.

    The rows are in the order of the printed table, the fastest first; ``results`` has
    them in the order in which the engines were named. ``report[0]`` is a row by position,
    and ``report["torch"]`` by its label or, if it is the only one, by its engine's name;
    ``"torch" in report`` tests for such a row. The fields are those of
    :class:`~lexer_core.results.ReportData`.
    """

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        # Rows refer to their models, not to the report, so that each is freed early.
        rows = tuple(self._with_saver(row) for row in self.results)
        object.__setattr__(self, "results", rows)

    @classmethod
    def _with_fields_of(cls, report: ReportData) -> Self:
        """Return a report of this class with the fields of another one."""
        fields = attrs.fields(ReportData)
        return cls(**{field.name: getattr(report, field.name) for field in fields})

    def _with_saver(self, row: BenchmarkResult) -> BenchmarkResult:
        source = RowModel(
            saved=next((each for each in self.models if row.label in each.labels), None),
            live=self.live_model if isinstance(self.live_model, LiveModel) else None,
            model_name=row.model or self.model_name,
            created_at=self.created_at,
            environment=self.environment,
            input_names=tuple(spec.name for spec in self.input_specs),
            weights_digest=self.model_fingerprint.get("weights", ""),
            others=tuple(label for each in self.models for label in each.labels),
            settings=self.settings,
        )
        saver = partial(_save_row, source)
        if row.saver is not None:  # it is in another report, too
            return attrs.evolve(row, saver=saver)
        object.__setattr__(row, "saver", saver)
        return row

    def __iter__(self) -> Iterator[BenchmarkResult]:
        return iter(in_order(self.results))

    @overload
    def __getitem__(self, key: int | str) -> BenchmarkResult: ...
    @overload
    def __getitem__(self, key: slice) -> tuple[BenchmarkResult, ...]: ...
    def __getitem__(self, key: int | str | slice) -> BenchmarkResult | tuple[BenchmarkResult, ...]:
        if isinstance(key, str):
            return super().__getitem__(key)
        return tuple(in_order(self.results))[key]

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return key in self.results
        try:
            super().__getitem__(key)
        except KeyError:
            return False
        return True

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the rows, in the order of the printed table."""
        return tuple(row.label for row in self)

    @property
    def ranking(self) -> tuple[BenchmarkResult, ...]:
        """The rows that have a rank, the fastest first.

        A row has none if it failed, its outputs are wrong, or the samples do not support
        one.
        """
        ranked = [row for row in self if row.rank is not None]
        return tuple(sorted(ranked, key=lambda row: row.rank or 0))

    @property
    def fastest(self) -> BenchmarkResult | None:
        """The first row of :attr:`ranking`; ``None`` if no row has a rank."""
        return next(iter(self.ranking), None)

    def sorted_by(self, figure: str, *, descending: bool = False) -> tuple[BenchmarkResult, ...]:
        """Return the rows in the order of a figure; those without one come last.

        Parameters
        ----------
        figure
            A column of numbers of the CSV (docs/csv.md), such as ``"p99_ms"``,
            ``"throughput_per_sec"`` or ``"peak_memory_bytes"``.
        descending
            Whether the largest comes first.

        Raises
        ------
        UsageError
            No figure has this name.

        Examples
        --------
        ::

            report.sorted_by("p99_ms")[0].save("deploy/")
        """
        values = column_numbers(self, figure)
        known = [row for row in self if values[row.label] is not None]
        ordered = sorted(known, key=lambda row: values[row.label] or 0.0, reverse=descending)
        return (*ordered, *(row for row in self if values[row.label] is None))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons to distrust the results, the most important first, and notes on the run.

        Those of single rows start with their names. ``row.warnings`` has them by row.
        """
        caveats = caveats_of(self)
        return (*caveats.main, *caveats.noise)

    def speedup(self, of: str, than: str | None = None) -> Comparison:
        """Return how many times as fast one row is as another.

        Parameters
        ----------
        of
            A row, by its label or its engine's name.
        than
            The row to compare with. Default: the baseline, which is the first engine
            that was named.

        Returns
        -------
        Comparison
            Its ``ratio`` (an interval with ``estimate``, ``low`` and ``high``) is the time
            of ``than`` ÷ the time of ``of``: above 1, ``of`` is faster. ``verdict`` is
            ``"faster"``, ``"slower"``, ``"tie"``, ``"undecided"`` or ``"none"``, and
            ``reason`` says why there is none.

        Raises
        ------
        KeyError
            There is no such row.
        UsageError
            The two rows were not compared: one has no samples, or they are the same.

        Examples
        --------
        ::

            ratio = report.speedup("onnxruntime", "torch").ratio
            print(f"{ratio.estimate:.2f}x, {ratio.low:.2f} to {ratio.high:.2f}")
        """
        row = self[of]
        other = self[than if than is not None else baseline_of(self.comparisons)]
        for pair in self.comparisons:
            if (pair.a, pair.b) == (other.label, row.label):
                return pair
            if (pair.a, pair.b) == (row.label, other.label):
                return reversed_comparison(pair)
        raise UsageError(
            f"{row.label!r} was not compared with {other.label!r}.",
            hint="\n".join(
                f"{each.label} {problem(each)}." for each in (row, other) if each.status != "ok"
            ),
        )

    def __str__(self) -> str:
        return report_to_text(self, how_to_see_more="report.to_text(verbose=True)")

    def _repr_html_(self) -> str:
        return report_to_html(self)

    def to_text(
        self, *, width: int | None = None, verbose: bool = False, depth: int | None = None
    ) -> str:
        """Return the report as it is printed on a terminal.

        Parameters
        ----------
        width
            Characters per line. Default: the width of the terminal, or 100.
        verbose
            If true, with all caveats, the details of a noisy machine, and where the
            time went, as with ``lexer benchmark --verbose``.
        depth
            How many names of a module's path the profiles show. Default: as few as show
            where most of the time goes.
        """
        return report_to_text(
            self,
            width,
            verbose=verbose,
            how_to_see_more="report.to_text(verbose=True)",
            depth=depth,
        )

    def save(self, path: str | Path) -> Path:
        """Save everything to one file: the rows, every sample, and the exported models.

        ``lexer show`` prints the file, and :func:`lexer_core.load` reads it. The settings
        ``include_model`` and ``include_csv`` of the benchmark apply
        (:func:`lexer_core.artifact.save` takes them as arguments).

        Parameters
        ----------
        path
            The file, such as ``"run.lexer"``. An existing file is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.artifact.write import save_as_set  # imports numpy

        return save_as_set(self, Path(path))

    def plot(self, path: str | Path | None = None) -> Figure:
        """Return a bar chart of the medians with their intervals.

        For a tuning, it is throughput over latency, a point per configuration; for a load
        test, latency over the rate of the requests.

        Parameters
        ----------
        path
            File to write it to as well, such as ``"latency.png"`` or ``.svg``.

        Returns
        -------
        matplotlib.figure.Figure
            The chart, which a notebook shows.

        Raises
        ------
        MissingPackageError
            matplotlib is not installed.
        UsageError
            Nothing was measured.
        OutputFileError
            The file cannot be written.
        """
        from lexer_core.reporting.page.standalone import report_figure  # an extra

        return report_figure(self, None if path is None else Path(path))

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


def _save_row(source: RowModel, row: BenchmarkResult, folder: Path, **arguments: Any) -> Path:
    from lexer_core.deploy.save import save_row  # imports the engines

    return save_row(row, source, folder, **arguments)
