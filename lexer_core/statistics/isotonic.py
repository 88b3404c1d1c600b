"""Which falling sequence is nearest to some numbers?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["falling"]


def falling(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return the sequence that never rises and has the least weighted squared error.

    Neighbours that rise are pooled (the algorithm of Ayer et al. 1955).

    Parameters
    ----------
    values
        The numbers, in their order.
    weights
        A weight above zero for each.

    >>> falling([3.0, 1.0, 2.0], [1, 1, 3])
    [3.0, 1.75, 1.75]
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, total, size = value, float(weight), 1
        while pools and pools[-1][0] < mean:
            other, more, length = pools.pop()
            mean = (mean * total + other * more) / (total + more)
            total, size = total + more, size + length
        pools.append((mean, total, size))
    return [mean for mean, _, size in pools for _ in range(size)]
