"""Where is the start of a series truncated?

Where the mean of the rest is most precise (MSER, White 1997).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["batch_means", "mser"]


def batch_means(values: FloatArray, batch: int) -> FloatArray:
    """Return the mean of each full batch."""
    batches = values.size // batch
    means: FloatArray = values[: batches * batch].reshape(batches, batch).mean(axis=1)
    return means


def mser(batches: FloatArray, limit: int) -> int:
    """Return how many batches to truncate, at most ``limit``, to minimise Var(rest) / len(rest)."""
    centred = batches - batches.mean()
    remaining = np.arange(batches.size, 0, -1)
    sums = np.cumsum(centred[::-1])[::-1]
    squares = np.cumsum((centred * centred)[::-1])[::-1]
    criterion = (squares / remaining - (sums / remaining) ** 2) / remaining
    return int(np.argmin(criterion[: limit + 1]))
