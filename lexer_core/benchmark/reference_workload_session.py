"""How fast is this machine now, for a fixed piece of work?

The canary is that work. It belongs to no model, so it is the same before and
after a change of one, and what it gains or loses from one run to the next is
the machine's doing.

Half of its time multiplies matrices, half streams through memory that no core's
own cache holds. That is what models spend their time on, so what slows models
slows it: a lower clock and a core that is taken away the first half, a neighbour
in the shared cache and on the memory bus the second, and either more than the
other where a model leans to one of them. There is no plain Python in it, whose
speed changes with its version, and nothing that depends on values or on chance.

It has one thread, however many a case has. Threads that wait for each other
multiply what disturbs them: measured with five busy processes on two cores, the
medians of 16 launches spread by a factor of 3.3 (standard deviation of the
logarithm 1.19) where two threads multiplied, and by 2 % where one did. A canary
is there to tell how fast the machine is, and not how crowded.
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
"""Raised with any change of the work or of how it is timed: canaries of different
versions are not comparable."""

_SIDE = 192
_STREAMED = 1 << 19
"""Two arrays of so many float32: 4 MiB are read and written, which is more than
most cores have for themselves."""
_PASSES = 2

_SETTLE_CALLS = 3
_FEWEST_WARM_UP_CALLS = 20


@frozen(kw_only=True)
class ReferenceWorkloadFacts:
    """What the warm-up of a canary told.

    ``made_with`` names what does the work; ``call_seconds`` is a typical call.
    """

    made_with: str
    call_seconds: float


class ReferenceWorkloadSession:
    """The canary, in whichever process it lives."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self._left = rng.random((_SIDE, _SIDE), dtype=np.float32)
        self._right = rng.random((_SIDE, _SIDE), dtype=np.float32)
        self._product = np.empty((_SIDE, _SIDE), dtype=np.float32)
        self._source = rng.random(_STREAMED, dtype=np.float32)
        self._target = np.empty(_STREAMED, dtype=np.float32)

    def warm_up(self, seconds: float, own_process: bool) -> ReferenceWorkloadFacts:
        """Work for so long, and say how long a call takes; ``own_process`` as for blocks."""
        taken: list[float] = []
        deadline = time.perf_counter() + seconds
        with _one_thread(own_process):
            while len(taken) < _FEWEST_WARM_UP_CALLS or time.perf_counter() < deadline:
                taken += self._timed(1)
        return ReferenceWorkloadFacts(
            made_with=_made_with(), call_seconds=float(np.median(taken[len(taken) // 2 :]))
        )

    def block(self, count: int, own_process: bool) -> npt.NDArray[np.float64]:
        """Take ``count`` samples of a call each, in seconds.

        ``own_process`` says that the process is a worker's: it was told to have one
        thread, which may be moved to the CPU where the blocks of the cases begin.
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
    """Hold numpy to one thread for a while, where its threads are others' too."""
    if own_process:
        return nullcontext()
    import threadpoolctl  # looks through the libraries that are loaded: not at import

    limits: AbstractContextManager[object] = threadpoolctl.threadpool_limits(1, user_api="blas")
    return limits


def _made_with() -> str:
    """Name numpy and the library that multiplies its matrices, with their versions."""
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    named = " ".join(str(blas[key]) for key in ("name", "version") if blas.get(key))
    return ", ".join(filter(None, [f"numpy {np.__version__}", named]))
