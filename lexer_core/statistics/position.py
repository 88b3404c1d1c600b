"""Are the first calls of a block slower than the later ones?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lexer_core.statistics.checks import check_positive

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["position_effect"]

_FEWEST_BLOCKS = 10
_PAIR = 2


def position_effect(samples: npt.ArrayLike, lengths: npt.ArrayLike) -> float | None:
    """Return how much slower the first sample of a block is than the others.

    Parameters
    ----------
    samples
        Latencies in the order of taking, shape ``(n,)``.
    lengths
        Samples of each block, shape ``(blocks,)``; their sum is n.

    Returns
    -------
    float or None
        0.02 if the first is 2 % slower in the typical block; ``None`` with fewer
        than 10 blocks of at least two samples.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero.
    """
    logs = np.log(check_positive(samples, "samples"))
    sizes = np.asarray(lengths, dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    effects = [
        float(logs[start] - np.median(logs[start + 1 : start + size]))
        for start, size in zip(starts.tolist(), sizes.tolist(), strict=True)
        if size >= _PAIR
    ]
    return math.expm1(float(np.median(effects))) if len(effects) >= _FEWEST_BLOCKS else None
