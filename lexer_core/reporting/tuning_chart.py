"""How does a terminal show throughput over latency?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lexer_core.reporting.layout_records import printable
from lexer_core.reporting.numbers import rate_text, significant
from lexer_core.reporting.tuning_layout import FATE_WORDS
from lexer_core.reporting.tuning_plane import plane_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.reporting.tuning_plane import Plane, PlanePoint
    from lexer_core.results import ReportData

__all__ = ["tuning_chart"]

_NARROWEST, _WIDEST = 72, 110
_HEIGHT = 14
_FEWEST_POINTS = 3
_MARGIN = 10
_ROOM = 1.05
_OTHER, _BEYOND = "×", "░"
_NAMES = "123456789abcdefghijklmnopqrstuvwxyz"


def tuning_chart(report: ReportData, width: int) -> tuple[str, ...]:
    """Return lines with throughput over latency, a character per configuration.

    Numbers mark the best configurations, and a list below names them. Returns nothing for
    a benchmark, a narrow terminal, or fewer than three configurations.
    """
    plane = None if report.tuning is None else plane_of(report, report.tuning)
    if plane is None or len(plane.points) < _FEWEST_POINTS or width < _NARROWEST:
        return ()
    columns = min(width, _WIDEST) - _MARGIN - 2
    best = [point for point in plane.points if point.is_best][: len(_NAMES)]
    per_ms = plane.unit.per_ms
    low, high = plane.points[0].latency / _ROOM, plane.points[-1].latency * _ROOM
    top = max(point.throughput for point in plane.points) * _ROOM
    cells = _cells(plane, best, columns, (low, high), top)
    lines = [f"items/s over {plane.figure} ({plane.unit.name} per call, logarithmic)"]
    named = {0: top, _HEIGHT // 2: top * (1 - (_HEIGHT // 2) / (_HEIGHT - 1)), _HEIGHT - 1: 0.0}
    for at, line in enumerate(cells):
        name = rate_text(named[at]) if at in named else ""
        lines.append(f"{name:>{_MARGIN - 1}} │{''.join(line)}".rstrip())
    lines.append(" " * _MARGIN + "└" + "─" * columns)
    ends = [significant(value * per_ms) for value in (low, math.sqrt(low * high), high)]
    half = columns // 2
    lines.append(
        " " * (_MARGIN + 1) + f"{ends[0]:<{half - 3}}{ends[1]:<7}{ends[2]:>{columns - half - 4}}"
    )
    lines += [
        f"{_NAMES[at]} {point.row.label}: {significant(point.latency * per_ms)} {plane.unit.name}, "
        f"{rate_text(point.throughput)} items/s ({FATE_WORDS[point.configuration.fate]})"
        for at, point in enumerate(best)
    ]
    lines.append(_legend(plane, (low, high), top))
    return printable(line for line in lines if line)


def _cells(
    plane: Plane,
    best: Sequence[PlanePoint],
    columns: int,
    ends: tuple[float, float],
    top: float,
) -> list[list[str]]:
    def column(latency: float) -> int:
        share = math.log(latency / ends[0]) / math.log(ends[1] / ends[0])
        return min(columns - 1, max(0, round(share * (columns - 1))))

    def line(throughput: float) -> int:
        return round((1 - throughput / top) * (_HEIGHT - 1))

    cells = [[" "] * columns for _ in range(_HEIGHT)]
    if plane.most_latency is not None and plane.most_latency < ends[1]:
        first = column(plane.most_latency) + 1 if plane.most_latency > ends[0] else 0
        for row in cells:
            row[first:] = _BEYOND * (columns - first)
    if plane.least_throughput is not None:
        first = 0 if plane.least_throughput > top else line(plane.least_throughput) + 1
        cells[first:] = [[_BEYOND] * columns for _ in cells[first:]]
    for point in plane.points:
        cells[line(point.throughput)][column(point.latency)] = _OTHER
    # The best last, so that no other one hides them.
    for name, point in reversed(list(zip(_NAMES, best, strict=False))):
        cells[line(point.throughput)][column(point.latency)] = name
    return cells


def _legend(plane: Plane, ends: tuple[float, float], top: float) -> str:
    others = sum(not point.is_best for point in plane.points)
    parts = [f"{_OTHER} other configurations"] if others else []
    latency, least = plane.most_latency, plane.least_throughput
    beyond = []
    if latency is not None and latency < ends[1]:
        shown = significant(latency * plane.unit.per_ms)
        beyond.append(f"{plane.figure} above {shown} {plane.unit.name}")
    if least is not None and top > 0:
        beyond.append(f"less than {rate_text(least)} items/s")
    if beyond:
        parts.append(f"{_BEYOND} beyond the limit: {' or '.join(beyond)}")
    return "; ".join(parts)
