"""Which texts of a tuning are shown, and in which order?"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from lexer_core.engines.choice import option_text
from lexer_core.reporting.layout_records import Column, Layout, printable
from lexer_core.reporting.numbers import (
    MISSING,
    bytes_text,
    error_text,
    estimate_text,
    rate_text,
    significant,
    time_unit,
)
from lexer_core.reporting.run_lines import fact_lines, heading_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration

__all__ = ["FATE_WORDS", "lay_out_tuning"]

FATE_WORDS = {
    "winner": "best",
    "tie": "tie",
    "front": "front",
    "slower": "slower",
    "over_limit": "over limit",
    "failed": "failed",
    "unsupported": "unsupported",
    "not_reached": "not decided",
}
"""How the table calls the fates, in the order in which it shows them."""


_MARKS = "¹²³"
_UNMEASURED = ("failed", "unsupported", "not_reached")


def lay_out_tuning(report: ReportData, tuning: Tuning) -> Layout:
    """Convert a tuning to the texts that are shown: one line per measured configuration."""
    order = list(FATE_WORDS)
    rows = {row.label: row for row in report.results}
    ordered = sorted(
        tuning.configurations,
        key=lambda each: (order.index(each.fate), _seconds(rows[each.label])),
    )
    axes = _axes(tuning.configurations)
    unmeasured = [
        each
        for each in ordered
        if each.fate in _UNMEASURED and not rows[each.label].num_samples and each.reason
    ]
    shown = [each for each in ordered if each not in unmeasured]
    ties = {each.reason for each in shown if each.fate == "tie"}
    marks = dict(zip(sorted(ties), _MARKS, strict=False))
    return Layout(
        heading=printable(
            [
                *heading_lines(report, time_unit(report.results)),
                "; ".join([*tuning.goals, *(f"limit {limit}" for limit in tuning.limits)]),
            ]
        ),
        columns=_columns(shown, rows, axes, tuning, marks, _rates(report)) if shown else (),
        footnotes=printable(
            f"{mark} {_with_numbers(reason, shown)}" for reason, mark in marks.items()
        ),
        problems=printable(_unmeasured_lines(unmeasured, axes)),
        sentences=printable(report.sentences),
        facts=printable([*_race_lines(report, tuning), *fact_lines(report)]),
        command=" ".join(printable([report.command])),
    )


def _race_lines(report: ReportData, tuning: Tuning) -> Iterator[str]:
    if report.load_test is None:
        if tuning.race_rounds:
            yield (
                f"{_counted(len(tuning.configurations), 'configuration')} raced in "
                f"{_counted(tuning.race_rounds, 'round')}: "
                f"{_counted(tuning.race_samples, 'block')}. The numbers of those that left are "
                "from the race."
            )
        return
    tested = sum(bool(each.points) for each in report.load_test.configurations)
    yield (
        f"{tested} of {len(tuning.configurations)} configurations were tested under load; p50, p99 "
        "and items/s are of single calls."
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _rates(report: ReportData) -> dict[str, str]:
    """Return the highest rate of each configuration of a tuning for rate, by label."""
    test = report.load_test
    return {
        each.label: significant(each.rate) for each in (() if test is None else test.configurations)
    }


def _seconds(row: BenchmarkResult) -> float:
    if row.p50_ms is None:
        return float("inf")
    return row.p50_ms / (row.batch_size or 1)


# --- What was varied. ---


def _place(configuration: TuningConfiguration) -> Iterator[tuple[str, str]]:
    """Yield the axes of a configuration, and its places on them."""
    yield "engine", _engine(configuration)
    for name in ("batch", "instances", "threads", "precision"):
        if value := getattr(configuration, name):
            yield name, str(value)
    yield from ((name, str(size)) for name, size in configuration.shape.items())
    yield from (
        (name, option_text(value))
        for name, value in configuration.options.items()
        if f"{name}={option_text(value)}" in _bracket(configuration)
    )


def _engine(configuration: TuningConfiguration) -> str:
    """Return the label without what is varied."""
    return configuration.label.removesuffix(f"[{_bracket(configuration)}]")


def _bracket(configuration: TuningConfiguration) -> str:
    """Return the part of the label that says what is varied: ``batch=1,threads=2``."""
    _, opening, rest = configuration.label.rpartition("[")
    return rest.removesuffix("]") if opening else ""


def _axes(configurations: Sequence[TuningConfiguration]) -> dict[str, dict[str, str]]:
    """Return the place of each configuration, by its label, on each axis."""
    axes: dict[str, dict[str, str]] = defaultdict(dict)
    for each in configurations:
        for name, value in _place(each):
            axes[name][each.label] = value
    return dict(axes)


def _unmeasured_lines(
    configurations: Sequence[TuningConfiguration], axes: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    """Yield a line for each reason, with what those that have it have in common."""
    by_reason: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in configurations:
        by_reason[each.fate, each.reason].append(each.label)
    for (fate, reason), labels in by_reason.items():
        common = [
            value if name == "engine" else f"{name}={value}"
            for name, places in axes.items()
            for value in [places.get(labels[0])]
            if value is not None
            and len(set(places.values())) > 1
            and all(places.get(label) == value for label in labels)
        ]
        which = labels[0] if len(labels) == 1 else f"{len(labels)} configurations"
        if len(labels) > 1 and common:
            which += f" ({', '.join(common)})"
        yield f"{FATE_WORDS[fate].capitalize()}: {which}: {reason.rstrip('.')}."


def _with_numbers(reason: str, shown: Sequence[TuningConfiguration]) -> str:
    """Replace labels by the numbers of their rows: ``2x the time of #1``."""
    numbers = {each.label: f"#{at}" for at, each in enumerate(shown, start=1)}
    longest_first = sorted(numbers, key=len, reverse=True)
    any_label = "|".join(map(re.escape, longest_first))
    return re.sub(any_label, lambda found: numbers[found[0]], reason)


