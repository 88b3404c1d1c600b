"""Can these numbers be analysed at all?

Every public function of this package checks its arrays here, so each kind of
invalid input raises the same specific error everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

__all__ = [
    "Grouping",
    "check_equal_counts",
    "check_fraction",
    "check_positive",
    "check_values",
    "group_rounds",
]


@frozen(kw_only=True, eq=False)
class Grouping:
    """Where each round's samples are: ``samples[starts[i] : starts[i] + counts[i]]``."""

    ids: IntArray
    starts: IntArray
    counts: IntArray

    def __len__(self) -> int:
        return len(self.ids)


def check_values(values: npt.ArrayLike, what: str) -> FloatArray:
    """Return one-dimensional, non-empty, finite numbers as float64, or raise."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StatisticsError(f"{what}: not numeric ({error})", problem="not_numeric") from error
    if array.ndim != 1:
        raise StatisticsError(
            f"{what}: expected one dimension, got shape {array.shape}", problem="wrong_shape"
        )
    if array.size == 0:
        raise StatisticsError(f"{what}: empty", problem="empty")
    # One pass each; both reductions return NaN if there is one.
    if not (array.min() > -np.inf and array.max() < np.inf):
        _refuse_non_finite(array, what)
    return array


def check_positive(values: npt.ArrayLike, what: str) -> FloatArray:
    """As :func:`check_values`, and require every number to be above zero."""
    array = check_values(values, what)
    if not array.min() > 0.0:
        bad = np.flatnonzero(array <= 0.0)
        raise StatisticsError(
            f"{what}: {bad.size} of {array.size} not above zero, "
            f"the first at index {bad[0]}: {array[bad[0]]:g}",
            problem="not_positive",
            hint="A latency of zero or less means that the clock or the timing hook is wrong.",
        )
    return array


def _refuse_non_finite(array: FloatArray, what: str) -> None:
    nans = np.flatnonzero(np.isnan(array))
    if nans.size:
        raise StatisticsError(
            f"{what}: {nans.size} of {array.size} not a number, the first at index {nans[0]}",
            problem="not_a_number",
        )
    infinite = np.flatnonzero(np.isinf(array))
    raise StatisticsError(
        f"{what}: {infinite.size} of {array.size} infinite, the first at index {infinite[0]}",
        problem="infinite",
    )


def check_equal_counts(a: npt.NDArray[Any], b: npt.NDArray[Any], what: str) -> None:
    """Require two paired arrays to have the same number of entries."""
    if a.shape != b.shape:
        raise StatisticsError(
            f"{what}: unequal counts, {a.size} and {b.size}",
            problem="unequal_counts",
            hint="Entries are paired by position; align them first with align_rounds.",
        )


def check_fraction(value: float, what: str) -> None:
    """Require a value strictly between 0 and 1."""
    if not 0.0 < value < 1.0:
        raise StatisticsError(
            f"{what} must be strictly between 0 and 1, got {value!r}", problem="out_of_range"
        )


def group_rounds(rounds: npt.ArrayLike, count: int) -> Grouping:
    """Return where each round starts, for ``count`` samples in the order they were taken.

    Round numbers need not be consecutive or increasing, but the samples of a
    round are contiguous, because a block is a period of time.
    """
    ids = np.asarray(rounds)
    if ids.ndim != 1:
        raise StatisticsError(
            f"rounds: expected one dimension, got shape {ids.shape}", problem="wrong_shape"
        )
    if ids.size != count:
        raise StatisticsError(
            f"samples and rounds: unequal counts, {count} and {ids.size}",
            problem="unequal_counts",
            hint="Pass one round number per sample.",
        )
    if not np.issubdtype(ids.dtype, np.integer):
        raise StatisticsError(
            f"rounds: expected whole numbers, got {ids.dtype}", problem="not_numeric"
        )
    starts = np.concatenate(([0], np.flatnonzero(ids[1:] != ids[:-1]) + 1))
    own = ids[starts].astype(np.int64)
    if own.size > 1 and not (own[1:] > own[:-1]).all() and np.unique(own).size != own.size:
        raise StatisticsError(
            "rounds: the samples of a round are not contiguous",
            problem="scattered_rounds",
            hint="Round numbers are unique across launches; keep the samples in their order.",
        )
    counts = np.diff(starts, append=count)
    return Grouping(ids=own, starts=starts, counts=counts)
