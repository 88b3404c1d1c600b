"""What is the best, and what is allowed?

A goal is a figure to minimise or maximise; a limit bounds one. Both use the same
figures, which are fields of a row of the report.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from lexer_core.call_arguments import texts_of
from lexer_core.errors import UsageError
from lexer_core.reporting.numbers import significant
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.results import BenchmarkResult

__all__ = [
    "FIGURES",
    "RATE",
    "TIME_UNITS",
    "Figure",
    "Goal",
    "Limit",
    "is_for_rate",
    "parse_limit",
    "read_goals",
    "read_limits",
]

TIME_UNITS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "": 1.0}
"""What one of each unit of time that a user may write is in milliseconds."""

_BYTES = {
    "b": 1.0,
    "": 1.0,
    **{f"{prefix}b": 1000.0**at for at, prefix in enumerate("kmgt", start=1)},
    **{f"{prefix}ib": 1024.0**at for at, prefix in enumerate("kmgt", start=1)},
}
_PLAIN = {"": 1.0, "/s": 1.0}


@frozen(kw_only=True)
class Figure:
    """A number of a row.

    Parameters
    ----------
    name
        Its name in goals and limits.
    unit
        The unit of ``value``.
    units
        What one of each unit that a user may write is in ``unit``.
    percent
        The percentile, if it is one.
    """

    name: str
    unit: str
    units: Mapping[str, float]
    value: Callable[[BenchmarkResult], float | None]
    percent: float | None = None
    more_is_better: bool = False

    def show(self, value: float) -> str:
        """Return a value with its unit."""
        if self.unit == "B":
            return f"{significant(value / 2**20)} MiB"
        shown = significant(value, 4) if self.unit else f"{value:.4g}"
        return f"{shown} {self.unit}".rstrip()


def _figure_of_time(name: str, field: str, percent: float | None = None) -> Figure:
    def value(row: BenchmarkResult) -> float | None:
        found: float | None = getattr(row, field)
        return found

    return Figure(name=name, unit="ms", units=TIME_UNITS, value=value, percent=percent)


def _error(row: BenchmarkResult) -> float | None:
    return None if row.parity is None else row.parity.max_abs_error


FIGURES: Mapping[str, Figure] = {
    figure.name: figure
    for figure in (
        _figure_of_time("p50", "p50_ms", 50.0),
        _figure_of_time("p90", "p90_ms", 90.0),
        _figure_of_time("p95", "p95_ms", 95.0),
        _figure_of_time("p99", "p99_ms", 99.0),
        _figure_of_time("mean", "mean_ms"),
        _figure_of_time("load", "load_ms"),
        Figure(
            name="throughput",
            unit="items/s",
            units=_PLAIN,
            value=lambda row: row.throughput_per_sec,
            more_is_better=True,
        ),
        Figure(name="memory", unit="B", units=_BYTES, value=lambda row: row.peak_memory_bytes),
        Figure(name="error", unit="", units=_PLAIN, value=_error),
    )
}
"""The figures of goals and limits by name."""

RATE = "rate"
"""The goal that rows do not have: requests per second within an objective."""

_GOALS = ("p50", "p90", "p95", "p99", "mean", "throughput", "memory", "error")
_LIMIT = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*(-?[0-9.]+(?:[eE][-+]?\d+)?)\s*(\S*)\s*")


@frozen(kw_only=True)
class Goal:
    """A figure to optimise."""

    figure: Figure
    direction: Literal["minimize", "maximize"]

    def __str__(self) -> str:
        return f"{self.direction} {self.figure.name}"

    def cost(self, row: BenchmarkResult) -> float | None:
        """Return a number that is smaller for a better row; ``None`` if it is unknown."""
        value = self.figure.value(row)
        if value is None:
            return None
        return -value if self.figure.more_is_better else value

    def log_cost(self, row: BenchmarkResult) -> float | None:
        """Return the logarithm of the cost, except of errors, which may be zero."""
        value = self.figure.value(row)
        if value is None or self.figure.name == "error":
            return value
        return -math.log(value) if self.figure.more_is_better else math.log(value)


@frozen(kw_only=True)
class Limit:
    """A bound of a figure, in the figure's unit.

    ``is_upper``: the figure may be at most ``bound``, else at least.
    """

    figure: Figure
    bound: float
    is_upper: bool
    text: str

    def __str__(self) -> str:
        return self.text

    def allows(self, value: float) -> bool:
        """Whether a value is within the limit."""
        return value <= self.bound if self.is_upper else value >= self.bound

    def exceeded_by(self, value: float) -> str:
        """Return how far a value is beyond the limit."""
        return f"{self.figure.name} is {self.figure.show(value)}, the limit is {self.text}"


def read_goals(
    minimize: str | Sequence[str] | None, maximize: str | Sequence[str] | None
) -> tuple[Goal, ...]:
    """Read what is to be optimised. Default: to minimise p50.

    Raises
    ------
    UsageError
        A figure is unknown, has only one sensible direction, which is the other one, or
        there are more than two.
    """
    goals = [
        *(_goal(name, "minimize") for name in texts_of("minimize", minimize)),
        *(_goal(name, "maximize") for name in texts_of("maximize", maximize)),
    ] or [_goal("p50", "minimize")]
    if len(goals) > 2:  # noqa: PLR2004 - a front of more cannot be shown
        raise UsageError(
            f"{len(goals)} goals are too many.",
            hint="Choose one for a winner, or two for the front between them, and add limits for "
            "the others: --limit 'memory<=1GB'.",
        )
    if len({goal.figure.name for goal in goals}) < len(goals):
        raise UsageError(f"{goals[0].figure.name} is a goal twice.")
    return tuple(goals)


def is_for_rate(
    minimize: str | Sequence[str] | None, maximize: str | Sequence[str] | None, slo: str | None
) -> bool:
    """Return whether the goal is the rate of requests within an objective.

    Raises
    ------
    UsageError
        It is one of several goals, is to be minimized, or has no objective; or an
        objective is for another goal.
    """
    least, most = texts_of("minimize", minimize), texts_of("maximize", maximize)
    names = (*least, *most)
    if RATE not in names:
        if slo is not None:
            raise UsageError("--slo is for the goal 'rate'.", hint="Write --maximize rate.")
        return False
    if RATE in least:
        raise UsageError("to minimize rate finds the worst.", hint="Write --maximize rate.")
    if len(names) > 1:
        raise UsageError(
            "rate is a goal on its own.", hint="Bound other figures: --limit 'memory<=1GB'."
        )
    if slo is None:
        raise UsageError(
            "to maximize rate needs a limit on the latency of requests.",
            hint="Add --slo 'p99<=50ms'.",
        )
    return True


def _goal(name: str, direction: Literal["minimize", "maximize"]) -> Goal:
    figure = _figure(name, _GOALS)
    wanted = "maximize" if figure.more_is_better else "minimize"
    if direction != wanted:
        raise UsageError(
            f"to {direction} {name} finds the worst.", hint=f"Write --{wanted} {name}."
        )
    return Goal(figure=figure, direction=direction)


def _figure(name: str, known: Sequence[str]) -> Figure:
    if name not in known:
        raise UsageError(
            f"no figure is called {name!r}.",
            hint=f"Figures: {', '.join(known)}.{did_you_mean(name, known)}",
        )
    return FIGURES[name]


def parse_limit(text: str) -> Limit:
    """Parse ``p99<=20ms``.

    Raises
    ------
    UsageError
        The text has another form, a figure or unit is unknown, or the limit is on the
        wrong side.
    """
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise UsageError(
            f"limit {text!r} does not have the form FIGURE<=VALUE.",
            hint="Write, for example, 'p99<=20ms', 'memory<=1GB' or 'throughput>=100'.",
        )
    name, sign, number, unit = match.groups()
    figure = _figure(name, tuple(FIGURES))
    factor = figure.units.get(unit if unit == "µs" else unit.lower())
    if factor is None:
        units = ", ".join(unit for unit in figure.units if unit)
        raise UsageError(f"limit {text!r}: {name} has no unit {unit!r}.", hint=f"Units: {units}.")
    is_upper = sign.startswith("<")
    if is_upper == figure.more_is_better:
        right = ">=" if figure.more_is_better else "<="
        raise UsageError(
            f"limit {text!r} asks for a bad {name}.", hint=f"Write {name}{right}{number}{unit}."
        )
    try:
        bound = float(number) * factor
    except ValueError:
        raise UsageError(f"limit {text!r}: {number!r} is not a number.") from None
    if not math.isfinite(bound) or bound < 0.0 or (bound == 0.0 and name != "error"):
        raise UsageError(
            f"limit {text!r}: nothing can have such a {name}.", hint="Write a number above 0."
        )
    return Limit(figure=figure, bound=bound, is_upper=is_upper, text=text.replace(" ", ""))


def read_limits(texts: str | Sequence[str]) -> tuple[Limit, ...]:
    """Parse limits, of which each figure has at most one.

    Raises
    ------
    UsageError
        A limit is invalid, or a figure has two.
    """
    limits: dict[str, Limit] = {}
    for limit in map(parse_limit, texts_of("limits", texts)):
        other = limits.setdefault(limit.figure.name, limit)
        if other is not limit:
            raise UsageError(
                f"{limit.figure.name} has two limits: {other} and {limit}.", hint="Keep one."
            )
    return tuple(limits.values())
