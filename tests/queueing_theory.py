"""What does theory say about requests at random times and calls that take equally long (M/D/c)?"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

_STATES = 400


@cache
def _numbers_in_system(rate: float, service: float, servers: int) -> tuple[float, ...]:
    """Return the stationary probabilities of 0, 1, … requests in the system (Crommelin 1932).

    After one service time, those that were being served have left, and the new ones
    have arrived: X' = max(X - servers, 0) + A.
    """
    mean = rate * service
    numbers = np.arange(_STATES)
    factorials = np.array([math.lgamma(k + 1) for k in numbers])
    arrivals = np.exp(numbers * math.log(mean) - mean - factorials)
    found = np.zeros(_STATES)
    found[0] = 1.0
    for _ in range(5000):
        first = found[: servers + 1].sum()
        rest = np.concatenate([[first], found[servers + 1 :], np.zeros(servers)])
        after = np.convolve(rest, arrivals)[:_STATES]
        if np.abs(after - found).max() < 1e-13:
            break
        found = after
    return tuple(after)


def mean_wait(rate: float, service: float, servers: int) -> float:
    """Return the mean wait, by Little's law."""
    found = np.array(_numbers_in_system(rate, service, servers))
    return float(np.maximum(np.arange(_STATES) - servers, 0) @ found) / rate


def wait_at_most(wait: float, rate: float, service: float, servers: int) -> float:
    """Return the probability that a request waits no longer (Franx 2001)."""
    at_most = np.cumsum(_numbers_in_system(rate, service, servers))
    steps = math.floor(wait / service) + 1
    left = rate * (steps * service - wait)
    total = 0.0
    for j in range(steps * servers):
        queued = steps * servers - 1 - j
        total += at_most[servers + queued] * math.exp(-left) * left**j / math.factorial(j)
    return total


def wait_quantile(rate: float, service: float, servers: int, share: float) -> float:
    """Return the wait that a share of the requests does not exceed."""
    low, high = 0.0, 30.0 * service
    for _ in range(50):
        middle = (low + high) / 2
        within = wait_at_most(middle, rate, service, servers) >= share
        low, high = (low, middle) if within else (middle, high)
    return high


def highest_rate(service: float, servers: int, share: float, limit: float) -> float:
    """Return the highest rate at which a share of the requests is answered within a limit."""
    low, high = 0.0, servers / service
    for _ in range(40):
        middle = (low + high) / 2
        within = wait_at_most(limit - service, middle, service, servers) >= share
        low, high = (middle, high) if within else (low, middle)
    return low
