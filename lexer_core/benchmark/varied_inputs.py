"""Which other inputs does a model accept for certain?

The same inputs with one value moved towards another value of the same array: the range
of the values, and nearly all of what a model computes, stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    Array = npt.NDArray[Any]

__all__ = ["one_value_changed"]

_STEPS = 50


def one_value_changed(arrays: Mapping[str, Array], number: int) -> dict[str, Array]:
    """Return copies of the arrays of a call, in which one value differs.

    Parameters
    ----------
    arrays
        The inputs of a call, by name.
    number
        Each number changes another value, the same in every process.

    Returns
    -------
    dict[str, numpy.ndarray]
        Read-only copies. A value of a floating-point array is changed if there is one,
        otherwise one of an integer array. Booleans, arrays of 0 and 1 and sorted
        integers stay, because they may be masks, lengths or offsets. If nothing can
        be changed, the values are the same.
    """
    copies = {name: np.array(array) for name, array in arrays.items()}
    for name in sorted(copies, key=lambda each: copies[each].dtype.kind not in "fcV"):
        if _may_change(copies[name]):
            _change_one(copies[name], number)
            break
    for copy in copies.values():
        copy.flags.writeable = False
    return copies


def _may_change(array: Array) -> bool:
    if array.size == 0:
        return False
    if array.dtype.kind in "iu":
        flat = array.ravel()
        is_sorted = (flat[1:] >= flat[:-1]).all() or (flat[1:] <= flat[:-1]).all()
        return not is_sorted and not np.isin(flat, (0, 1)).all()
    return _is_float(array) and bool(np.isfinite(array).all())


def _is_float(array: Array) -> bool:
    return array.dtype.kind in "fc" or (array.dtype.kind == "V" and "float" in array.dtype.name)


def _change_one(array: Array, number: int) -> None:
    place = number % array.size
    value = array.flat[place]
    if not _is_float(array):
        differing = np.flatnonzero(array != value)
        array.flat[place] = array.flat[differing[number // array.size % differing.size]]
        return
    share = (number % _STEPS + 1) / _STEPS  # of the way, so that small arrays have many variants
    low, high = array.min(), array.max()
    if low == high:
        array.flat[place] = (value or 1) * (1 - share / 2)
    else:
        array.flat[place] = value + ((low if value == high else high) - value) * share
