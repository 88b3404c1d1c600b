"""Is it precise enough to stop?

Precision is the half-width of an interval, which shrinks as rounds are added;
a standard deviation or an interquartile range does not.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from attrs import field, frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_equal_counts, check_fraction, check_positive
from lexer_core.statistics.distributions import t_quantile
from lexer_core.statistics.estimates import estimate_mean
from lexer_core.statistics.launch_effect import launch_variance

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from attrs import Attribute

    FloatArray = npt.NDArray[np.float64]

__all__ = ["StopReason", "StoppingRule", "StoppingState", "check_stop"]

StopReason = Literal["", "precision", "launches", "time", "rounds"]


def _above_zero(_rule: object, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None and not value > 0.0:
        raise StatisticsError(
            f"{attribute.name} must be above 0, got {value!r}", problem="out_of_range"
        )


def _a_fraction(_rule: object, attribute: Attribute[float], value: float) -> None:
    check_fraction(value, attribute.name)


@frozen(kw_only=True)
class StoppingRule:
    """When to stop.

    Parameters
    ----------
    precision
        Half-width of every ratio, relative: 0.01 for plus or minus 1 %.
    max_seconds
        Time budget; ``None`` for none.
    max_rounds
        Rounds at most; ``None`` for no limit.
    min_rounds
        Rounds before precision is looked at.
    checks_in_a_row
        Successive checks that precision has to pass.
    confidence
        Of the intervals.
    launches
        Launches of each case that the medians come from, whose differences are
        part of every ratio's interval; ``None`` where cases do not live in
        processes.
    """

    precision: float = field(default=0.01, validator=_above_zero)
    max_seconds: float | None = field(default=60.0, validator=_above_zero)
    max_rounds: int | None = field(default=None, validator=_above_zero)
    min_rounds: int = field(default=10, validator=_above_zero)
    checks_in_a_row: int = field(default=2, validator=_above_zero)
    confidence: float = field(default=0.95, validator=_a_fraction)
    launches: int | None = field(default=None, validator=_above_zero)


@frozen(kw_only=True)
class StoppingState:
    """What the last check found; hand it to the next one.

    ``stop`` tells whether to stop and ``reason`` which rule fired;
    ``half_width`` is the widest interval's (``None`` before there is one) and
    ``widest`` the labels that it belongs to.
    """

    rounds: int = 0
    passed_in_a_row: int = 0
    half_width: float | None = None
    widest: tuple[str, ...] = ()
    reason: StopReason = ""

    @property
    def stop(self) -> bool:
        """Whether any rule has fired."""
        return bool(self.reason)


def check_stop(
    medians: Mapping[str, npt.ArrayLike],
    *,
    seconds: float,
    rule: StoppingRule,
    previous: StoppingState,
) -> StoppingState:
    """Check after a round whether to go on.

    Parameters
    ----------
    medians
        Per-round medians of every live case by its label, in seconds, each of
        shape ``(rounds,)`` over the same rounds. A case that died is left out.
    seconds
        Spent on rounds so far.
    rule
        When to stop.
    previous
        What the last check returned; ``StoppingState()`` at first. A check
        without a new round does not count as a second one.

    Returns
    -------
    StoppingState
        ``stop`` tells whether to; precision comes first when several rules
        fire at once.

    Raises
    ------
    StatisticsError
        No case; medians that are NaN, infinite or not above zero; unequal
        counts.

    Notes
    -----
    With several cases every pair's ratio has to be precise; with one, its own
    median. An interval looked at again and again until it is short covers
    less than it says; the least number of rounds and the second check in a
    row keep that loss small.

    Reason ``launches``: the precision asked for is not reached, and more rounds
    would add next to nothing, since what is left of the widths comes from the
    launches.
    """
    if not medians:
        raise StatisticsError(
            "nothing to check: no case is alive", problem="empty", hint="End the rounds."
        )
    logs = {
        label: np.log(check_positive(values, f"medians of {label}"))
        for label, values in medians.items()
    }
    first = next(iter(logs))
    for label, values in logs.items():
        check_equal_counts(logs[first], values, f"rounds of {first} and {label}")
    rounds = logs[first].size
    unseen = 0.0 if rule.launches is None or len(logs) == 1 else launch_variance(rule.launches)
    half_width, widest = _widest(logs, rule.confidence, unseen)
    precise = half_width is not None and half_width <= rule.precision
    exhausted = unseen > 0.0 and _rounds_add_nothing(logs, rule.confidence, unseen)
    passed = previous.passed_in_a_row
    if rounds != previous.rounds:
        passed = passed + 1 if rounds >= rule.min_rounds and (precise or exhausted) else 0
    return StoppingState(
        rounds=rounds,
        passed_in_a_row=passed,
        half_width=half_width,
        widest=widest,
        reason=_reason(rule, rounds, passed, seconds, precise=precise),
    )


def _reason(
    rule: StoppingRule, rounds: int, passed: int, seconds: float, *, precise: bool
) -> StopReason:
    if passed >= rule.checks_in_a_row:
        return "precision" if precise else "launches"
    if rule.max_seconds is not None and seconds >= rule.max_seconds:
        return "time"
    if rule.max_rounds is not None and rounds >= rule.max_rounds:
        return "rounds"
    return ""


def _widest(
    logs: Mapping[str, FloatArray], confidence: float, unseen: float
) -> tuple[float | None, tuple[str, ...]]:
    """Relative half-width of the least precise interval, and whose it is."""
    candidates: list[tuple[tuple[str, ...], FloatArray]] = [
        ((a, b), logs[a] - logs[b]) for a, b in combinations(logs, 2)
    ]
    if not candidates:
        candidates = [((label,), values) for label, values in logs.items()]
    worst: float | None = None
    owner: tuple[str, ...] = ()
    for labels, values in candidates:
        half = estimate_mean(values).with_variance(unseen).half_width(confidence)
        if half is not None and (worst is None or half > worst):
            worst, owner = half, labels
    return (None if worst is None else math.expm1(worst)), owner


def _rounds_add_nothing(logs: Mapping[str, FloatArray], confidence: float, unseen: float) -> bool:
    """Whether the rounds' own part of every width is a third of the launches' or less.

    The two add up as squares: without any rounds' part at all, an interval
    would be narrower by a twentieth at most.
    """
    own, _ = _widest(logs, confidence, 0.0)
    of_launches = t_quantile(confidence, math.inf) * math.sqrt(unseen)
    return own is not None and math.log1p(own) <= of_launches / 3.0
