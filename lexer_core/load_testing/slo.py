"""Which share of the requests must be answered in which time?"""

from __future__ import annotations

import re

from attrs import frozen

from lexer_core.call_arguments import text_of
from lexer_core.errors import UsageError
from lexer_core.reporting.numbers import percentile_limit_text
from lexer_core.tuning.goals import TIME_UNITS

__all__ = ["Slo", "parse_slo"]

_SLO = re.compile(r"\s*p(\d+(?:\.\d+)?)\s*<=?\s*([0-9.]+(?:[eE][-+]?\d+)?)\s*(\S*)\s*")
_HOW_TO_WRITE = "Write a percentile of the latency and its limit, such as 'p99<=50ms'."


@frozen(kw_only=True)
class Slo:
    """A service-level objective: ``percent`` of the requests take at most ``seconds``."""

    percent: float
    seconds: float

    @property
    def share(self) -> float:
        """The share of the requests that must keep to the limit, below 1."""
        return self.percent / 100.0

    @property
    def text(self) -> str:
        """As in sentences: ``p99 ≤ 50 ms``."""
        return percentile_limit_text(self.percent, self.seconds * 1e3)

    def __str__(self) -> str:
        return f"p{self.percent:.12g}<={self.seconds * 1e3:g}ms"


def parse_slo(text: str) -> Slo:
    """Parse ``p99<=50ms``.

    Raises
    ------
    UsageError
        The text has another form, or no engine can keep to such a limit.
    """
    match = _SLO.fullmatch(text_of("slo", text))
    if match is None:
        raise UsageError(f"{text!r} is not a limit on the latency.", hint=_HOW_TO_WRITE)
    percent, number, unit = match.groups()
    factor = TIME_UNITS.get(unit if unit == "µs" else unit.lower())
    if factor is None:
        known = ", ".join(name for name in TIME_UNITS if name)
        raise UsageError(f"{text!r}: {unit!r} is not a unit of time.", hint=f"Units: {known}.")
    try:
        seconds = float(number) * factor / 1e3
    except ValueError:
        raise UsageError(f"{text!r}: {number!r} is not a number.", hint=_HOW_TO_WRITE) from None
    if not 0.0 < float(percent) < 100.0:  # noqa: PLR2004 - the range of a percent
        raise UsageError(
            f"{text!r}: a percentile is above 0 and below 100.",
            hint="No finite number of requests shows that every one is fast enough: p99.9 is "
            "the strictest that a run of minutes can test.",
        )
    if not 0.0 < seconds < float("inf"):
        raise UsageError(f"{text!r}: no request is answered in {number}{unit}.")
    return Slo(percent=float(percent), seconds=seconds)
