"""What should a reader of the results know about the machine, and what else distrust?

Warnings are stored as text, so their importance is recognised by their wording.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import percent_text
from lexer_core.reporting.sentences import titles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["Caveats", "Condition", "caveats_of", "condition_of"]

# From these on, something is worth mentioning. Throttling is a reason to withhold a verdict.
_THROTTLED = 0.05
_DRIFT = 0.02
_STEAL = 0.01
_CPU_WAIT = 0.05
_ROUND_SPREAD = 0.05

# Details of what the condition of the machine sums up in one line.
_NOISE = (
    r"(samples|rounds) are autocorrelated",
    r"latency moved by .* between the halves",
    r"other machines on this host took",
    r"the CPU quota was exhausted",
    r"its calls waited for a CPU",
    r"(power|heat) limited the GPU's clocks",
)

# The most important first: wrong numbers, then numbers of something else, then imprecise ones.
_IMPORTANT = (
    r"samples add up to",
    r"the cached export gave wrong outputs",
    r"some of the work did not run on",
    r"has \d+ threads, but \d+ were requested",
    r"asked .*, computes",
    r"slower than .* on this machine",
    r"latency",
)
_UNIMPORTANT = (
    r"the first sample of a block is",
    r"compiled code came from a cache",
    r"outputs were judged as",
    r"(the export is|exports are) not cached",
)


@frozen(kw_only=True)
class Condition:
    """The condition of the machine in one line, and whether it was noisy."""

    text: str
    is_noisy: bool


@frozen(kw_only=True)
class Caveats:
    """Reasons to distrust the results, the most important first.

    ``noise`` are the details of a noisy machine, which its condition sums up.
    """

    main: tuple[str, ...]
    noise: tuple[str, ...]


def caveats_of(report: ReportData) -> Caveats:
    """Return the warnings of all rows and the notes on the run; each text once."""
    names = titles(report.results)
    by_warning: dict[str, list[str]] = {}
    known = set()  # as the notes on a model word it
    for row in report.results:
        for warning in _warnings(row):
            by_warning.setdefault(warning, []).append(names[row.label])
            known.add(f"{row.model}: {warning}" if row.model else warning)
    texts = [
        (_importance(warning), f"{', '.join(who)}: {warning}", _matches(_NOISE, warning))
        for warning, who in by_warning.items()
    ]
    texts += [
        (len(_IMPORTANT) + 2, note, _matches(_NOISE, note))
        for note in dict.fromkeys(report.notes)
        if note not in known
    ]
    ordered = sorted(texts, key=lambda each: each[0])
    return Caveats(
        main=tuple(text for _, text, is_noise in ordered if not is_noise),
        noise=tuple(text for _, text, is_noise in ordered if is_noise),
    )


def _warnings(row: BenchmarkResult) -> tuple[str, ...]:
    if row.placement is None or not row.placement.fallbacks:
        return row.warnings
    elsewhere = ", ".join(row.placement.fallbacks)
    return (*row.warnings, f"some of the work did not run on the {row.device}: {elsewhere}")


def _importance(warning: str) -> int:
    """Return a number that is smaller for what is more important."""
    for at, pattern in enumerate(_IMPORTANT):
        if re.search(pattern, warning):
            return at
    return len(_IMPORTANT) + (1 if _matches(_UNIMPORTANT, warning) else 0)


def _matches(patterns: Sequence[str], text: str) -> bool:
    return any(re.match(pattern, text) for pattern in patterns)


def condition_of(report: ReportData) -> Condition | None:
    """Return the condition of the machine during the run; ``None`` if nothing is known.

    Notes
    -----
    How good absolute times are is the larger of the widest interval of a median, from
    the median to its farther end, and half of how far the two halves of the run differ.
    Nothing is claimed if a median has no interval, or if calls waited for a CPU. Then means
    and tails are higher, and the median too of an engine whose threads wait for each other.
    """
    rows = [row for row in report.results if row.status == "ok"]
    names = titles(report.results)
    drifts = {names[row.label]: drift for row in rows if (drift := row.diagnosis.get("drift"))}
    if not any(row.diagnosis for row in rows):
        return None
    accuracies = [_accuracy(row) for row in rows]
    waits = {names[row.label]: row.diagnosis.get("cpu_wait_share") or 0.0 for row in rows}
    if max(waits.values()) > _CPU_WAIT:
        return Condition(text=_crowded(waits), is_noisy=True)
    reason = _noise(rows, drifts)
    moved = f"latencies moved by {_percent(_largest(drifts))} during the run"
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    good = (
        f"absolute times are good to ±{_percent(max(known))}"
        if len(known) == len(rows)
        else "too few samples to tell how good absolute times are"
    )
    if not reason:
        return Condition(text=f"quiet machine: {moved}; {good}", is_noisy=False)
    if report.comparisons and _move_together(drifts, len(rows)):
        good = f"ratios are protected by taking turns, {good}"
    return Condition(text=f"noisy machine: {reason}; {good}", is_noisy=True)


def _crowded(waits: Mapping[str, float]) -> str:
    """Say that calls waited for a CPU, and what that means."""
    name, share = max(waits.items(), key=lambda each: each[1])
    return (
        f"busy machine: the calls of {name} waited for a CPU {_percent(share)} of the time; times "
        "and ratios may be different on an idle machine"
    )


def _noise(rows: Sequence[BenchmarkResult], drifts: Mapping[str, float]) -> str:
    """Return what matters most about a noisy machine; empty if it was quiet."""

    def most(name: str) -> float:
        return max((row.diagnosis.get(name) or 0.0 for row in rows), default=0.0)

    if most("throttled_share") > _THROTTLED:
        return f"the CPU quota was exhausted in {_percent(most('throttled_share'))} of the blocks"
    if _largest(drifts) > _DRIFT:
        if _move_together(drifts, len(rows)):
            return f"latencies moved by {_percent(_largest(drifts))} during the run"
        name, drift = max(drifts.items(), key=lambda each: abs(each[1]))
        return f"the latency of {name} moved by {_percent(abs(drift))}, more than that of others"
    if most("steal_share") > _STEAL:
        return f"other virtual machines took {_percent(most('steal_share'))} of the CPU time"
    if most("round_spread") > _ROUND_SPREAD:
        return f"latencies varied by ±{_percent(most('round_spread'))} from round to round"
    return ""


def _largest(drifts: Mapping[str, float]) -> float:
    return max(map(abs, drifts.values()), default=0.0)


def _move_together(drifts: Mapping[str, float], rows: int) -> bool:
    """Whether the latencies of all rows moved alike, as those of a changing machine do."""
    values = list(drifts.values()) + [0.0] * (rows - len(drifts))
    return max(values) - min(values) <= max(_DRIFT, _largest(drifts) / 2)


def _accuracy(row: BenchmarkResult) -> float | None:
    drift = abs(row.diagnosis.get("drift") or 0.0) / 2
    interval = row.intervals.get("p50_ms")
    if interval is None or interval.low is None or interval.high is None or not interval.estimate:
        return None
    farther = max(interval.high - interval.estimate, interval.estimate - interval.low)
    return max(drift, farther / interval.estimate)


def _percent(share: float) -> str:
    """Format a share as a whole percentage, or with a digit below 1 %."""
    return percent_text(round(share, 2 if share >= 0.01 else 3))  # noqa: PLR2004
