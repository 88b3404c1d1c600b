"""What does a worker return for a block of requests?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["ClosedBlock", "GilFacts", "OpenBlock"]


@frozen(kw_only=True, eq=False)
class ClosedBlock:
    """Calls of some threads, each of which begins the next one when the last has ended.

    Parameters
    ----------
    latencies
        Seconds of each call, in any order.
    elapsed
        Seconds from the first start to the last end.
    """

    latencies: npt.NDArray[np.float64]
    elapsed: float

    @property
    def throughput(self) -> float:
        """Calls per second."""
        return len(self.latencies) / self.elapsed


@frozen(kw_only=True, eq=False)
class OpenBlock:
    """Requests that arrived at given times.

    Parameters
    ----------
    starts, ends
        When each was begun and answered, in seconds from the start of the block, in the
        order of arrival; NaN for those that were not served because the block was given
        up. For a batch, all of its requests have the same times.
    lateness
        Seconds by which the thread that waited for a request was late; NaN where no thread
        was free to wait.
    cpu_seconds
        CPU time of the process during the block, without that of waiting for arrivals.
    elapsed
        Seconds from the start of the block to the last end.
    gave_up
        Whether the block was ended because the backlog grew.
    """

    starts: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    lateness: npt.NDArray[np.float64]
    cpu_seconds: float
    elapsed: float
    gave_up: bool


@frozen(kw_only=True)
class GilFacts:
    """How often another thread of Python ran during calls, and how often without them.

    Both in turns per second. With Python's global interpreter lock (GIL), it can run
    during a call only if the engine releases the lock.
    """

    during_calls: float
    alone: float
