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
    "estimate_text",
    "interval_text",
    "percent_text",
    "percentile_limit_text",
    "rate_text",
    "significant",
    "time_unit",
    "unit_of_times",
    "whole_text",
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
    if value == 0 or not math.isfinite(value):
        return 0
    exponent = math.floor(math.log10(abs(value)))
    # 9.996 with three digits is 10.0, not 10.00.
    exponent = math.floor(math.log10(abs(round(value, digits - 1 - exponent))))
    return max(0, digits - 1 - exponent)


def estimate_text(value: float | None, interval: Interval | None = None, scale: float = 1.0) -> str:
    """Format a number with its interval: as ± if both sides are equal, else in brackets.

    Parameters
    ----------
    value
        The estimate.
    interval
        Its interval; ``None``, or one that is open on a side, is not shown.
    scale
        What value and interval are multiplied by.

    Examples
    --------
    >>> estimate_text(9.9124, Interval(estimate=9.9124, low=9.879, high=9.946))
    '9.91 ±0.03'
    >>> estimate_text(26.9, Interval(estimate=26.9, low=26.0, high=36.0))
    '26.9 [26.0–36.0]'
    """
    if value is None or interval is None or interval.low is None or interval.high is None:
        return significant(None if value is None else value * scale)
    low, estimate, high = interval.low * scale, value * scale, interval.high * scale
    if not (math.isfinite(low) and math.isfinite(estimate) and math.isfinite(high)):
        return significant(estimate)
    half = max(estimate - low, high - estimate)
    if half <= 0:
        return f"{significant(estimate)} ±0"
    # The digits that the uncertainty allows: one of its own, or two if the first is
    # 1; at least three of the estimate and at most five.
    allowed = _decimals(half, 2 if f"{half:e}".startswith("1") else 1)
    most = _decimals(estimate, 5) if estimate else _MOST_DECIMALS
    decimals = max(min(allowed, most), _decimals(estimate, _DIGITS))
    below, above = f"{estimate - low:,.{decimals}f}", f"{high - estimate:,.{decimals}f}"
    if below == above:
        shown = max(half, 10.0**-decimals)
        return f"{estimate:,.{decimals}f} ±{shown:,.{decimals}f}"
    decimals = _decimals(estimate, _DIGITS)
    texts = tuple(f"{number:,.{decimals}f}" for number in (low, estimate, high))
    while texts[0] == texts[2] and decimals < most:
        decimals += 1
        texts = tuple(f"{number:,.{decimals}f}" for number in (low, estimate, high))
    return f"{texts[1]} [{_end_text(low, decimals)}–{texts[2]}]"


def _end_text(low: float, decimals: int) -> str:
    """Format the lower end of an interval: one far below the estimate needs more decimals."""
    own = _decimals(low, 2)
    return f"{low:,.{max(decimals, min(own, decimals + 2))}f}"


def interval_text(low: float, estimate: float, high: float) -> tuple[str, str, str]:
    """Format three numbers with the same number of decimals, enough to tell them apart.

    Only a lower end far below the others has more.

    >>> interval_text(3.72, 3.91, 4.08), interval_text(1.73, 133.0, 422.0)
    (('3.7', '3.9', '4.1'), ('1.7', '133', '422'))
    """
    least = 2 if estimate < 2 else 1 if estimate < 100 else 0  # noqa: PLR2004  readable ratios
    texts: tuple[str, str, str] = ("", "", "")
    for decimals in range(least, _MOST_DECIMALS + 1):
        texts = (f"{low:,.{decimals}f}", f"{estimate:,.{decimals}f}", f"{high:,.{decimals}f}")
        if low == high or texts[0] != texts[2]:
            break
    return _end_text(low, decimals), texts[1], texts[2]


def percent_text(share: float) -> str:
    """Format a share as a percentage: ``5%``, ``2.5%``, ``1,390%``."""
    return f"{100 * share:,.0f}%" if abs(share) >= 10 else f"{100 * share:.3g}%"  # noqa: PLR2004


def confidence_text(confidence: float) -> str:
    """Format a confidence level, rounded down: ``95%``, ``99.8%``, never ``100%``."""
    if not 0 <= confidence <= 1:  # of an edited report, for instance
        return f"{confidence:.3g}"
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


def percentile_limit_text(percent: float, limit_ms: float) -> str:
    """Format a limit on a percentile: ``p99 ≤ 50 ms``."""
    limit = f"{limit_ms / 1e3:g} s" if limit_ms >= 1e3 else f"{limit_ms:g} ms"  # noqa: PLR2004
    return f"p{percent:.12g} ≤ {limit}"


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
