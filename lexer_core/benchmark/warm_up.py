"""How often is a session called before the rounds begin?

A few calls, to fill caches and to see how long a call takes. Whether the latency
has settled is judged later on the rounds themselves, relative to the other cases
of the same rounds: on absolute times a drifting machine looks like a model that
does not settle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["WarmUp", "warm_up"]

_FEWEST_CALLS = 5
_FEWEST_SECONDS = 0.1
_SLOW_CALL = 0.2
_SETTLED_WITHIN = 1.25
_LARGEST_BATCH = 50_000
"""Calls made at once at most: their times add to the worker's memory."""


@frozen(kw_only=True)
class WarmUp:
    """How the warm-up went.

    Parameters
    ----------
    calls
        Calls made, the first call not among them.
    typical_seconds
        The median of the second half of them.
    latencies
        Their latencies in seconds, float64 of shape ``(calls,)``.
    """

    calls: int
    typical_seconds: float
    latencies: npt.NDArray[np.float64] = field(eq=False, repr=False)


def warm_up(
    take: Callable[[int], npt.NDArray[np.float64]],
    first_call_seconds: float,
    *,
    max_seconds: float = 1.0,
) -> WarmUp:
    """Call until the latency stops falling, or until the time is up.

    At least one call is made, and at least 5 where they fit into ``max_seconds``.

    Parameters
    ----------
    take
        Makes that many calls and returns their latencies in seconds.
    first_call_seconds
        What the first call took. It may have compiled, so it does not count, but
        after a slow one a single call is tried first.
    max_seconds
        Begin no further batch of calls after this many seconds.
    """
    window = np.empty(0)
    batch = 1 if first_call_seconds > _SLOW_CALL else _FEWEST_CALLS
    while True:
        window = np.concatenate([window, take(batch)])
        spent = float(window.sum())
        if spent >= max_seconds or (
            window.size >= _FEWEST_CALLS and spent >= _FEWEST_SECONDS and _has_settled(window)
        ):
            break
        fitting = int((max_seconds - spent) / max(float(window[-1]), 1e-9))
        batch = max(1, min(max(_FEWEST_CALLS, window.size), fitting, _LARGEST_BATCH))
    latencies = window[window.size // 2 :]
    return WarmUp(calls=window.size, typical_seconds=float(np.median(latencies)), latencies=window)


def _has_settled(window: npt.NDArray[np.float64]) -> bool:
    """Whether the last two thirds of the calls took about the same time."""
    _, middle, last = (float(np.median(part)) for part in np.array_split(window, 3))
    return max(middle, last) <= _SETTLED_WITHIN * min(middle, last)
