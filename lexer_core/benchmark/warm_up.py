"""How often is a session called before its samples count?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

from lexer_core.benchmark.rounds import LOOPED_SAMPLE, SHORTEST_SAMPLE
from lexer_core.statistics import SteadyState, plan_warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["WarmUp", "warm_up"]

_SLOW_CALL = 0.5
_PATIENCE = 4.0
"""Times the least window after which a latency that has not settled is reported so."""

_LARGEST_BLOCK = 50_000
"""Calls made at once at the most: their times add to the worker's memory."""


@frozen(kw_only=True)
class WarmUp:
    """How the warm-up went: calls made, and what the latencies said.

    ``typical_seconds`` is the median of the calls after the truncation point,
    ``latencies`` what was looked at, in seconds per call. Calls of a few
    microseconds are looked at several together: ``state`` and ``latencies``
    then count these, and not single calls.
    """

    calls: int
    state: SteadyState
    typical_seconds: float
    latencies: npt.NDArray[np.float64] = field(eq=False, repr=False)


def warm_up(
    take: Callable[[int], npt.NDArray[np.float64]],
    first_call_seconds: float,
    *,
    min_seconds: float = 1.0,
) -> WarmUp:
    """Call until the plan for the warm-up is fulfilled.

    Parameters
    ----------
    take
        Makes that many calls and returns their latencies in seconds.
    first_call_seconds
        What the first call took. It is no part of the window, for it may have
        compiled, but bounds a first block when calls are slow.
    min_seconds
        How long the window lasts at least.
    """
    calls = 0
    together = 1
    window = np.empty(0)  # seconds, each of so many calls together
    while True:
        plan = plan_warm_up(window, min_seconds=min_seconds)
        count = plan.calls
        if count == 0:
            assert plan.state is not None
            if plan.state.steady is not False or plan.state.seconds >= _PATIENCE * min_seconds:
                break
            # A machine may have been disturbed for a moment: look at twice as much.
            count = window.size
        if window.size == 0 and first_call_seconds > _SLOW_CALL:
            # Look at one call before committing to sixty of them.
            count = 1
        calls += count * together
        window = np.concatenate([window, _add_up(_take(take, count * together), together)])
        if together == 1:
            # A second has a million of the shortest calls: more than need be
            # kept, and judged one by one.
            together = _calls_together(float(np.median(window)), window.size)
            window = _add_up(window, together)
    assert plan.state is not None
    kept = window[min(plan.state.drop, window.size - 1) :]
    return WarmUp(
        calls=calls,
        state=plan.state,
        typical_seconds=float(np.median(kept)) / together,
        latencies=window / together,
    )


def _take(take: Callable[[int], npt.NDArray[np.float64]], count: int) -> npt.NDArray[np.float64]:
    """Take so many latencies, in blocks that are not too large."""
    blocks = [take(min(_LARGEST_BLOCK, count - done)) for done in range(0, count, _LARGEST_BLOCK)]
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _calls_together(typical: float, available: int) -> int:
    """How many calls to look at together: one, unless it is short and enough were made."""
    if typical >= SHORTEST_SAMPLE:
        return 1
    together = math.ceil(LOOPED_SAMPLE / typical)
    return together if together <= available else 1


def _add_up(latencies: npt.NDArray[np.float64], together: int) -> npt.NDArray[np.float64]:
    """Sum so many neighbours each; what is left over at the end is dropped."""
    if together == 1:
        return latencies
    groups = latencies.size // together
    sums: npt.NDArray[np.float64] = latencies[: groups * together].reshape(groups, -1).sum(axis=1)
    return sums
