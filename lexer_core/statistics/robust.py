"""How are outliers kept from dominating a judgement?

Samples are never dropped. For judgements about the whole (is it steady? is it
autocorrelated?), a few stalls are clipped at a fence first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["clip_tails"]

_DEVIATIONS = 5.0
# On the log scale. A coarse clock can make most values equal; a fence right at
# them would erase every difference.
_LEAST_DISTANCE = 0.01


def clip_tails(values: FloatArray) -> FloatArray:
    """Return logarithms clipped at five median absolute deviations from their median."""
    high = _upper_fence(values)
    low = -_upper_fence(-values)
    return np.clip(values, low, high)


def _upper_fence(values: FloatArray) -> float:
    """Return the median plus five median absolute deviations of logarithms."""
    centre = float(np.median(values))
    spread = float(np.median(np.abs(values - centre)))
    return centre + max(_DEVIATIONS * spread, _LEAST_DISTANCE)
