"""Do two sets of indices differ only where the values are equal?

If values are tied, sorting and top-k may return their indices in any order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Numbers = npt.NDArray[Any]

__all__ = ["differ_only_in_ties"]


def differ_only_in_ties(
    indices: Numbers, expected: Numbers, values: Numbers, allowed: Numbers
) -> bool:
    """Return whether indices differ only between equal values.

    Parameters
    ----------
    indices, expected
        Indices, and those of the reference; integers of one shape.
    values
        The values that ``expected`` refers to, as ``torch.topk`` and ``torch.sort``
        return them: of the same shape, sorted along one axis.
    allowed
        The largest difference between two equal values, for each element.

    Notes
    -----
    An index that the reference does not have can be that of an element which top-k
    left out. It is accepted only if its value is equal to the last one, and if two
    values of the row are or another index of the row is right: a row of one element
    shows neither a tie nor that the indices are meaningful.
    """
    for axis in range(values.ndim):
        rows = [
            np.moveaxis(each, axis, -1).reshape(-1, each.shape[axis])
            for each in (indices, expected, values, allowed)
        ]
        if _are_sorted(rows[2]) and all(map(_is_tied, *rows)):
            return True
    return False


def _are_sorted(rows: Numbers) -> bool:
    return bool(
        (rows[:, 1:] >= rows[:, :-1]).all(axis=1).all()
        or (rows[:, 1:] <= rows[:, :-1]).all(axis=1).all()
    )


def _is_tied(indices: Numbers, expected: Numbers, values: Numbers, allowed: Numbers) -> bool:
    """Compare one row."""
    differs = np.flatnonzero(indices != expected)
    if not differs.size:
        return True
    if any(np.unique(each).size < each.size or each.min() < 0 for each in (indices, expected)):
        return False
    order = np.argsort(expected)
    places = np.searchsorted(expected[order], indices[differs]).clip(max=expected.size - 1)
    positions = order[places]
    is_known = expected[positions] == indices[differs]
    last_group = _equal(values, values[-1], allowed)
    is_plausible = np.count_nonzero(last_group) > 1 or differs.size < expected.size
    if not is_known.all() and not is_plausible:
        return False
    tied = np.where(
        is_known,
        _equal(values[differs], values[positions], allowed[differs]),
        last_group[differs],
    )
    return bool(tied.all())


def _equal(left: Numbers, right: Numbers, allowed: Numbers) -> Numbers:
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return np.asarray((left == right) | (np.abs(left - right) <= allowed))
