"""What is the verdict, in words?

Pure functions from results and comparisons to sentences.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from lexer_core.reporting.baseline import baseline_of, inverse
from lexer_core.reporting.numbers import (
    confidence_text,
    count_text,
    duration_text,
    error_text,
    interval_text,
    significant,
    time_unit,
)
from lexer_core.results.set_up import payback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import BenchmarkResult, Comparison, FirstDifference, Interval

__all__ = [
    "agreement",
    "difference_text",
    "is_interrupted",
    "problem",
    "same_problems",
    "titles",
    "verdict_sentences",
]

_WIDE = 1.5
"""Ratio of the ends of an interval from which only its near end is stated as a result."""

_PHASES = {
    "resolve": "before it started",
    "export": "during export",
    "reference": "while computing the reference outputs",
    "import": "while importing its runtime",
    "load": "while loading the model",
    "place": "while transferring the inputs",
    "first_call": "in its first call",
    "warm_up": "during warm-up",
    "rounds": "during measurement",
    "fetch": "while fetching the outputs",
    "parity": "while comparing the outputs",
}


def titles(results: Sequence[BenchmarkResult]) -> dict[str, str]:
    """Return the name of each row in sentences, by its label.

    The name is the engine's display name, unless the row has its own label or two
    rows would have the same name.
    """
    plain = {
        row.label: row.engine if row.label in (row.engine_name, row.engine) else row.label
        for row in results
    }
    taken = Counter(plain.values())
    return {label: title if taken[title] == 1 else label for label, title in plain.items()}


def is_interrupted(row: BenchmarkResult) -> bool:
    """Return whether a row has no samples because the run was interrupted."""
    return row.error is not None and row.error.kind == "Interrupted"


def problem(row: BenchmarkResult) -> str:
    """Return in one line why a row has no numbers; empty if it has them."""
    if row.status == "ok":
        return ""
    return _problem(row, several=False)


def same_problems(
    rows: Sequence[BenchmarkResult], names: Mapping[str, str]
) -> list[tuple[str, BenchmarkResult]]:
    """Return a sentence for each problem, with all rows that have it, and one of the rows.

    Engines that accept the same format fail together if the model cannot be exported.
    Interrupted rows are left out: the table calls them interrupted.
    """
    together: dict[tuple[str, str], list[BenchmarkResult]] = {}
    for row in rows:
        if row.status != "ok" and not is_interrupted(row):
            hint = row.error.hint if row.error is not None else ""
            together.setdefault((problem(row), hint), []).append(row)
    sentences = []
    for group in together.values():
        *others, last = (names[row.label] for row in group)
        who = f"{', '.join(others)} and {last}" if others else last
        sentences.append((f"{who} {_problem(group[0], several=bool(others))}", group[0]))
    return sentences


def _problem(row: BenchmarkResult, *, several: bool) -> str:
    if is_interrupted(row):
        return "was interrupted before its first sample"
    unsupported = f"{'are' if several else 'is'} unsupported"
    what = unsupported if row.status == "unsupported" else "failed"
    if row.error is None:
        return what
    when = _PHASES.get(row.error.phase, "")
    if several:
        when = when.replace("it started", "they started")
    return f"{what} {when}: {_one_line(row.error.reason)}"


def agreement(row: BenchmarkResult) -> str:
    """Return whether a row's outputs are correct: ``"outputs agree (max error 2e-06)"``."""
    parity = row.parity
    if parity is None:
        return "outputs were not checked"
    if parity.status == "not_judged" and parity.reference == row.label:
        return "its outputs are what others are compared with"
    if parity.status == "not_judged":
        return f"outputs were not judged ({_one_line(parity.reason) or 'no reason given'})"
    size = (
        "" if parity.max_abs_error is None else f" (max error {error_text(parity.max_abs_error)})"
    )
    return f"outputs {'agree' if parity.status == 'pass' else 'differ'}{size}"


