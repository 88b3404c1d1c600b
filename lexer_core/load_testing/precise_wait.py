"""How does a thread wait for a time, to a few microseconds?

Sleeping alone is late by the timer's slack, 50 µs on Linux, and by what it takes to wake
up; spinning alone keeps a CPU busy, and Python's global lock. So a thread sleeps until
shortly before the time, and spins for the rest.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SWITCH_INTERVAL", "PreciseWait", "remove_timer_slack"]

SWITCH_INTERVAL = 5e-5
"""Seconds after which a thread of Python that waits for the global lock asks for it. The
default of 5 ms would add that much to a call that ends while another thread spins."""

_SPIN_SECONDS = 1e-4
_PR_SET_TIMERSLACK = 29


class PreciseWait:
    """Waits until a clock has reached a time.

    Parameters
    ----------
    clock
        Returns the time in seconds.
    sleep
        Sleeps for a number of seconds, perhaps longer.
    cpu_clock
        Returns the CPU time of the calling thread in seconds.

    Attributes
    ----------
    spun
        CPU time in seconds that it spun so far; on a busy machine less than the time that passed.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], object] = time.sleep,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock, self._sleep, self._cpu_clock = clock, sleep, cpu_clock
        self.spun = 0.0

    def __call__(self, at: float) -> None:
        """Return when the clock has reached the time."""
        clock = self._clock
        left = at - clock()
        if left > _SPIN_SECONDS:
            self._sleep(left - _SPIN_SECONDS)
        if clock() >= at:
            return
        start = self._cpu_clock()
        while clock() < at:
            pass
        self.spun += self._cpu_clock() - start


def remove_timer_slack() -> None:
    """Let the calling thread wake up when its sleep ends, and not up to 50 µs later.

    Only on Linux; elsewhere it spins longer, or is later.
    """
    if sys.platform != "linux":
        return
    try:
        import ctypes  # missing from some builds of Python

        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
