"""How long would requests wait, if calls took as long as those that were measured?

The recursion of Kiefer and Wolfowitz (1955) for a first-come, first-served queue with
several servers: each request is begun when it has arrived and a server is free. It
predicts where to look for the highest rate; what is reported is measured.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.load_testing.arrivals import Arrivals
    from lexer_core.load_testing.slo import Slo

    FloatArray = npt.NDArray[np.float64]

__all__ = ["fifo_starts", "predicted_rate"]

_REQUESTS = 3000
_STEPS = 12


def fifo_starts(due: FloatArray, services: FloatArray, servers: int) -> FloatArray:
    """Return when each request is begun.

    Parameters
    ----------
    due
        When each arrives, in seconds, ascending.
    services
        How long serving each one takes.
    servers
        Threads that serve.
    """
    free = [0.0] * servers
    starts = np.empty(len(due))
    for index, (at, service) in enumerate(zip(due.tolist(), services.tolist(), strict=True)):
        start = max(at, free[0])
        heapq.heapreplace(free, start + service)
        starts[index] = start
    return starts


def predicted_rate(
    latencies: FloatArray, servers: int, capacity: float, slo: Slo, arrivals: Arrivals
) -> float:
    """Return the highest rate at which the queue of a simulation keeps to the objective.

    Parameters
    ----------
    latencies
        Of calls that were made with all servers busy.
    servers
        Threads that serve.
    capacity
        Calls per second with all of them busy; the rate is below it.
    slo
        The objective.
    arrivals
        The arrivals.

    Returns
    -------
    float
        Requests per second; 0.0 if no rate keeps to it.
    """
    drawn = np.random.default_rng(arrivals.seed).choice(latencies, size=4 * _REQUESTS)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2.0
        rate = middle * capacity
        due = arrivals.times(rate, _REQUESTS / rate, 0)
        services = drawn[: due.size]
        latency = fifo_starts(due, services, servers) + services - due
        if float(np.mean(latency <= slo.seconds)) >= slo.share:
            low = middle
        else:
            high = middle
    return low * capacity
