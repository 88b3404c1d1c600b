"""What does a user get from a tuning?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from attrs import frozen

from lexer_core.errors import UsageError
from lexer_core.report import BenchmarkReport

if TYPE_CHECKING:
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.report_data import ReportData
    from lexer_core.results.tuning import Fate, Tuning, TuningConfiguration

__all__ = ["TuningReport"]


@frozen(kw_only=True, repr=False)
class TuningReport(BenchmarkReport):
    """The results of a tuning: a report with one row per configuration.

    Only the rows of finalists have the numbers of a benchmark; those of the others are
    from the rounds in which they took part.
    """

    @classmethod
    def of(cls, report: ReportData) -> Self:
        """Return the tuning in a report, such as one that was loaded from a file.

        Raises
        ------
        UsageError
            The report is that of a benchmark.
        """
        if report.tuning is None:
            raise UsageError(
                "this report is that of a benchmark, not of a tuning.",
                hint="lexer tune writes one.",
            )
        return cls._with_fields_of(report)

    @property
    def search(self) -> Tuning:
        """Goals, limits, axes, and how each configuration ended."""
        assert self.tuning is not None
        return self.tuning

    @property
    def configurations(self) -> tuple[TuningConfiguration, ...]:
        """How each configuration ended, in the order of the rows."""
        return self.search.configurations

    @property
    def best(self) -> BenchmarkResult | None:
        """The row of the winner; ``None`` if nothing meets the limits, or for two goals."""
        return next(iter(self._rows("winner")), None)

    @property
    def fastest(self) -> BenchmarkResult | None:
        """The row of the winner, like :attr:`best`."""
        return self.best

    @property
    def tied(self) -> tuple[BenchmarkResult, ...]:
        """The rows that could not be told from the winner."""
        return self._rows("tie")

    @property
    def pareto(self) -> tuple[BenchmarkResult, ...]:
        """The rows that none beats in both goals; for one goal, the winner and its ties."""
        return self._rows("front") or (*self._rows("winner"), *self._rows("tie"))

    def _rows(self, fate: Fate) -> tuple[BenchmarkResult, ...]:
        return tuple(
            self[configuration.label]
            for configuration in self.configurations
            if configuration.fate == fate
        )
