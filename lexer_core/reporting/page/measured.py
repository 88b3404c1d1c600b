"""Which rows have samples that can be drawn, and what prevents the others?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.reporting.numbers import estimate_text
from lexer_core.reporting.page.series import Series, series_of
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.sentences import titles
from lexer_core.statistics import round_medians

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.results import BenchmarkResult, ReportData

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.int_]

__all__ = ["Measured", "measured_rows", "median_text", "undrawn"]


@frozen(kw_only=True, eq=False)
class Measured:
    """A row with its samples: seconds, and the round and launch of each, shape ``(n,)``.

    ``warm_up`` holds the warm-up (seconds of a call, or of the mean of a few), and
    ``warm_up_launches`` the launch of each; both are empty if it was not saved.
    """

    row: BenchmarkResult
    series: Series
    samples: Floats
    rounds: Indices
    launches: Indices
    warm_up: Floats
    warm_up_launches: Indices


def measured_rows(report: ReportData) -> list[Measured]:
    """Return the rows whose samples can be drawn, in the report's order."""
    series = series_of(report.results)
    return [
        _measured(row, series[row.label])
        for row in report.results
        if row.status == "ok" and not _hindrance(row)
    ]


def undrawn(report: ReportData) -> list[str]:
    """Return the reason for each measured row that cannot be drawn."""
    names = titles(report.results)
    return [
        f"{harmless(names[row.label])}: {_hindrance(row)}"
        for row in report.results
        if row.status == "ok" and _hindrance(row)
    ]


def _hindrance(row: BenchmarkResult) -> str:
    samples, rounds, launches = row.samples, row.sample_rounds, row.sample_launches
    if samples is None or not np.size(samples):
        return "this report has no raw samples of it"
    if rounds is None or launches is None or np.shape(launches) != np.shape(samples):
        return "its samples have no rounds"
    try:
        round_medians(samples, rounds)
    except StatisticsError as error:
        return error.message
    return ""


def _measured(row: BenchmarkResult, series: Series) -> Measured:
    warm_up, launches = row.warm_up_samples, row.warm_up_launches
    kept = (
        warm_up is not None
        and launches is not None
        and len(warm_up) == len(launches)
        and bool(np.all(np.isfinite(warm_up) & (np.asarray(warm_up) > 0)))
    )
    return Measured(
        row=row,
        series=series,
        samples=np.asarray(row.samples, dtype=np.float64),
        rounds=np.asarray(row.sample_rounds, dtype=np.int_),
        launches=np.asarray(row.sample_launches, dtype=np.int_),
        warm_up=np.asarray(warm_up if kept else [], dtype=np.float64),
        warm_up_launches=np.asarray(launches if kept else [], dtype=np.int_),
    )


def median_text(row: BenchmarkResult, unit: TimeUnit) -> str:
    """Format a row's median like the table: ``"median 9.91 ±0.03 ms"``."""
    if row.p50_ms is None:
        return "no median"
    interval = row.intervals.get("p50_ms")
    return f"median {estimate_text(row.p50_ms, interval, unit.per_ms)} {unit.name}"
