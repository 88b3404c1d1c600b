"""What is the verdict, in words?

Pure: results and comparisons in, sentences out.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from lexer_core.reporting.numbers import (
    count_text,
    duration_text,
    error_text,
    interval_text,
    significant,
    time_unit,
)
from lexer_core.results import BenchmarkResult, Comparison, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["agreement", "problem", "titles", "verdict_sentences"]

_PHASES = {
    "resolve": "before it was started",
    "export": "in export",
    "reference": "while the reference was computed",
    "import": "while its runtime was imported",
    "load": "while the model was loaded",
    "place": "while inputs were placed",
    "first_call": "in its first call",
    "warm_up": "in warm-up",
    "rounds": "while it was measured",
    "fetch": "while outputs were fetched",
    "parity": "while outputs were compared",
}


def titles(results: Sequence[BenchmarkResult]) -> dict[str, str]:
    """Say what each row is called in a text, by its label.

    The engine's display name, unless the row has a label of its own or two rows
    would be called the same.
    """
    plain = {
        row.label: row.engine if row.label in (row.engine_name, row.engine) else row.label
        for row in results
    }
    taken = Counter(plain.values())
    return {label: title if taken[title] == 1 else label for label, title in plain.items()}


def problem(row: BenchmarkResult) -> str:
    """Say why a row has no numbers, in one line; empty when it has them."""
    if row.status == "ok":
        return ""
    what = "is unsupported" if row.status == "unsupported" else "failed"
    if row.error is None:
        return what
    return f"{what} {_PHASES.get(row.error.phase, '')}: {_one_line(row.error.reason)}"


def agreement(row: BenchmarkResult) -> str:
    """Say whether a row's outputs are right: ``"outputs agree (max error 2e-06)"``."""
    parity = row.parity
    if parity is None:
        return "outputs were not compared"
    if parity.status == "not_judged":
        return f"outputs were not judged ({_one_line(parity.reason) or 'no reason given'})"
    size = (
        "" if parity.max_abs_error is None else f" (max error {error_text(parity.max_abs_error)})"
    )
    return f"outputs {'agree' if parity.status == 'pass' else 'differ'}{size}"


def verdict_sentences(
    results: Sequence[BenchmarkResult], comparisons: Sequence[Comparison]
) -> tuple[str, ...]:
    """Say in words what a benchmark showed.

    Parameters
    ----------
    results
        All rows, those without numbers too.
    comparisons
        Between rows. With more than three rows, those against the baseline (the
        ``a`` of the first) are told, and those of neighbours that are not apart.

    Returns
    -------
    tuple[str, ...]
        Whole sentences, the most important first; never empty.
    """
    names = titles(results)
    measured = [row for row in results if row.status == "ok"]
    if not measured:
        return (_nothing_measured(results, names),)
    told = [_disagreement(row, names) for row in measured if _fails(row)]
    if len(measured) == 1:
        return (_alone(measured[0], results, names), *told)
    rows = {row.label: row for row in measured}
    judged = [pair for pair in comparisons if pair.a in rows and pair.b in rows]
    right = [pair for pair in judged if not (_fails(rows[pair.a]) or _fails(rows[pair.b]))]
    if not judged:
        return (*told, "No verdict: the engines were not compared with each other.")
    sentences = [_verdict(pair, rows, names) for pair in _worth_telling(right, rows)]
    return (*_fastest(measured, judged, names), *sentences, *told)


def _fails(row: BenchmarkResult) -> bool:
    return row.parity is not None and row.parity.status == "fail"


def _nothing_measured(results: Sequence[BenchmarkResult], names: Mapping[str, str]) -> str:
    if not results:
        return "Nothing was measured: there was no engine to measure."
    reasons = "; ".join(f"{names[row.label]} {problem(row)}" for row in results)
    return f"Nothing was measured: {reasons}."


def _alone(
    row: BenchmarkResult, results: Sequence[BenchmarkResult], names: Mapping[str, str]
) -> str:
    why = "there is nothing to compare it with" if len(results) == 1 else "the others could not be"
    return f"Only {names[row.label]} was measured{_median(row)}, {agreement(row)}; {why}."


