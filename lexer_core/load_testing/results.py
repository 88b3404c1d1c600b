"""What does a report say about each configuration of a load test?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from lexer_core.load_testing.points import CONFIDENCE
from lexer_core.results.load_test import ClosedPoint, LoadConfiguration, LoadTest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.load_testing.blocks import ClosedBlock, GilFacts
    from lexer_core.load_testing.measure import LoadLog, LoadPlan
    from lexer_core.load_testing.setups import Setup
    from lexer_core.results import BenchmarkResult

__all__ = ["load_test_of"]

_RELEASED, _HELD = 0.5, 0.05
"""How often another thread ran during calls, compared with how often it can."""


def load_test_of(
    rows: Iterable[BenchmarkResult],
    logs: Mapping[str, LoadLog],
    setups: Mapping[str, Setup],
    plan: LoadPlan,
) -> LoadTest:
    """Return the result of a load test.

    Parameters
    ----------
    rows
        The rows of the report; those without a setup had none that is possible.
    logs, setups
        Of each configuration by label.
    plan
        What was measured.
    """
    slo, arrivals = plan.slo, plan.arrivals
    return LoadTest(
        slo=str(slo),
        percent=slo.percent,
        limit_ms=slo.seconds * 1e3,
        arrivals=arrivals.name,
        arrivals_rate=arrivals.rate,
        confidence=CONFIDENCE,
        batch_wait_ms=plan.batch_wait * 1e3,
        configurations=tuple(
            _configuration(row, logs[row.label], setups[row.label], plan)
            for row in rows
            if row.label in setups
        ),
    )


def _configuration(
    row: BenchmarkResult, log: LoadLog, setup: Setup, plan: LoadPlan
) -> LoadConfiguration:
    points = [log.points[rate] for rate in sorted(log.points)]
    passing = [point.rate for point in points if point.verdict == "passes"]
    failing = [point.rate for point in points if point.verdict == "fails"]
    # What crashed or hung under load serves no rate.
    rate = log.bracket.low if row.error is None else None
    reason = row.error.reason if row.error is not None else log.skipped
    if not reason and not points:
        reason = "the test ended before it was tested under load"
    elif not reason and rate is None:
        withheld = next((each.reason for each in points if each.verdict == "withheld"), "")
        reason = withheld or f"no rate that was tried keeps to {plan.slo.text}"
    return LoadConfiguration(
        label=row.label,
        engine=row.engine_name,
        instances=setup.instances,
        threads=setup.threads,
        shared_session=setup.shared_session,
        batch_up_to=setup.batch,
        capacity_per_sec=log.capacity(setup.batch),
        closed=tuple(_closed(level, blocks, setup.batch) for level, blocks in log.closed.items()),
        gil=_gil(log.gil),
        predicted_rate=log.predicted,
        points=tuple(points),
        rate=rate,
        highest_passing=max(passing, default=None),
        lowest_failing=min(failing, default=None),
        reason=reason,
    )


def _closed(concurrency: int, blocks: Sequence[ClosedBlock], batch: int) -> ClosedPoint:
    latencies = np.concatenate([block.latencies for block in blocks]) * 1e3
    seconds = sum(block.elapsed for block in blocks)
    return ClosedPoint(
        concurrency=concurrency,
        throughput_per_sec=len(latencies) * batch / seconds,
        p50_ms=float(np.percentile(latencies, 50.0)),
        p99_ms=float(np.percentile(latencies, 99.0)),
    )


def _gil(facts: GilFacts | None) -> Literal["released", "partly", "held", ""]:
    if facts is None or not facts.alone:
        return ""
    share = facts.during_calls / facts.alone
    if share >= _RELEASED:
        return "released"
    return "held" if share < _HELD else "partly"
