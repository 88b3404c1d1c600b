"""What did a load test find, in sentences?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.reporting.numbers import significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.load_testing.slo import Slo
    from lexer_core.results import BenchmarkResult
    from lexer_core.results.load_test import LoadConfiguration, LoadTest

__all__ = ["best_of_engines", "load_sentences"]

_GAIN = 1.15
"""Times the throughput of one instance from which more of them are a gain."""


def best_of_engines(test: LoadTest) -> list[LoadConfiguration]:
    """Return the best configuration of each engine that has one, the best engine first."""
    best: dict[str, LoadConfiguration] = {}
    for each in test.configurations:
        known = best.get(each.engine)
        if each.rate is not None and (known is None or each.rate > (known.rate or 0.0)):
            best[each.engine] = each
    return sorted(best.values(), key=lambda each: -(each.rate or 0.0))


def load_sentences(rows: Iterable[BenchmarkResult], test: LoadTest, slo: Slo) -> tuple[str, ...]:
    """Return the result of a load test as complete sentences, the most important first."""
    names = {row.label: row.engine for row in rows}
    best = best_of_engines(test)
    sentences = []
    if best:
        first, *others = best
        more = "".join(f"; {names[each.label]} {_about(each)}" for each in others)
        sentences.append(
            f"{names[first.label]} serves {_about(first)} requests/s with {slo.text} "
            f"({_how(first)}){more}."
        )
        sentences += [_uncertain(each, names[each.label]) for each in best if _is_uncertain(each)]
    without = [
        engine
        for engine in dict.fromkeys(each.engine for each in test.configurations)
        if engine not in {each.engine for each in best}
    ]
    sentences += [_none(engine, test.configurations, names, slo) for engine in without]
    return (*sentences, *_gil_sentences(test.configurations, names))


def _about(configuration: LoadConfiguration) -> str:
    rate = significant(configuration.rate)
    return f"about {rate}" if _is_uncertain(configuration) else rate


def _how(configuration: LoadConfiguration) -> str:
    instances, threads = configuration.instances, configuration.threads
    per = " each" if instances > 1 else ""
    text = f"{instances} instance{'s' * (instances > 1)}"
    text += f", {threads} thread{'s' * (threads > 1)}{per}"
    return f"{text}, one session" if configuration.shared_session else text


def _is_uncertain(configuration: LoadConfiguration) -> bool:
    return configuration.highest_passing != configuration.rate


def _uncertain(configuration: LoadConfiguration, name: str) -> str:
    """Say between which rates the measured one may be."""
    low, high = configuration.highest_passing, configuration.lowest_failing
    parts = [
        "no rate passes with certainty" if low is None else f"{significant(low)} passes",
        "none fails" if high is None else f"{significant(high)} fails",
    ]
    return f"{name}: {' and '.join(parts)}; more time (--max-seconds) would decide the rest."


def _none(
    engine: str,
    configurations: Sequence[LoadConfiguration],
    names: Mapping[str, str],
    slo: Slo,
) -> str:
    mine = [each for each in configurations if each.engine == engine]
    best = next((each for each in mine if each.points), mine[0])
    # A late dispatch only makes latencies longer.
    kept = [
        point
        for each in mine
        for point in each.points
        if point.verdict == "withheld" and (point.share_low or 0.0) >= slo.share
    ]
    sentence = f"{names[best.label]} has no rate: {best.reason.removesuffix('.')}."
    if kept:
        highest = max(kept, key=lambda point: point.rate)
        sentence += (
            f" Even so, {significant(highest.rate)} requests/s were answered within the limit."
        )
    return sentence


def _gil_sentences(
    configurations: Sequence[LoadConfiguration], names: Mapping[str, str]
) -> list[str]:
    """Say what more instances gain in a process of Python, and whether its lock is why."""
    sentences = []
    for engine in dict.fromkeys(each.engine for each in configurations):
        several = [each for each in configurations if each.engine == engine and each.instances > 1]
        if not several or not several[0].gil or len(several[0].closed) < 2:  # noqa: PLR2004 - two levels
            continue
        each = several[0]
        single, all_of_them = each.closed[0], each.closed[-1]
        gain = all_of_them.throughput_per_sec / single.throughput_per_sec
        lock = {
            "released": "its calls release Python's global lock",
            "partly": "its calls hold Python's global lock for a part of their time",
            "held": "its calls hold Python's global lock, so that they take turns",
        }[each.gil]
        shared = " that share a session" if each.shared_session else ""
        served = f"{gain:.2f}x the calls of one"
        how = f"serve {served}" if gain >= _GAIN else f"gain nothing ({served})"
        sentences.append(f"{names[each.label]}: {each.instances} instances{shared} {how}; {lock}.")
    return sentences
