"""How are many samples reduced to a few marks?

Up to a limit, every sample is drawn. Above it, groups of neighbours are drawn by
their quantiles, minimum and maximum, so no sample is outside what is drawn, and
the page says how large the groups are.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

__all__ = ["MOST_DOTS", "Stretches", "distribution_steps", "stretches"]

MOST_DOTS = 1500
"""Up to this many samples of an engine are drawn one by one."""

_MOST_STRETCHES = 300
_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_EVERY_STEP = 1000
_MOST_STEPS = 400


@frozen(kw_only=True, eq=False)
class Stretches:
    """Groups of neighbouring samples; each array has one element per group.

    ``start`` and ``end`` are positions, the others are values: nine tenths of a group
    are between ``lower`` and ``upper``. ``most`` is the number of samples in the largest
    group.
    """

    start: Floats
    end: Floats
    low: Floats
    lower: Floats
    lower_quartile: Floats
    median: Floats
    upper_quartile: Floats
    upper: Floats
    high: Floats
    most: int


def stretches(positions: Floats, values: Floats, most: int = _MOST_STRETCHES) -> Stretches:
    """Group neighbouring samples into groups of equal size.

    Parameters
    ----------
    positions
        Position of each sample, ascending, shape ``(n,)``; at least one.
    values
        The samples, shape ``(n,)``.
    most
        Maximum number of groups.
    """
    edges = np.linspace(0, values.size, min(most, values.size) + 1).astype(np.int64)
    parts = [values[low:high] for low, high in itertools.pairwise(edges)]
    quantiles = np.array([np.quantile(part, _QUANTILES) for part in parts])
    return Stretches(
        start=positions[edges[:-1]],
        end=positions[edges[1:] - 1],
        low=quantiles[:, 0],
        lower=quantiles[:, 1],
        lower_quartile=quantiles[:, 2],
        median=quantiles[:, 3],
        upper_quartile=quantiles[:, 4],
        upper=quantiles[:, 5],
        high=quantiles[:, 6],
        most=int(np.diff(edges).max()),
    )


def distribution_steps(samples: Floats) -> tuple[Floats, Floats]:
    """Choose order statistics that represent a distribution, densely in its tails.

    Parameters
    ----------
    samples
        In any order, shape ``(n,)``; at least one.

    Returns
    -------
    tuple
        The values, ascending, and the number of samples at or below each. Up to a
        thousand samples, all of them; otherwise evenly spaced order statistics,
        increasingly dense in both tails, including the smallest and the largest.
    """
    ordered = np.sort(samples)
    count = ordered.size
    if count <= _EVERY_STEP:
        ranks = np.arange(count)
    else:
        tail = np.geomspace(1.0, count, _MOST_STEPS // 4).astype(np.int64) - 1
        even = np.linspace(0, count - 1, _MOST_STEPS // 2).astype(np.int64)
        ranks = np.unique(np.concatenate([even, tail, count - 1 - tail]))
    return ordered[ranks], (ranks + 1).astype(np.float64)