def verdict_sentences(
    results: Sequence[BenchmarkResult], comparisons: Sequence[Comparison]
) -> tuple[str, ...]:
    """Return the verdicts of a benchmark as sentences.

    Parameters
    ----------
    results
        All rows, including those without numbers.
    comparisons
        Comparisons of rows. With more than three rows, the sentences cover only
        those with the baseline (the ``a`` of the first), and those of rows next to
        each other in speed without a clear winner.

    Returns
    -------
    tuple[str, ...]
        Complete sentences, the most important first; never empty.
    """
    names = titles(results)
    measured = [row for row in results if row.status == "ok"]
    if not measured:
        return (_nothing_measured(results, names),)
    wrong = [_disagreement(row, names) for row in measured if _fails(row)]
    if len(measured) == 1:
        return (_alone(measured[0], results, names), *wrong)
    rows = {row.label: row for row in measured}
    judged = [pair for pair in comparisons if pair.a in rows and pair.b in rows]
    right = [pair for pair in judged if not (_fails(rows[pair.a]) or _fails(rows[pair.b]))]
    if not judged:
        return (*wrong, "No verdict: the engines were not compared with each other.")
    sentences = [_verdict(pair, rows, names) for pair in _selected(right, rows)]
    return (*_fastest(measured, judged, names), *sentences, *wrong)


def _fails(row: BenchmarkResult) -> bool:
    return row.parity is not None and row.parity.status == "fail"


def _nothing_measured(results: Sequence[BenchmarkResult], names: Mapping[str, str]) -> str:
    if not results:
        return "Nothing was measured: there were no engines to measure."
    reasons = "; ".join(sentence for sentence, _ in same_problems(results, names))
    if any(map(is_interrupted, results)):
        reasons = "; ".join(filter(None, ("interrupted before the first sample", reasons)))
    return f"Nothing was measured: {reasons}."


def _alone(
    row: BenchmarkResult, results: Sequence[BenchmarkResult], names: Mapping[str, str]
) -> str:
    others = "" if len(results) == 1 else " The other engines could not be measured."
    return f"Only {names[row.label]} was measured{_median(row)}, {agreement(row)}.{others}"


def _median(row: BenchmarkResult) -> str:
    if row.p50_ms is None:
        return ""
    unit = time_unit([row])
    interval = row.intervals.get("p50_ms")
    if interval is None or interval.low is None or interval.high is None:
        return f": {significant(row.p50_ms * unit.per_ms)} {unit.name} per call"
    low, estimate, high = interval_text(
        interval.low * unit.per_ms, row.p50_ms * unit.per_ms, interval.high * unit.per_ms
    )
    return (
        f": {estimate} {unit.name} per call ({confidence_text(interval.confidence)} {low}-{high})"
    )


def _disagreement(row: BenchmarkResult, names: Mapping[str, str]) -> str:
    parity = row.parity
    assert parity is not None
    reason = _one_line(parity.reason)
    if not reason and parity.max_abs_error is not None:
        reason = f"max error {error_text(parity.max_abs_error)}"
    return (
        f"{names[row.label]} is listed but not ranked: its outputs differ from those of "
        f"{parity.reference or 'the model'}{f' ({reason})' if reason else ''}."
        f"{_first_difference(parity.first_difference)}"
    )


def _first_difference(found: FirstDifference | None) -> str:
    if found is None:
        return ""
    if found.module is None:
        return f" In which module they first differ is unknown: {_one_line(found.reason)}."
    reason = f"; {_one_line(found.reason)}" if found.reason else ""
    return f" They first differ in {difference_text(found)}{reason}."


def difference_text(found: FirstDifference) -> str:
    """Return where results first differ: ``"'blocks.3.attn' (max error 0.02)"``."""
    if found.max_abs_error is not None:
        return f"{found.place} (max error {error_text(found.max_abs_error)})"
    return f"{found.place} ({_one_line(found.note)})" if found.note else found.place


