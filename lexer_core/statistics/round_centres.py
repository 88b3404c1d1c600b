"""What is the typical latency of one case in each round?

The round is the unit of inference: its samples share the state of the machine,
so comparisons use one number per round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_positive, group_rounds

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]

__all__ = ["RoundCentres", "align_rounds", "compared_by_means", "round_means", "round_medians"]


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
    """Return the median of each round.

    Parameters
    ----------
    samples
        Latencies in seconds, shape ``(n,)``, in the order in which they were taken.
    rounds
        Round of each sample, whole numbers, shape ``(n,)``; the samples of one
        round are contiguous. Rounds may have different numbers of samples.

    Returns
    -------
    RoundCentres
        In seconds, one entry per round, in the order in which they were taken.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero; unequal
        counts; a round that is not contiguous.
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
    """Return the mean of each round, for comparisons with a case that uses loops.

    Parameters, unit and errors are those of :func:`round_medians`; when to use
    which: :func:`compared_by_means`.
    """
    array = check_positive(samples, "samples")
    grouping = group_rounds(rounds, array.size)
    means = np.add.reduceat(array, grouping.starts) / grouping.counts
    return RoundCentres(rounds=grouping.ids, values=means)


def compared_by_means(loops: Iterable[int]) -> bool:
    """Return whether cases have to be compared by the means of rounds.

    Parameters
    ----------
    loops
        Calls per sample of each case.

    Notes
    -----
    A sample that is a mean of several calls has another centre than the median
    of single calls, so if some cases loop and others do not, all are compared by
    :func:`round_means`. Otherwise :func:`round_medians` is better: a stall in
    one call must not decide a round.
    """
    return len({count > 1 for count in loops}) > 1


def align_rounds(a: RoundCentres, b: RoundCentres) -> tuple[FloatArray, FloatArray]:
    """Return the values of two cases in the rounds that both took part in.

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
            "the two cases have no common round",
            problem="no_common_rounds",
            hint="Measure them in the same group, or compare each with a case that met both.",
        )
    order = np.argsort(index_a)
    return a.values[index_a[order]], b.values[index_b[order]]
