"""What does a user get from a load test?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

from lexer_core.errors import UsageError
from lexer_core.report import BenchmarkReport

if TYPE_CHECKING:
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.load_test import LoadConfiguration, LoadTest
    from lexer_core.results.report_data import ReportData

__all__ = ["LoadReport"]


@frozen(kw_only=True, repr=False)
class LoadReport(BenchmarkReport):
    """The results of a load test: a report with one row per configuration.

    The rows have the latency of single calls, as in a benchmark;
    :attr:`configurations` have what each one can serve.
    """

    @classmethod
    def of(cls, report: ReportData) -> Self:
        """Return the load test in a report, such as one that was loaded from a file.

        Raises
        ------
        UsageError
            The report is that of a benchmark.
        """
        if report.load_test is None:
            raise UsageError(
                "this report is that of a benchmark, not of a load test.",
                hint="lexer load writes one.",
            )
        return cls._with_fields_of(report)

    @property
    def test(self) -> LoadTest:
        """The objective, the arrivals, and what was found."""
        assert self.load_test is not None
        return self.load_test

    @property
    def configurations(self) -> tuple[LoadConfiguration, ...]:
        """What each configuration can serve, that of the highest rate first."""
        known = self.test.configurations
        return tuple(sorted(known, key=lambda each: -(each.rate or 0.0)))

    @property
    def best(self) -> LoadConfiguration | None:
        """The configuration with the highest rate; ``None`` if no rate keeps to the limit."""
        best = next(iter(self.configurations), None)
        return None if best is None or best.rate is None else best

    @property
    def fastest(self) -> BenchmarkResult | None:
        """The row of :attr:`best`."""
        return None if self.best is None else self[self.best.label]