def _columns(
    shown: Sequence[TuningConfiguration],
    rows: dict[str, BenchmarkResult],
    axes: Mapping[str, Mapping[str, str]],
    tuning: Tuning,
    marks: Mapping[str, str],
    rates: Mapping[str, str],
) -> tuple[Column, ...]:
    results = [rows[each.label] for each in shown]
    unit = time_unit(results)
    asked = " ".join([*tuning.goals, *tuning.limits])

    def cells(text: Callable[[BenchmarkResult], str]) -> tuple[str, ...]:
        return printable([text(row) if row.num_samples else MISSING for row in results])

    def median(row: BenchmarkResult) -> str:
        return estimate_text(row.p50_ms, row.intervals.get("p50_ms"), unit.per_ms)

    def tail(row: BenchmarkResult) -> str:
        return significant(None if row.p99_ms is None else row.p99_ms * unit.per_ms)

    def outputs(row: BenchmarkResult) -> str:
        if row.parity is None or row.parity.status == "not_judged":
            return MISSING
        mark = "✓" if row.parity.status == "pass" else "✗"
        return f"{mark} {error_text(row.parity.max_abs_error)}"

    def result(each: TuningConfiguration) -> str:
        return FATE_WORDS[each.fate] + (marks.get(each.reason, "") if each.fate == "tie" else "")

    def why(each: TuningConfiguration) -> str:
        if each.fate == "tie" and each.reason in marks:
            return MISSING
        return _with_numbers(each.reason, shown) or MISSING

    columns = (
        Column(heading="#", cells=tuple(str(at + 1) for at in range(len(shown)))),
        *(
            Column(
                heading=name,
                cells=printable([places.get(each.label, MISSING) for each in shown]),
                align="left" if name == "engine" else "right",
            )
            for name, places in axes.items()
            if name == "engine" or len(set(places.values())) > 1
        ),
        Column(
            heading="result",
            cells=tuple(map(result, shown)),
            align="left",
            tones=tuple("good" if each.fate in ("winner", "front") else "" for each in shown),
        ),
        Column(heading="requests/s", cells=tuple(rates.get(each.label, MISSING) for each in shown)),
        Column(heading=f"p50 ({unit.name})", cells=cells(median), align="left"),
        Column(heading="p99", cells=cells(tail), optional="p99" not in asked),
        Column(heading="items/s", cells=cells(lambda row: rate_text(row.throughput_per_sec))),
        Column(
            heading="memory",
            cells=cells(lambda row: bytes_text(row.peak_memory_bytes)),
            optional="memory" not in asked,
        ),
        Column(heading="outputs", cells=cells(outputs), align="left", optional=True),
        Column(heading="why", cells=printable(map(why, shown)), align="left"),
    )
    return tuple(
        column
        for column in columns
        if column.heading in ("#", "engine") or any(cell != MISSING for cell in column.cells)
    )
