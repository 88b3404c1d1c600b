"""Which cases fit in memory together?"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["estimate_memory", "group_cases"]

_T = TypeVar("_T")

_RUNTIME_BYTES = 600 * 2**20
"""Approximate memory of a worker with a large runtime and no model."""

_COPIES_OF_MODEL = 3
"""Loading needs memory for the file, the parsed graph and the packed weights."""

_USABLE_SHARE = 0.9
"""Share of the available memory to use."""


def estimate_memory(model_bytes: int, input_bytes: int) -> int:
    """Estimate the peak memory of a worker in bytes; the estimate is high."""
    return _RUNTIME_BYTES + _COPIES_OF_MODEL * model_bytes + 4 * input_bytes


def group_cases(cases: Sequence[tuple[_T, int]], available: int) -> list[list[_T]]:
    """Divide cases into groups that fit in memory.

    Parameters
    ----------
    cases
        Each with its estimate in bytes. The first is the baseline, which is in every
        group so that all others can be compared with it.
    available
        Memory for one group, in bytes.

    Returns
    -------
    list
        Groups in order, each with at least one case in addition to the baseline. A
        case that does not fit is tried anyway, because the estimate may be wrong.
    """
    if not cases:
        return []
    (baseline, base_need), *others = cases
    budget = available * _USABLE_SHARE
    groups = [[baseline]]
    used = base_need
    for case, need in others:
        if used + need > budget and len(groups[-1]) > 1:
            groups.append([baseline])
            used = base_need
        groups[-1].append(case)
        used += need
    return groups
