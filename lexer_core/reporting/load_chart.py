"""How does a terminal show the latency over the rate of the requests?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lexer_core.reporting.layout_records import printable
from lexer_core.reporting.load_layout import configurations_in_order, slo_text
from lexer_core.reporting.numbers import significant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.results import ReportData
    from lexer_core.results.load_test import LoadConfiguration, LoadTest

__all__ = ["load_chart"]

_NARROWEST, _WIDEST = 72, 110
_HEIGHT = 14
_FEWEST_POINTS = 3
_MARGIN = 10
_ROOM = 1.05
_HIGHEST = 20.0
_LIMIT = "─"
_NAMES = "123456789"


def load_chart(report: ReportData, width: int) -> tuple[str, ...]:
    """Return lines with p99 over the offered rate, a digit per configuration.

    Returns nothing without a load test, for a narrow terminal, or for fewer than three
    points.
    """
    test = report.load_test
    if test is None or width < _NARROWEST:
        return ()
    shown = [each for each in configurations_in_order(test) if each.points][: len(_NAMES)]
    points = [
        (each, point.rate, point.p99_ms)
        for each in shown
        for point in each.points
        if point.p99_ms is not None
    ]
    if len(points) < _FEWEST_POINTS:
        return ()
    columns = min(width, _WIDEST) - _MARGIN - 2
    top = min(max([latency for *_, latency in points] + [test.limit_ms]), _HIGHEST * test.limit_ms)
    ends = min([latency for *_, latency in points] + [test.limit_ms]) / _ROOM, top * _ROOM
    most = max(rate for _, rate, _ in points) * _ROOM
    cells = _cells(test, shown, columns, ends, most)
    named = {
        0: ends[1],
        _line(test.limit_ms, ends): test.limit_ms,
        _HEIGHT - 1: ends[0],
    }
    lines = ["p99 in ms (logarithmic) over requests offered per second"]
    for at, line in enumerate(cells):
        name = significant(named[at]) if at in named else ""
        lines.append(f"{name:>{_MARGIN - 1}} │{''.join(line)}".rstrip())
    lines.append(" " * _MARGIN + "└" + "─" * columns)
    middle, last = significant(most / 2), significant(most)
    half = columns // 2
    lines.append(" " * (_MARGIN + 1) + f"{'0':<{half - 3}}{middle:<7}{last:>{columns - half - 4}}")
    lines += [
        f"{name} {each.label}" + ("" if each.rate is None else f": {significant(each.rate)}/s")
        for name, each in zip(_NAMES, shown, strict=False)
    ]
    lines.append(f"{_LIMIT} the limit, {slo_text(test)}")
    return printable(lines)


def _line(latency: float, ends: tuple[float, float]) -> int:
    share = math.log(max(latency, ends[0]) / ends[0]) / math.log(ends[1] / ends[0])
    return round((1.0 - min(1.0, share)) * (_HEIGHT - 1))


def _cells(
    test: LoadTest,
    shown: Sequence[LoadConfiguration],
    columns: int,
    ends: tuple[float, float],
    most: float,
) -> list[list[str]]:
    cells = [[" "] * columns for _ in range(_HEIGHT)]
    cells[_line(test.limit_ms, ends)] = [_LIMIT] * columns
    for name, each in reversed(list(zip(_NAMES, shown, strict=False))):
        for point in each.points:
            if point.p99_ms is not None:
                column = min(columns - 1, round(point.rate / most * (columns - 1)))
                cells[_line(point.p99_ms, ends)][column] = name
    return cells
