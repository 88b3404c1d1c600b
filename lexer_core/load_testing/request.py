"""What did the user ask a load test for?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lexer_core.call_arguments import number_of, numbers_of
from lexer_core.errors import UsageError
from lexer_core.load_testing.arrivals import read_arrivals
from lexer_core.load_testing.measure import LoadPlan
from lexer_core.load_testing.slo import parse_slo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.settings.table import Settings

__all__ = ["read_plan"]

_MOST_PER_SECOND = 1e6


def read_plan(
    slo: str,
    settings: Settings,
    *,
    rates: float | Sequence[float] | None = (),
    arrivals: str = "poisson",
    batch_wait_ms: float = 0.0,
) -> LoadPlan:
    """Check what a user wrote.

    Parameters
    ----------
    slo
        The objective: ``"p99<=50ms"``.
    settings
        For the time and the seed.
    rates
        Requests per second to try; empty to find the highest.
    arrivals
        ``"poisson"``, ``"constant"`` or a file.
    batch_wait_ms
        How long the first request of a batch waits.

    Raises
    ------
    UsageError
        One of them is not possible.
    """
    wanted = numbers_of("rates", float, rates)
    for rate in wanted:
        if not 0.0 < rate <= _MOST_PER_SECOND:
            raise UsageError(
                f"{rate:g} is not a number of requests per second.",
                hint=f"Rates are above 0 and at most {_MOST_PER_SECOND:.0f}.",
            )
        if rate * settings.max_seconds < 1.0:
            raise UsageError(
                f"at {rate:g} requests per second, less than one request arrives in "
                f"{settings.max_seconds:g} s, the time of the test.",
                hint="Try higher rates, or raise --max-seconds.",
            )
    objective = parse_slo(slo)
    wait_ms = number_of("batch_wait_ms", float, batch_wait_ms)
    wait = wait_ms / 1e3
    if not (math.isfinite(wait) and 0.0 <= wait < objective.seconds):
        raise UsageError(
            f"the first request of a batch cannot wait {wait_ms:g} ms for others.",
            hint=f"Write a time from 0 to less than the limit, {objective.seconds * 1e3:g} ms.",
        )
    return LoadPlan(
        slo=objective,
        arrivals=read_arrivals(arrivals, settings.seed or 0),
        max_seconds=settings.max_seconds,
        rates=tuple(sorted(set(wanted))),
        batch_wait=wait,
    )
