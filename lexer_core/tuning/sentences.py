"""What did a tuning find, in sentences?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import BenchmarkResult
    from lexer_core.results.report_data import ReportData
    from lexer_core.results.tuning import Fate, TuningConfiguration
    from lexer_core.tuning.goals import Goal, Limit

__all__ = ["tuning_sentences"]

_WORDS: Mapping[Fate, str] = {
    "tie": "tied with it",
    "front": "on the front",
    "slower": "slower",
    "over_limit": "over a limit",
    "failed": "failed",
    "unsupported": "unsupported",
    "not_reached": "not decided",
}


def tuning_sentences(
    report: ReportData,
    configurations: Sequence[TuningConfiguration],
    goals: Sequence[Goal],
    limits: Sequence[Limit],
    space_size: int,
) -> tuple[str, ...]:
    """Return the result of a tuning as complete sentences, the most important first."""
    by_fate: dict[str, list[TuningConfiguration]] = {}
    for each in configurations:
        by_fate.setdefault(each.fate, []).append(each)
    sentences = [*_best(report, by_fate, goals)]
    if not sentences:
        sentences = _nothing(report, configurations, goals, limits)
    counts: Counter[Fate] = Counter(each.fate for each in configurations)
    others = ", ".join(f"{counts[fate]} {words}" for fate, words in _WORDS.items() if counts[fate])
    if space_size > len(configurations):
        sentences.append(
            f"{len(configurations)} of the {space_size} configurations of the space were tried, "
            "chosen by a sampler: others may be better."
        )
    if others:
        sentences.append(f"Of {len(configurations)} configurations: {others}.")
    return tuple(sentences)


def _best(
    report: ReportData, by_fate: dict[str, list[TuningConfiguration]], goals: Sequence[Goal]
) -> list[str]:
    if by_fate.get("front"):
        first, second = (goal.figure.name for goal in goals)
        rows = [report[each.label] for each in by_fate["front"]]
        cheapest = min(rows, key=lambda row: goals[0].cost(row) or 0.0)
        other = min(rows, key=lambda row: goals[1].cost(row) or 0.0)
        return [
            (
                f"{len(rows)} configurations are the best compromises between {first} and "
                f"{second}: from {_figures(cheapest, goals)} to {_figures(other, goals)}."
            )
        ]
    sentences = []
    for each in by_fate.get("winner", []):
        row = report[each.label]
        sentences.append(f"The best is {_figures(row, goals)}{_gain(report, row, goals)}.")
        if each.reason:
            sentences.append(f"Note: {each.reason}.")
    ties = by_fate.get("tie", [])
    if sentences and ties:
        names = ", ".join(each.label for each in ties)
        sentences.append(f"As good, as far as the rounds can tell: {names}.")
    return sentences


def _gain(report: ReportData, row: BenchmarkResult, goals: Sequence[Goal]) -> str:
    """Return how it compares with the first row, which is the baseline."""
    baseline = report.results[0]
    goal = goals[0]
    mine, other = goal.figure.value(row), goal.figure.value(baseline)
    if baseline.label == row.label or baseline.status != "ok" or not mine or not other:
        return ""
    return f"; {baseline.label} has {goal.figure.show(other)}"


def _figures(row: BenchmarkResult, goals: Sequence[Goal]) -> str:
    shown = []
    for goal in goals:
        value = goal.figure.value(row)
        if value is not None:
            shown.append(f"{goal.figure.name} {goal.figure.show(value)}")
    return f"{row.label} ({', '.join(shown)})" if shown else row.label


def _nothing(
    report: ReportData,
    configurations: Sequence[TuningConfiguration],
    goals: Sequence[Goal],
    limits: Sequence[Limit],
) -> list[str]:
    """Name the limit that nothing meets, and what comes closest."""
    over = [each for each in configurations if each.fate == "over_limit"]
    for limit in limits:
        known = [
            (value, each.label)
            for each in over
            if (value := limit.figure.value(report[each.label])) is not None
        ]
        if known and not any(limit.allows(value) for value, _ in known):
            closest = max(known) if limit.figure.more_is_better else min(known)
            shown = limit.figure.show(closest[0])
            return [
                f"Nothing meets {limit}; the closest is {closest[1]} at {shown}.",
                *_slower_within(report, configurations, limits),
            ]
    if over:
        return [
            f"Nothing meets all limits: {', '.join(map(str, limits))}.",
            *_slower_within(report, configurations, limits),
        ]
    left = [
        report[each.label]
        for each in configurations
        if each.fate in ("not_reached", "tie") and report[each.label].num_samples
    ]
    if not left:
        return ["No configuration could be measured."]
    fastest = min(left, key=lambda row: goals[0].cost(row) or 0.0)
    best = _figures(fastest, goals)
    number = f"{len(left)} are" if len(left) > 1 else "one is"
    return [f"Nothing is decided yet: {number} left, the best so far is {best}."]


def _slower_within(
    report: ReportData, configurations: Sequence[TuningConfiguration], limits: Sequence[Limit]
) -> list[str]:
    """Name those that left because they were slower, but may meet the limits."""

    def may_meet(row: BenchmarkResult) -> bool:
        values = [(limit, limit.figure.value(row)) for limit in limits]
        return all(value is None or limit.allows(value) for limit, value in values)

    slower = [each.label for each in configurations if each.fate == "slower"]
    names = ", ".join(label for label in slower if may_meet(report[label]))
    if not names:
        return []
    return [
        (
            f"These left the race because they were slower, but may meet the limits: {names}. "
            "Tune again without the values that exceed them."
        )
    ]
