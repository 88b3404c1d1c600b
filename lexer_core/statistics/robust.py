"""How are outliers kept from dominating a judgement?

Samples are never dropped. For judgements about the whole (is it steady? is it
autocorrelated?), a few stalls are clipped at a fence first.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["clip_tails", "local_spread", "upper_fence"]

_DEVIATIONS = 5.0
# On the log scale. A coarse clock can make most values equal; a fence right at
# them would erase every difference.
_LEAST_DISTANCE = 0.01
# Mean of |z| for a standard normal z, given that |z| is below its upper quartile.
_MEAN_OF_LOWER_THREE_QUARTERS = 0.5147


def upper_fence(values: FloatArray) -> float:
    """Return the median plus five median absolute deviations of logarithms."""
    centre = float(np.median(values))
    spread = float(np.median(np.abs(values - centre)))
    return centre + max(_DEVIATIONS * spread, _LEAST_DISTANCE)


def clip_tails(values: FloatArray) -> FloatArray:
    """Return logarithms clipped at five median absolute deviations from their median."""
    high = upper_fence(values)
    low = -upper_fence(-values)
    return np.clip(values, low, high)


def local_spread(values: FloatArray, block: int) -> float:
    """Return the standard deviation of block means about their neighbours.

    It uses the smaller three quarters of the absolute differences between
    neighbouring blocks, for every possible start of a block, so a step, a drift
    or a few outliers do not add to it.

    Parameters
    ----------
    values
        In the order in which they were taken, shape ``(n,)``; at least two blocks.
    block
        Values per block.
    """
    sums = np.concatenate(([0.0], np.cumsum(values)))
    means = (sums[block:] - sums[:-block]) / block
    differences = np.sort(np.abs(means[block:] - means[:-block]))
    kept = differences[: differences.size - max(1, differences.size // 4)]
    if kept.size == 0:
        return 0.0
    return float(kept.mean()) / (_MEAN_OF_LOWER_THREE_QUARTERS * math.sqrt(2.0))
