"""Which cases may stand in memory side by side?"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["estimate_memory", "group_cases"]

_T = TypeVar("_T")

_RUNTIME_BYTES = 600 * 2**20
"""What a worker with a large runtime and no model occupies, roughly."""

_COPIES_OF_MODEL = 3
"""Loading holds the file, the parsed graph and the packed weights at once."""

_SPARED = 0.9
"""Part of the free memory that workers may plan with."""


def estimate_memory(model_bytes: int, input_bytes: int) -> int:
    """Guess what one worker will need at its peak, in bytes; rather too much."""
    return _RUNTIME_BYTES + _COPIES_OF_MODEL * model_bytes + 4 * input_bytes


def group_cases(cases: Sequence[tuple[_T, int]], available: int) -> list[list[_T]]:
    """Share cases out over groups that fit into memory.

    Parameters
    ----------
    cases
        Each with its estimate in bytes. The first is the baseline: it takes
        part in every group, so that every other can be compared with it.
    available
        Bytes that one group may use.

    Returns
    -------
    list
        Groups in order, each with at least one case beside the baseline. A
        case that fits nowhere is tried all the same: the estimate is a guess.
    """
    if not cases:
        return []
    (baseline, base_need), *others = cases
    budget = available * _SPARED
    groups = [[baseline]]
    used = base_need
    for case, need in others:
        if used + need > budget and len(groups[-1]) > 1:
            groups.append([baseline])
            used = base_need
        groups[-1].append(case)
        used += need
    return groups
