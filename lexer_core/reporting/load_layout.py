"""Which texts of a load test are shown, and in which order?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.reporting.layout_records import Column, Layout, printable
from lexer_core.reporting.numbers import (
    MISSING,
    percentile_limit_text,
    rate_text,
    significant,
    whole_text,
)
from lexer_core.reporting.run_lines import fact_lines, model_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.results import ReportData
    from lexer_core.results.load_test import LoadConfiguration, LoadTest, RatePoint

__all__ = ["configurations_in_order", "lay_out_load", "slo_text"]


def slo_text(test: LoadTest) -> str:
    """Return the objective as in sentences: ``p99 ≤ 50 ms``."""
    return percentile_limit_text(test.percent, test.limit_ms)


def configurations_in_order(test: LoadTest) -> list[LoadConfiguration]:
    """Return the configurations in the order in which they are shown, the highest rate first."""
    return sorted(
        test.configurations, key=lambda each: (-(each.rate or 0.0), -(each.capacity_per_sec or 0.0))
    )


def lay_out_load(report: ReportData, test: LoadTest) -> Layout:
    """Convert a load test to the texts that are shown: a line for each rate."""
    shown = configurations_in_order(test)
    lines = [(each, point) for each in shown for point in each.points or (None,)]
    inputs = ", ".join(map(str, report.input_specs))
    what = (
        f"{slo_text(test)}; {_arrivals(test)}; latency from the arrival of a request to its "
        "answer, in ms"
    )
    if report.stopped_because == "interrupted":
        what += "; interrupted"
    first = " · ".join(part for part in (model_title(report), inputs) if part)
    return Layout(
        heading=printable([first, what]),
        columns=_columns(lines),
        problems=printable(_problems(report, shown)),
        sentences=printable(report.sentences),
        warnings=printable(_withheld(lines)),
        facts=printable([*_capacities(shown), *fact_lines(report)]),
        command=" ".join(printable([report.command])),
    )


def _arrivals(test: LoadTest) -> str:
    kinds = {"poisson": "requests at random times (Poisson)", "constant": "requests at equal gaps"}
    known = kinds.get(test.arrivals)
    if known is None:
        own = "" if test.arrivals_rate is None else f", {significant(test.arrivals_rate)}/s there"
        known = f"requests as in {test.arrivals}{own}"
    batch = max((each.batch_up_to for each in test.configurations), default=1)
    if batch > 1:
        known += f", in batches of up to {batch} after {test.batch_wait_ms:g} ms at most"
    return known


def _columns(
    lines: Sequence[tuple[LoadConfiguration, RatePoint | None]],
) -> tuple[Column, ...]:
    names: list[str] = []
    for each, _ in lines:
        names.append("" if each.label in names else each.label)

    def cells(name: str) -> tuple[str, ...]:
        return tuple(
            MISSING if point is None else significant(getattr(point, name)) for _, point in lines
        )

    def verdict(each: LoadConfiguration, point: RatePoint | None) -> str:
        if point is None:
            return "not tested"
        mark = " ◂" if point.rate == each.rate else ""
        return f"{point.verdict}{mark}"

    def within(point: RatePoint | None) -> str:
        return MISSING if point is None else f"{100.0 * point.share:.4g}%"

    def requests(point: RatePoint | None) -> str:
        return MISSING if point is None else whole_text(point.requests)

    tones = {"passes": "good", "fails": "bad"}
    return (
        Column(heading="engine", cells=printable(names), align="left"),
        Column(heading="offered/s", cells=cells("rate")),
        Column(
            heading="result",
            cells=tuple(verdict(each, point) for each, point in lines),
            align="left",
            tones=tuple(tones.get(point.verdict, "") if point else "" for _, point in lines),  # type: ignore[misc]
        ),
        Column(heading="within", cells=tuple(within(point) for _, point in lines)),
        Column(heading="p50", cells=cells("p50_ms")),
        Column(heading="p95", cells=cells("p95_ms")),
        Column(heading="p99", cells=cells("p99_ms")),
        Column(heading="wait p99", cells=cells("wait_p99_ms"), group="cost"),
        Column(heading="call", cells=cells("service_mean_ms"), group="cost"),
        Column(heading="good/s", cells=cells("goodput_per_sec"), group="cost"),
        Column(heading="answered/s", cells=cells("achieved_per_sec"), group="cost", optional=True),
        Column(heading="CPUs", cells=cells("cpus"), group="cost"),
        Column(
            heading="requests",
            cells=tuple(requests(point) for _, point in lines),
            group="cost",
            optional=True,
        ),
    )


def _problems(report: ReportData, shown: Sequence[LoadConfiguration]) -> list[str]:
    """Say why configurations have no rates, those first that could not be tested at all."""
    tested = {each.label for each in shown}
    failed = [
        f"{row.label} {row.status}: {row.error.reason}"
        for row in report.results
        if row.label not in tested and row.error is not None
    ]
    broken = {row.label for row in report.results if row.status == "failed"}
    # Of others with points, the sentences say it.
    untested = [
        f"{each.label}: {each.reason}"
        for each in shown
        if each.reason and (not each.points or each.label in broken)
    ]
    return [*failed, *untested]


def _withheld(lines: Sequence[tuple[LoadConfiguration, RatePoint | None]]) -> list[str]:
    return [
        f"{each.label} at {significant(point.rate)}/s: {point.reason}"
        for each, point in lines
        if point is not None and point.verdict == "withheld"
    ]


def _capacities(shown: Sequence[LoadConfiguration]) -> list[str]:
    """Return the closed loop of each configuration in a line."""
    lines = []
    for each in shown:
        levels = ", ".join(
            f"{rate_text(point.throughput_per_sec)}/s with {point.concurrency}"
            for point in each.closed
        )
        if levels:
            lines.append(f"Closed loop, {each.label}: {levels} at once")
    return lines
