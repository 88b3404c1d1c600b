"""How is a number formatted for people?

With no more digits than it supports, and with its unit or under a heading that
names the unit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_core.results import BenchmarkResult, Interval

__all__ = [
    "MISSING",
    "TimeUnit",
    "bytes_text",
    "confidence_text",
    "count_text",
    "duration_text",
    "error_text",
    "half_width",
    "interval_text",
    "percent_text",
    "rate_text",
    "significant",
    "time_unit",
    "unit_of_times",
    "whole_text",
    "with_half_width",
]

MISSING = "—"
"""Shown if there is no number."""

_DIGITS = 3
_MOST_DECIMALS = 4


@frozen
class TimeUnit:
    """A unit of time: its name, and how many of it are a millisecond."""

    name: str
    per_ms: float


_MICROSECONDS = TimeUnit("µs", 1000.0)
_MILLISECONDS = TimeUnit("ms", 1.0)
_SECONDS = TimeUnit("s", 0.001)


def time_unit(results: Iterable[BenchmarkResult]) -> TimeUnit:
    """Return the unit that makes all latencies of a table easy to read."""
    return unit_of_times(row.p50_ms for row in results)


def unit_of_times(milliseconds: Iterable[float | None]) -> TimeUnit:
    """Return the unit that makes all of these times easy to read."""
    fastest = min((time for time in milliseconds if time and math.isfinite(time)), default=1.0)
    if fastest < 0.1:  # noqa: PLR2004  below a tenth of a millisecond
        return _MICROSECONDS
    return _MILLISECONDS if fastest < 10_000 else _SECONDS  # noqa: PLR2004  ten seconds


def significant(value: float | None, digits: int = _DIGITS) -> str:
    """Format a number with that many significant digits, never in scientific notation.

    >>> significant(9.9124), significant(38.06), significant(1234.5)
    ('9.91', '38.1', '1,234')
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.{_decimals(value, digits)}f}"


def _decimals(value: float, digits: int) -> int:
    if value == 0:
        return 0
    exponent = math.floor(math.log10(abs(value)))
    # 9.996 with three digits is 10.0, not 10.00.
    exponent = math.floor(math.log10(abs(round(value, digits - 1 - exponent))))
    return max(0, digits - 1 - exponent)


def half_width(interval: Interval | None) -> float | None:
    """Return the larger of the two sides of an interval; ``None`` if one is open."""
    if interval is None or interval.low is None or interval.high is None:
        return None
    return max(interval.estimate - interval.low, interval.high - interval.estimate, 0.0)


def with_half_width(value: float | None, half: float | None) -> str:
    """Format a number with its uncertainty, both to the digits that the uncertainty allows.

    >>> with_half_width(9.9124, 0.034), with_half_width(38.06, 0.21)
    ('9.91 ±0.03', '38.1 ±0.2')
    """
    if value is None or half is None or not (math.isfinite(value) and math.isfinite(half)):
        return significant(value)
    if half == 0:
        return f"{significant(value)} ±0"
    # One digit of the uncertainty, or two if the first is 1, but at most five
    # significant digits of the value.
    digits = 2 if f"{half:e}".startswith("1") else 1
    decimals = min(_decimals(half, digits), _decimals(value, 5) if value else _MOST_DECIMALS)
    shown = max(half, 10.0**-decimals)
    return f"{value:,.{decimals}f} ±{shown:,.{decimals}f}"


def interval_text(low: float, estimate: float, high: float) -> tuple[str, str, str]:
    """Format three numbers with the same number of decimals, enough to tell them apart.

    >>> interval_text(3.72, 3.91, 4.08)
    ('3.7', '3.9', '4.1')
    """
    least = 2 if estimate < 2 else 1 if estimate < 100 else 0  # noqa: PLR2004  readable ratios
    texts: tuple[str, str, str] = ("", "", "")
    for decimals in range(least, _MOST_DECIMALS + 1):
        texts = (f"{low:,.{decimals}f}", f"{estimate:,.{decimals}f}", f"{high:,.{decimals}f}")
        if low == high or texts[0] != texts[2]:
            break
    return texts


def percent_text(share: float) -> str:
    """Format a share as a percentage: ``5%``, ``2.5%``."""
    return f"{100 * share:.3g}%"


def confidence_text(confidence: float) -> str:
    """Format a confidence level, rounded down: ``95%``, ``99.8%``, never ``100%``."""
    return f"{math.floor(confidence * 1000 + 1e-6) / 10:.3g}%"


def duration_text(ms: float | None) -> str:
    """Format a duration in a suitable unit: ``8.1 µs``, ``412 ms``, ``54 s``."""
    if ms is None or not math.isfinite(ms):
        return MISSING
    if ms < 0.1:  # noqa: PLR2004  below a tenth of a millisecond
        return f"{significant(ms * 1000, 2)} µs"
    if ms < 1000:  # noqa: PLR2004  a second
        return f"{significant(ms, 2)} ms"
    if ms < 120_000:  # noqa: PLR2004  two minutes
        return f"{significant(ms / 1000, 2)} s"
    return f"{significant(ms / 60_000, 2)} min"


def bytes_text(size: int | None) -> str:
    """Format a size: ``18 MiB``."""
    if size is None:
        return MISSING
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1000:  # noqa: PLR2004  three digits before the point
            break
        value, unit = value / 1024, larger
    return f"{significant(value, 2) if unit != 'B' else size} {unit}"


def count_text(value: float | None) -> str:
    """Format a number of calls, rounded up to three digits: ``221``, ``402,000``."""
    if value is None or not math.isfinite(value):
        return MISSING
    digits = max(0, len(str(math.ceil(abs(value)))) - _DIGITS)
    return whole_text(math.ceil(value / 10**digits) * 10**digits)


def rate_text(value: float | None) -> str:
    """Format a rate: ``26.3``, ``1,234``, ``366,581``."""
    if value is None or not math.isfinite(value) or value < 10_000:  # noqa: PLR2004  five digits
        return significant(value)
    return whole_text(round(value))


def whole_text(value: int) -> str:
    """Format a whole number: ``620``, ``1,234``."""
    return f"{value:,}"


def error_text(value: float | None) -> str:
    """Format a numerical error: ``2e-06``, ``0``, ``0.31``."""
    if value is None:
        return MISSING
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    return f"{value:.0e}" if value < 0.001 else f"{value:.2g}"  # noqa: PLR2004  readable as it is
