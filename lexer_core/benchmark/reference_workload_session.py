"""How fast is this machine now, for a fixed piece of work?

This reference workload does not depend on any model, so if its speed changes from
one run to the next, the machine changed.

It spends half of its time on multiplying matrices and half on streaming through more
memory than a core's own cache holds. Models spend their time on the same, so what
slows them also slows the workload: a lower clock or a lost core mostly the first
half, other users of the shared cache and the memory bus the second. It contains no
plain Python, whose speed changes with the version, and nothing that depends on values
or random numbers.

It has one thread, however many a case has. Threads that wait for each other amplify
disturbances: with five busy processes on two cores, the medians of 16 launches varied
by a factor of 3.3 (standard deviation of the logarithm 1.19) with two threads, and by
2 % with one. The workload must show how fast the machine is, not how busy.
"""

from __future__ import annotations

import gc
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.machine.affinity import move_to_common_cpu

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import numpy.typing as npt

__all__ = ["REFERENCE_WORKLOAD_VERSION", "ReferenceWorkloadFacts", "ReferenceWorkloadSession"]

REFERENCE_WORKLOAD_VERSION = 1
"""Increased with every change of the work or its timing: different versions are not
comparable."""

_SIDE = 192
_STREAMED = 1 << 19
"""Elements of each of two float32 arrays: 4 MiB are read and written, more than the
private cache of most cores."""
_PASSES = 2

_SETTLE_CALLS = 3
_FEWEST_WARM_UP_CALLS = 20


@frozen(kw_only=True)
class ReferenceWorkloadFacts:
    """Results of the warm-up.

    ``made_with`` names the library that does the work; ``call_seconds`` is the time
    of a typical call.
    """

    made_with: str
    call_seconds: float


class ReferenceWorkloadSession:
    """The reference workload, in the process that runs it."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left = rng.random((_SIDE, _SIDE), dtype=np.float32)
        self._right = rng.random((_SIDE, _SIDE), dtype=np.float32)
        self._product = np.empty((_SIDE, _SIDE), dtype=np.float32)
        self._source = rng.random(_STREAMED, dtype=np.float32)
        self._target = np.empty(_STREAMED, dtype=np.float32)

    def warm_up(self, seconds: float, own_process: bool) -> ReferenceWorkloadFacts:
        """Work for this long, and time the calls; ``own_process`` as for :meth:`block`."""
        taken: list[float] = []
        deadline = time.perf_counter() + seconds
        with _one_thread(own_process):
            while len(taken) < _FEWEST_WARM_UP_CALLS or time.perf_counter() < deadline:
                taken += self._timed(1)
        return ReferenceWorkloadFacts(
            made_with=_made_with(), call_seconds=float(np.median(taken[len(taken) // 2 :]))
        )

    def block(self, count: int, own_process: bool) -> npt.NDArray[np.float64]:
        """Take ``count`` samples of one call each, in seconds.

        ``own_process`` says that this is a worker process. It has one thread, which
        may be moved to the CPU on which the blocks of the cases start.
        """
        if own_process:
            move_to_common_cpu()
        collecting = gc.isenabled()
        gc.disable()
        try:
            with _one_thread(own_process):
                for _ in range(_SETTLE_CALLS):
                    self._work()
                return np.asarray(self._timed(count))
        finally:
            if collecting:
                gc.enable()

    def _timed(self, count: int) -> list[float]:
        taken = []
        for _ in range(count):
            start = time.perf_counter_ns()
            self._work()
            taken.append((time.perf_counter_ns() - start) / 1e9)
        return taken

    def _work(self) -> None:
        np.matmul(self._left, self._right, out=self._product)
        for _ in range(_PASSES):
            np.multiply(self._source, np.float32(0.5), out=self._target)


def _one_thread(own_process: bool) -> AbstractContextManager[object]:
    """Limit numpy to one thread if other code in this process uses its threads too."""
    if own_process:
        return nullcontext()
    import threadpoolctl  # slow: scans the loaded libraries

    limits: AbstractContextManager[object] = threadpoolctl.threadpool_limits(1, user_api="blas")
    return limits


def _made_with() -> str:
    """Return the names and versions of numpy and its BLAS."""
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    named = " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key))
    return ", ".join(filter(None, [f"numpy {np.__version__}", named]))