def _median(row: BenchmarkResult) -> str:
    if row.p50_ms is None:
        return ""
    unit = time_unit([row])
    interval = row.intervals.get("p50_ms")
    if interval is None or interval.low is None or interval.high is None:
        return f": {significant(row.p50_ms * unit.per_ms)} {unit.name} a call"
    low, estimate, high = interval_text(
        interval.low * unit.per_ms, row.p50_ms * unit.per_ms, interval.high * unit.per_ms
    )
    return f": {estimate} {unit.name} a call ({interval.confidence:.0%} {low}-{high})"


def _disagreement(row: BenchmarkResult, names: Mapping[str, str]) -> str:
    parity = row.parity
    assert parity is not None
    reason = _one_line(parity.reason)
    if not reason and parity.max_abs_error is not None:
        reason = f"max error {error_text(parity.max_abs_error)}"
    return (
        f"{names[row.label]} gives other answers than {parity.reference or 'the model'}"
        f"{f' ({reason})' if reason else ''}: it keeps its row and has no rank."
    )


def _fastest(
    measured: Sequence[BenchmarkResult], pairs: Sequence[Comparison], names: Mapping[str, str]
) -> tuple[str, ...]:
    """Name the winner where there are more than two, and one is decidedly ahead of every other."""
    if len(measured) <= 2:  # noqa: PLR2004  of two, the verdict says it
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


def _worth_telling(
    pairs: Sequence[Comparison], rows: Mapping[str, BenchmarkResult]
) -> list[Comparison]:
    if len(rows) <= 3:  # noqa: PLR2004  three pairs can be read
        return list(pairs)
    baseline = pairs[0].a if pairs else ""
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
    row = rows[pair.b]
    if pair.verdict == "faster":
        return (
            f"{b} is {_ratio(pair.ratio)[0]}x faster than {a}{_ratio(pair.ratio)[1]}, "
            f"{agreement(row)}.{_payback(row)}"
        )
    if pair.verdict == "slower":
        ratio, bounds = _ratio(_inverse(pair.ratio))
        return f"{b} is {ratio}x slower than {a}{bounds}, {agreement(row)}."
    ratio, bounds = _ratio(pair.ratio)
    if pair.verdict == "tie":
        return (
            f"{a} and {b} are a tie: {ratio}x{bounds} is within +-{_percent(pair.delta)}, "
            f"{agreement(row)}."
        )
    if pair.verdict == "undecided":
        return (
            f"No verdict between {a} and {b}: {ratio}x{bounds} is neither within nor beyond "
            f"+-{_percent(pair.delta)}; more samples may tell."
        )
    reason = _one_line(pair.reason) or "the samples do not allow one"
    measured = f" (measured: {ratio}x{bounds})" if math.isfinite(pair.ratio.estimate) else ""
    return f"No verdict between {a} and {b}: {reason}{measured}."


def _payback(row: BenchmarkResult) -> str:
    """Say after how many calls a faster engine has paid for its beginning."""
    if row.break_even_calls is None:
        return ""
    costs = {"export": row.export_ms, "load": row.load_ms}
    named = [name for name, ms in costs.items() if ms]
    if not named:
        return ""
    total = duration_text(sum(costs[name] or 0.0 for name in named))
    verb = "cost" if len(named) > 1 else "costs"
    if row.break_even_calls <= 1:
        paid = "paid back by the first call"
    else:
        paid = f"paid back after {count_text(row.break_even_calls)} calls"
    return f" {' and '.join(named).capitalize()} {verb} {total}: {paid}."


def _inverse(ratio: Interval) -> Interval:
    return Interval(
        estimate=1 / ratio.estimate,
        low=None if not ratio.high else 1 / ratio.high,
        high=None if not ratio.low else 1 / ratio.low,
        confidence=ratio.confidence,
    )


def _ratio(ratio: Interval) -> tuple[str, str]:
    """Write a ratio, and its interval in brackets."""
    if ratio.low is None or ratio.high is None:
        return significant(ratio.estimate), " (no interval)"
    low, estimate, high = interval_text(ratio.low, ratio.estimate, ratio.high)
    return estimate, f" ({ratio.confidence:.0%} {low}-{high})"


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
