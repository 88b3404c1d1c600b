"""How does the core time one block of calls?

There is one loop for each combination of options, so that no iteration contains a
branch: between two reads of the clock are only the call and its synchronization.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import Clock

__all__ = ["sample_nanoseconds", "seconds_per_call"]


def sample_nanoseconds(
    run: Callable[[], Any],
    *,
    count: int,
    loops: int,
    clock: Clock,
    reset: Callable[[], Any] | None = None,
    synchronize: Callable[[], Any] | None = None,
) -> list[int]:
    """Time ``count`` samples of ``loops`` calls each.

    Parameters
    ----------
    run
        Executes one call; called exactly ``count * loops`` times.
    count, loops
        Samples, and calls per sample; both at least 1. With ``reset``, ``loops``
        must be 1.
    clock
        Read once before and once after each sample.
    reset
        Called before each call, outside the timed region.
    synchronize
        Waits for the work of the calls. Called before each read of the clock.

    Returns
    -------
    list of int
        Nanoseconds per *sample*, in order.
    """
    # Assigning to a list item is cheaper than to an element of a numpy array.
    samples = [0] * count
    if reset is not None:
        _with_reset(run, samples, clock, reset, synchronize)
    elif synchronize is not None:
        _synchronized(run, samples, loops, clock, synchronize)
    elif loops > 1:
        for i in range(count):
            start = clock()
            for _ in repeat(None, loops):
                run()
            end = clock()
            samples[i] = end - start
    else:
        for i in range(count):
            start = clock()
            run()
            end = clock()
            samples[i] = end - start
    return samples


def seconds_per_call(samples: list[int], loops: int) -> npt.NDArray[np.float64]:
    """Convert nanoseconds per sample to seconds per call, float64 of the same length."""
    import numpy as np  # on use: loading an engine must not import numpy

    return np.array(samples, dtype=np.float64) / (1e9 * loops)


def _with_reset(
    run: Callable[[], Any],
    samples: list[int],
    clock: Clock,
    reset: Callable[[], Any],
    synchronize: Callable[[], Any] | None,
) -> None:
    if synchronize is None:
        for i in range(len(samples)):
            reset()
            start = clock()
            run()
            end = clock()
            samples[i] = end - start
        return
    for i in range(len(samples)):
        reset()
        synchronize()
        start = clock()
        run()
        synchronize()
        end = clock()
        samples[i] = end - start


def _synchronized(
    run: Callable[[], Any],
    samples: list[int],
    loops: int,
    clock: Clock,
    synchronize: Callable[[], Any],
) -> None:
    if loops > 1:
        for i in range(len(samples)):
            synchronize()
            start = clock()
            for _ in repeat(None, loops):
                run()
            synchronize()
            end = clock()
            samples[i] = end - start
        return
    for i in range(len(samples)):
        synchronize()
        start = clock()
        run()
        synchronize()
        end = clock()
        samples[i] = end - start
