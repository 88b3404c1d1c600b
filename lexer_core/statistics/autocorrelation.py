"""How autocorrelated are the rounds, and which batches of them are independent?

Autocorrelated rounds have a smaller effective sample size. If the lag-1
autocorrelation exceeds :data:`AUTOCORRELATION_LIMIT`, neighbouring rounds are
merged into batches, which are used instead of the rounds (the method of batch
means; Law, *Simulation Modeling and Analysis*, ch. 9). Any correlation that
remains below the limit widens the interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

__all__ = [
    "AUTOCORRELATION_LIMIT",
    "MIN_BATCHES",
    "batch_starts",
    "error_inflation",
    "lag1_autocorrelation",
]

AUTOCORRELATION_LIMIT = 0.2
"""Neighbouring rounds are merged if their autocorrelation exceeds it."""

MIN_BATCHES = 5
"""Merging stops here: a t interval on fewer batches is useless."""

_MOST_REMAINING = 0.5


def lag1_autocorrelation(values: FloatArray) -> float:
    """Return the correlation of each value with the next, corrected for the bias of short series.

    0.0 if there are fewer than 3 values or all are equal.

    Parameters
    ----------
    values
        Shape ``(n,)``, in the order in which they were taken.

    Returns
    -------
    float
        Between -1 and 1, dimensionless.

    Notes
    -----
    The plain estimate is too low by (1 + 4 rho) / n on average (Marriott and
    Pope 1954): with 10 rounds it would miss most autocorrelations.
    """
    if values.size < 3:  # noqa: PLR2004 - two neighbouring pairs at least
        return 0.0
    deviations = values - values.mean()
    total = float(deviations @ deviations)
    if total <= 0.0:
        return 0.0
    plain = float(deviations[1:] @ deviations[:-1]) / total
    return max(-1.0, min(1.0, plain + (1.0 + 4.0 * plain) / values.size))


def batch_starts(values: FloatArray) -> IntArray:
    """Return where each batch of rounds starts, so that batches are nearly independent.

    Parameters
    ----------
    values
        One number per round, in the order in which they were taken, shape ``(rounds,)``.

    Returns
    -------
    ndarray
        Indices into ``values``, the first of each batch. ``arange(rounds)``
        if the rounds themselves are nearly independent.
    """
    count = values.size
    starts = np.arange(count)
    current = values
    while len(starts) >= 2 * MIN_BATCHES and lag1_autocorrelation(current) > AUTOCORRELATION_LIMIT:
        batches = len(starts) // 2
        # Evenly: batch sizes differ by one at most, and no round is lost.
        starts = (np.arange(batches) * count) // batches
        current = np.add.reduceat(values, starts) / np.diff(starts, append=count)
    return starts


def error_inflation(units: FloatArray) -> float:
    """Return the factor by which correlation between units increases the standard error of a mean.

    That of a first-order autoregression, for a correlation from 0 to 0.5;
    1.0 with fewer than 10 units, whose correlation cannot be estimated.

    Parameters
    ----------
    units
        Means of the batches (or of the rounds), shape ``(units,)``.
    """
    if units.size < 2 * MIN_BATCHES:
        return 1.0
    remaining = min(max(lag1_autocorrelation(units), 0.0), _MOST_REMAINING)
    return math.sqrt((1.0 + remaining) / (1.0 - remaining))
