"""What does each round say of one case?

The round is the unit of inference: samples within one share the state of the
machine, so that each comparison works on one number per round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_positive, group_rounds

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

__all__ = ["RoundCentres", "align_rounds", "round_means", "round_medians"]


@frozen(kw_only=True, eq=False)
class RoundCentres:
    """One number per round of one case, in the unit of the samples.

    Parameters
    ----------
    rounds
        The round's number, shape ``(rounds,)``, unique.
    values
        Its median (or mean), shape ``(rounds,)``.
    """

    rounds: IntArray
    values: FloatArray

    def __len__(self) -> int:
        return len(self.rounds)


def round_medians(samples: npt.ArrayLike, rounds: npt.ArrayLike) -> RoundCentres:
    """Median of each round.

    Parameters
    ----------
    samples
        Latencies in seconds, shape ``(n,)``, in the order of taking.
    rounds
        Round of each sample, whole numbers, shape ``(n,)``; the samples of one
        round stand together. Rounds may hold different numbers of samples.

    Returns
    -------
    RoundCentres
        In seconds, one entry per round, in the order of taking.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero; unequal
        counts; a round in several pieces.
    """
    array = check_positive(samples, "samples")
    grouping = group_rounds(rounds, array.size)
    count = int(grouping.counts[0])
    if (grouping.counts == count).all():
        medians = np.median(array.reshape(-1, count), axis=1)
    else:
        # Sort within rounds, then read the middle of each.
        owner = np.repeat(np.arange(len(grouping)), grouping.counts)
        ordered = array[np.lexsort((array, owner))]
        lower = ordered[grouping.starts + (grouping.counts - 1) // 2]
        upper = ordered[grouping.starts + grouping.counts // 2]
        medians = (lower + upper) / 2.0
    return RoundCentres(rounds=grouping.ids, values=medians)


def round_means(samples: npt.ArrayLike, rounds: npt.ArrayLike) -> RoundCentres:
    """Mean of each round: for both sides of a ratio when one of them uses loops.

    A sample that is itself a mean of several calls estimates another centre
    than the median of single calls does, so that the two must not be divided.
    Parameters, unit and errors as in :func:`round_medians`.
    """
    array = check_positive(samples, "samples")
    grouping = group_rounds(rounds, array.size)
    means = np.add.reduceat(array, grouping.starts) / grouping.counts
    return RoundCentres(rounds=grouping.ids, values=means)


def align_rounds(a: RoundCentres, b: RoundCentres) -> tuple[FloatArray, FloatArray]:
    """The values of two cases in the rounds that both took part in.

    Returns
    -------
    tuple of ndarray
        Two arrays of equal shape, in the order of the first case's rounds.

    Raises
    ------
    StatisticsError
        The two cases never shared a round (``no_common_rounds``).
    """
    if a.rounds.shape == b.rounds.shape and (a.rounds == b.rounds).all():
        return a.values, b.values
    _, index_a, index_b = np.intersect1d(
        a.rounds, b.rounds, assume_unique=True, return_indices=True
    )
    if index_a.size == 0:
        raise StatisticsError(
            "two cases without a common round cannot be compared",
            problem="no_common_rounds",
            hint="Measure them in the same group, or compare each with a case that both met.",
        )
    order = np.argsort(index_a)
    return a.values[index_a[order]], b.values[index_b[order]]
