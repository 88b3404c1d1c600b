"""What did a load test find about each engine?"""

from __future__ import annotations

# validated_data resolves the annotations.
from typing import TYPE_CHECKING, Literal

from attrs import field, frozen

from lexer_core.results.attrs_fields import count, number

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ClosedPoint", "LoadConfiguration", "LoadTest", "RatePoint", "RateVerdict"]

RateVerdict = Literal["passes", "fails", "undecided", "withheld"]
"""Whether requests at a rate keep to the objective.

``passes`` and ``fails`` are certain: the interval of the share of requests within the
limit is above, or below, what the objective demands. ``withheld``: the requests were
dispatched too late to judge the engine by them.
"""


# Functions, because mypy loses the element type of a bare ``tuple`` converter.
def _closed(values: Iterable[ClosedPoint]) -> tuple[ClosedPoint, ...]:
    return tuple(values)


def _points(values: Iterable[RatePoint]) -> tuple[RatePoint, ...]:
    return tuple(values)


def _configurations(values: Iterable[LoadConfiguration]) -> tuple[LoadConfiguration, ...]:
    return tuple(values)


@frozen(kw_only=True)
class ClosedPoint:
    """Calls of some threads, each of which begins the next when the last has ended.

    Parameters
    ----------
    concurrency
        Number of threads.
    throughput_per_sec
        Calls per second of all threads together.
    p50_ms, p99_ms
        Latency of a call, without any wait in a queue.
    """

    concurrency: int
    throughput_per_sec: float
    p50_ms: float
    p99_ms: float


@frozen(kw_only=True)
class RatePoint:
    """Requests that arrived at a rate. Times are in milliseconds.

    Parameters
    ----------
    rate
        Requests per second that were offered.
    verdict, reason
        Whether the rate keeps to the objective, and why not or why that is unknown.
    requests
        Requests that are judged.
    share, share_low, share_high
        The share of them that was answered within the limit, and its interval.
    achieved_per_sec
        Requests answered per second.
    goodput_per_sec
        Requests answered within the limit, per second.
    p50_ms, p95_ms, p99_ms
        Latency: from the arrival to the answer.
    wait_mean_ms, wait_p99_ms
        Wait in the queue: from the arrival to the start of the call.
    service_mean_ms, service_p99_ms
        The call itself.
    cpus
        CPUs that the process used, on average.
    lateness_p99_ms
        By how much a thread that waited for a request was late; ``None`` if none waited.
    blocks
        Blocks, each in a round of its own.
    late_blocks
        Blocks that are left out because their requests were dispatched too late; if they
        are most blocks, the point is withheld.
    ended_early
        Whether a block was ended because the backlog grew.
    """

    rate: float
    verdict: RateVerdict
    reason: str = ""
    requests: int
    share: float
    share_low: float
    share_high: float
    achieved_per_sec: float
    goodput_per_sec: float
    p50_ms: float | None = number()
    p95_ms: float | None = number()
    p99_ms: float | None = number()
    wait_mean_ms: float | None = number()
    wait_p99_ms: float | None = number()
    service_mean_ms: float | None = number()
    service_p99_ms: float | None = number()
    cpus: float
    lateness_p99_ms: float | None = number()
    blocks: int
    late_blocks: int = count(0)
    ended_early: bool = False


@frozen(kw_only=True)
class LoadConfiguration:
    """What one configuration of an engine can serve.

    Parameters
    ----------
    label
        The label of its row.
    engine
        Name of the engine on the command line.
    instances
        Threads that serve requests, each with one call at a time.
    threads
        Threads of each call.
    shared_session
        Whether all instances use one session.
    batch_up_to
        Requests in the largest batch; 1 without batches.
    capacity_per_sec
        The most requests per second in the closed loop, which no rate can exceed for long.
    closed
        The closed loop by concurrency.
    gil
        Whether its calls release Python's global lock: ``"released"``, ``"partly"``,
        ``"held"``, or empty if unknown.
    predicted_rate
        The highest rate that a simulated queue of the closed loop's calls kept to.
    points
        The rates that were tried, ascending.
    rate
        The highest rate that kept to the objective as far as was measured, with all lower
        ones; ``None`` if no rate did, or if the configuration failed under load.
    highest_passing
        The highest rate that passes with certainty.
    lowest_failing
        The lowest rate that fails with certainty.
    reason
        Why there are no points or no rate, or how the configuration failed.
    """

    label: str
    engine: str
    instances: int
    threads: int
    shared_session: bool = False
    batch_up_to: int = count(1)
    capacity_per_sec: float | None = number()
    closed: tuple[ClosedPoint, ...] = field(default=(), converter=_closed)
    gil: Literal["released", "partly", "held", ""] = ""
    predicted_rate: float | None = number()
    points: tuple[RatePoint, ...] = field(default=(), converter=_points)
    rate: float | None = number()
    highest_passing: float | None = number()
    lowest_failing: float | None = number()
    reason: str = ""


@frozen(kw_only=True)
class LoadTest:
    """How many requests a second engines serve within a limit on their latency.

    Parameters
    ----------
    slo
        The objective as text: ``"p99<=50ms"``.
    percent, limit_ms
        ``percent`` of the requests must be answered in ``limit_ms``.
    arrivals
        ``"poisson"``, ``"constant"``, or the name of a file.
    arrivals_rate
        Requests per second in that file.
    confidence
        Of the interval of each share.
    batch_wait_ms
        The longest that the first request of a batch waits for others.
    configurations
        In the order of the rows.
    """

    slo: str
    percent: float
    limit_ms: float
    arrivals: str = "poisson"
    arrivals_rate: float | None = number()
    confidence: float = 0.95
    batch_wait_ms: float = 0.0
    configurations: tuple[LoadConfiguration, ...] = field(default=(), converter=_configurations)