def _fastest(
    measured: Sequence[BenchmarkResult], pairs: Sequence[Comparison], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Name the winner if there are more than two rows and one is faster than every other."""
    if len(measured) <= 2:  # noqa: PLR2004  with two, the verdict says it
        return ()
    wins = Counter(
        pair.b if pair.verdict == "faster" else pair.a
        for pair in pairs
        if pair.verdict in ("faster", "slower")
    )
    return tuple(
        f"{names[row.label]} is the fastest of {len(measured)}."
        for row in measured
        if wins[row.label] == len(measured) - 1
    )


def _selected(pairs: Sequence[Comparison], rows: Mapping[str, BenchmarkResult]) -> list[Comparison]:
    if len(rows) <= 3:  # noqa: PLR2004  three pairs can be read
        return list(pairs)
    baseline = baseline_of(pairs)
    by_speed = sorted(rows.values(), key=lambda row: row.p50_ms or 0.0)
    neighbours = [{one.label, other.label} for one, other in itertools.pairwise(by_speed)]
    return [
        pair
        for pair in pairs
        if baseline in (pair.a, pair.b)
        or (pair.verdict in ("tie", "undecided", "none") and {pair.a, pair.b} in neighbours)
    ]


def _verdict(
    pair: Comparison, rows: Mapping[str, BenchmarkResult], names: Mapping[str, str]
) -> str:
    a, b = names[pair.a], names[pair.b]
    row, other = rows[pair.b], rows[pair.a]
    if pair.verdict == "faster":
        difference = _difference(pair.ratio, "faster", a)
        return f"{b} is {difference}, {agreement(row)}.{_payback(row, other, b, a)}"
    if pair.verdict == "slower":
        difference = _difference(inverse(pair.ratio), "slower", a)
        return f"{b} is {difference}, {agreement(row)}.{_payback(other, row, a, b)}"
    if pair.verdict == "tie":
        ratio, bounds = _ratio(pair.ratio)
        return (
            f"{a} and {b} are a tie: {ratio}x{bounds} is within +-{_percent(pair.delta)}, "
            f"{agreement(row)}."
        )
    if pair.verdict == "undecided":
        return f"{b} is {_range(pair, a)}, {agreement(row)}: {_undecided(pair)}."
    reason = _one_line(pair.reason) or "the samples do not support one"
    ratio, bounds = _ratio(pair.ratio)
    measured = f"; measured: {ratio}x{bounds}" if math.isfinite(pair.ratio.estimate) else ""
    return f"No verdict between {a} and {b}: {reason}{measured}."


def _difference(ratio: Interval, word: str, other: str) -> str:
    """Say how much faster or slower; of a wide interval only the end that is certain."""
    low, high = ratio.low, ratio.high
    if low is not None and (high is None or high > _WIDE * low):
        bounds = "" if high is None else _ratio(ratio)[1]
        return f"at least {_rounded_down(low)}x {word} than {other}{bounds}"
    estimate, bounds = _ratio(ratio)
    return f"{estimate}x {word} than {other}{bounds}"


def _range(pair: Comparison, other: str) -> str:
    """Say what the data support about a pair without a verdict."""
    ratio = pair.ratio
    confidence = f" ({confidence_text(ratio.confidence)})"
    if ratio.low is not None and ratio.high is not None:
        low, _, high = interval_text(ratio.low, ratio.estimate, ratio.high)
        return f"between {low}x and {high}x as fast as {other}{confidence}"
    if ratio.low is not None:
        return f"at least {_rounded_down(ratio.low)}x as fast as {other}{confidence}"
    return f"about {significant(ratio.estimate)}x as fast as {other} (no interval)"


def _undecided(pair: Comparison) -> str:
    low, high = pair.ratio.low, pair.ratio.high
    edge = f"perhaps by less than {_percent(pair.delta)}"
    if low is not None and low >= 1:
        return f"it is faster, but {edge}"
    if high is not None and high <= 1:
        return f"it is slower, but {edge}"
    return _one_line(pair.reason) or "more samples may tell which one is faster"


def _rounded_down(value: float) -> str:
    """Format a lower bound, so that the text is not above it: 2.96 is 2.9."""
    decimals = 2 if value < 2 else 1 if value < 100 else 0  # noqa: PLR2004  as interval_text
    return f"{math.floor(value * 10**decimals) / 10**decimals:,.{decimals}f}"


def _payback(fast: BenchmarkResult, slow: BenchmarkResult, name: str, other: str) -> str:
    """Say after how many calls the faster of two has made up for a longer set-up."""
    paid = payback(fast, slow)
    if paid is None or paid.extra_ms <= 0:
        return ""
    when = "with the first call" if paid.calls <= 1 else f"after {count_text(paid.calls)} calls"
    return (
        f" The set-up of {name} ({' and '.join(paid.parts)}) takes "
        f"{duration_text(paid.extra_ms)} longer than that of {other}: paid back {when}."
    )


def _ratio(ratio: Interval) -> tuple[str, str]:
    """Format a ratio, and its interval in parentheses."""
    if ratio.low is None or ratio.high is None:
        return significant(ratio.estimate), " (no interval)"
    low, estimate, high = interval_text(ratio.low, ratio.estimate, ratio.high)
    return estimate, f" ({confidence_text(ratio.confidence)} {low}-{high})"


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
