"""How did each configuration of a tuning end?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import attrs
from attrs import field, frozen

from lexer_core.statistics import share_interval

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lexer_core.results import BenchmarkResult, Comparison
    from lexer_core.results.report_data import ReportData
    from lexer_core.results.tuning import Fate, TuningConfiguration
    from lexer_core.tuning.goals import Goal, Limit
    from lexer_core.tuning.race import Departure

__all__ = ["Judgement", "judge_configurations"]

_BY_CENTRES = ("p50", "mean", "throughput")
"""Figures by which the comparisons of a report decide."""

_TWO_SIDED = 0.9
"""Of an interval whose lower end is exceeded with 95 % confidence."""

_NEVER_MEASURED = ("NoSamples", "Interrupted")


@frozen(kw_only=True)
class Judgement:
    """What is known of the race and its confirmation.

    Parameters
    ----------
    goals, limits
        Of the tuning.
    tie
        Relative difference below which two configurations are a tie.
    departures
        Why configurations left the race, by label.
    finalists
        Labels of those that were measured again.
    tied
        Labels that the race could not tell from its leader.
    """

    goals: tuple[Goal, ...]
    limits: tuple[Limit, ...]
    tie: float
    departures: Mapping[str, Departure] = field(factory=dict)
    finalists: tuple[str, ...] = ()
    tied: Collection[str] = ()


def judge_configurations(
    report: ReportData, configurations: Sequence[TuningConfiguration], judgement: Judgement
) -> tuple[TuningConfiguration, ...]:
    """Return the configurations with their fates.

    Parameters
    ----------
    report
        The rows, one for each configuration.
    configurations
        The points of the space; their fates are not read.
    judgement
        What the race decided, and by which goals and limits to judge the finalists.
    """
    ended: dict[str, TuningConfiguration] = {}
    candidates = []
    for configuration in configurations:
        row = report[configuration.label]
        known = _without_finals(configuration, row, judgement, report.stopped_because)
        if known is None:
            known = _within_limits(configuration, row, judgement.limits)
        ended[known.label] = known
        if known.fate == "winner":
            candidates.append(row)
    fates = (
        _winner_and_others(candidates, report, judgement)
        if len(judgement.goals) == 1
        else _front(candidates, judgement)
    )
    for label, final in fates.items():
        ended[label] = attrs.evolve(
            ended[label],
            fate=final.fate,
            reason=final.reason or ended[label].reason,
            beaten_by=final.by,
            ratio=final.ratio,
        )
    return tuple(ended.values())


@frozen(kw_only=True)
class _Final:
    """How a candidate ended in the finals, and which other one is better."""

    fate: Fate
    reason: str = ""
    by: str = ""
    ratio: float | None = None


def _without_finals(
    configuration: TuningConfiguration,
    row: BenchmarkResult,
    judgement: Judgement,
    stopped_because: str,
) -> TuningConfiguration | None:
    """Return how a configuration ended before the finals; ``None`` for a finalist."""
    left = judgement.departures.get(row.label)
    if left is not None:
        return attrs.evolve(
            configuration,
            fate=left.fate,
            reason=left.reason,
            rounds=left.rounds,
            beaten_by=left.by,
            ratio=left.ratio,
        )
    if row.error is not None:
        fate: Fate = "unsupported" if row.status == "unsupported" else "failed"
        if row.error.kind == "LimitError":
            fate = "over_limit"
        elif row.error.kind in _NEVER_MEASURED:
            fate = "not_reached"
        return attrs.evolve(configuration, fate=fate, reason=row.error.reason)
    if row.label in judgement.finalists:
        return None
    if row.label in judgement.tied:
        return attrs.evolve(
            configuration, fate="tie", reason="as fast as the leader of the race; not confirmed"
        )
    stop = "interrupted" if stopped_because == "interrupted" else "the time was up"
    return attrs.evolve(
        configuration,
        fate="not_reached",
        reason=f"{stop} before it could be told from the winner",
    )


def _within_limits(
    configuration: TuningConfiguration, row: BenchmarkResult, limits: Sequence[Limit]
) -> TuningConfiguration:
    """Judge a finalist; those without fault are candidates to win."""
    configuration = attrs.evolve(configuration, confirmed=True, rounds=row.rounds or 0)
    if row.withheld:
        return attrs.evolve(configuration, fate="failed", reason=row.withheld)
    uncertain = []
    for limit in limits:
        value = limit.figure.value(row)
        if value is None and limit.figure.percent is not None:
            # A percentile is not below the median.
            value = row.p50_ms if row.p50_ms and not limit.allows(row.p50_ms) else None
        if value is not None and not limit.allows(value):
            return attrs.evolve(configuration, fate="over_limit", reason=limit.exceeded_by(value))
        if limit.figure.percent is not None and _is_surely_within(row, limit):
            continue
        if value is None:
            uncertain.append(f"{limit.figure.name} is unknown, so {limit} is not certain")
        elif limit.figure.percent is not None:
            uncertain.append(f"{limit} is likely but not certain")
    return attrs.evolve(configuration, fate="winner", reason="; ".join(uncertain))


def _is_surely_within(row: BenchmarkResult, limit: Limit) -> bool:
    """Whether the share of samples within a limit on a percentile is surely large enough.

    A few hundred samples, none of them beyond the limit, suffice for p99, although the
    percentile itself needs more for an interval.
    """
    assert limit.figure.percent is not None
    samples, rounds = row.samples, row.sample_rounds
    if samples is None or rounds is None or not samples.size:
        return False
    milliseconds = samples * 1e3
    is_within = milliseconds <= limit.bound if limit.is_upper else milliseconds >= limit.bound
    share = share_interval(is_within, rounds, confidence=_TWO_SIDED)
    return share.low >= limit.figure.percent / 100.0


def _winner_and_others(
    candidates: Sequence[BenchmarkResult], report: ReportData, judgement: Judgement
) -> dict[str, _Final]:
    (goal,) = judgement.goals
    costs = {row.label: cost for row in candidates if (cost := goal.cost(row)) is not None}
    fates = {
        row.label: _Final(fate="not_reached", reason=f"its {goal.figure.name} is unknown")
        for row in candidates
        if row.label not in costs
    }
    if not costs:
        return fates
    winner = min(costs, key=lambda label: costs[label])
    fates[winner] = _Final(fate="winner")
    for label in costs:
        if label != winner:
            fates[label] = _against(winner, label, goal, report, judgement.tie)
    return fates


def _against(winner: str, label: str, goal: Goal, report: ReportData, tie: float) -> _Final:
    """Return whether a candidate ties with the winner or is worse."""
    name = goal.figure.name
    if name in _BY_CENTRES:
        pair = _pair(report, winner, label)
        if pair is not None and pair.verdict in ("faster", "slower"):
            ratio = pair.ratio.estimate
            ratio = ratio if ratio > 1.0 else 1.0 / ratio
            return _Final(
                fate="slower", reason=f"{ratio:.3g}x the time of {winner}", by=winner, ratio=ratio
            )
        if pair is not None and pair.verdict == "tie":
            return _Final(fate="tie", reason=f"as fast as {winner}")
        return _Final(fate="tie", reason=f"could not be told from {winner}")
    best, other = report[winner], report[label]
    first, second = best.intervals.get(f"{name}_ms"), other.intervals.get(f"{name}_ms")
    if goal.figure.percent is not None:
        highest = None if first is None else first.high
        lowest = None if second is None else second.low
        if highest is not None and lowest is not None and lowest > highest:
            shown = goal.figure.show(goal.figure.value(other) or lowest)
            return _Final(fate="slower", reason=f"its {name} is {shown}", by=winner)
        return _Final(fate="tie", reason=f"its {name} could not be told from that of {winner}")
    value, least = goal.figure.value(other), goal.figure.value(best)
    assert value is not None
    assert least is not None
    if value > least * (1.0 + tie):
        return _Final(fate="slower", reason=f"its {name} is {goal.figure.show(value)}", by=winner)
    return _Final(fate="tie", reason=f"its {name} is that of {winner}")


def _pair(report: ReportData, a: str, b: str) -> Comparison | None:
    return next((pair for pair in report.comparisons if {pair.a, pair.b} == {a, b}), None)


def _front(candidates: Sequence[BenchmarkResult], judgement: Judgement) -> dict[str, _Final]:
    """Return who is on the front between two goals, and which one beats each of the others."""
    costs: dict[str, list[float]] = {}
    fates: dict[str, _Final] = {}
    for row in candidates:
        found = [goal.cost(row) for goal in judgement.goals]
        if any(cost is None for cost in found):
            fates[row.label] = _Final(fate="not_reached", reason="a figure of the goals is unknown")
        else:
            costs[row.label] = [cost for cost in found if cost is not None]
    for label, mine in costs.items():
        ahead = next(
            (other for other, theirs in costs.items() if _dominates(theirs, mine, judgement.tie)),
            "",
        )
        fates[label] = (
            _Final(fate="slower", reason=f"{ahead} is better in both", by=ahead)
            if ahead
            else _Final(fate="front")
        )
    return fates


def _dominates(first: Sequence[float], second: Sequence[float], tie: float) -> bool:
    """Whether the first is at least as good in both goals, and better in one beyond a tie."""
    margins = [math.fabs(cost) * tie for cost in second]
    at_least = all(a <= b for a, b in zip(first, second, strict=True))
    better = any(a < b - margin for a, b, margin in zip(first, second, margins, strict=True))
    return at_least and better
