"""Where are the configurations of a tuning in the plane of latency and throughput?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import unit_of_times

if TYPE_CHECKING:
    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.results import BenchmarkResult, Interval, ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration

__all__ = ["Plane", "PlanePoint", "plane_of"]

_TIMES = ("p50", "p90", "p95", "p99", "mean")


@frozen(kw_only=True)
class PlanePoint:
    """A configuration: its latency in milliseconds, and its items per second."""

    configuration: TuningConfiguration
    row: BenchmarkResult
    latency: float
    throughput: float
    interval: Interval | None

    @property
    def is_best(self) -> bool:
        """Whether it is the winner, tied with it, or on the front."""
        return self.configuration.fate in ("winner", "tie", "front")


@frozen(kw_only=True)
class Plane:
    """The configurations that were measured, the fastest first, and the limits.

    Parameters
    ----------
    figure
        The latency: the first that is a goal or has a limit, or ``"p50"``.
    points
        The configurations.
    most_latency, least_throughput
        The limits, in the units of the points; ``None`` without one.
    """

    figure: str
    points: tuple[PlanePoint, ...]
    most_latency: float | None = None
    least_throughput: float | None = None

    @property
    def unit(self) -> TimeUnit:
        """The unit that makes the latencies easy to read."""
        return unit_of_times(point.latency for point in self.points)

    @property
    def front(self) -> tuple[PlanePoint, ...]:
        """The front between two goals, the fastest first."""
        return tuple(point for point in self.points if point.configuration.fate == "front")


def plane_of(report: ReportData, tuning: Tuning) -> Plane | None:
    """Return the plane of a tuning; ``None`` if nothing was measured."""
    asked = [*(goal.split()[-1] for goal in tuning.goals), *tuning.bounds]
    figure = next((name for name in asked if name in _TIMES), "p50")
    field = f"{figure}_ms"
    points = []
    for each in tuning.configurations:
        row = report[each.label]
        latency = getattr(row, field)
        if latency and row.throughput_per_sec:
            points.append(
                PlanePoint(
                    configuration=each,
                    row=row,
                    latency=latency,
                    throughput=row.throughput_per_sec,
                    interval=row.intervals.get(field),
                )
            )
    if not points:
        return None
    return Plane(
        figure=figure,
        points=tuple(sorted(points, key=lambda point: (point.latency, point.row.label))),
        most_latency=tuning.bounds.get(figure),
        least_throughput=tuning.bounds.get("throughput"),
    )
