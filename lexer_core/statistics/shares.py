"""Which share of the samples keeps to a limit, and how certain is that?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction, check_values, group_rounds
from lexer_core.statistics.design_effect import share_design_effect, trusted_count
from lexer_core.statistics.distributions import clopper_pearson

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ShareInterval", "share_interval"]

_MIN_ROUNDS = 2


@frozen(kw_only=True)
class ShareInterval:
    """A share of the samples, from 0 to 1, with its interval at ``confidence``.

    ``effective_count`` is the number of independent samples that they are worth.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    count: int
    effective_count: float


def share_interval(
    counted: npt.ArrayLike, rounds: npt.ArrayLike, *, confidence: float = 0.95
) -> ShareInterval:
    """Return the share of samples that are counted, with an interval that accounts for rounds.

    Parameters
    ----------
    counted
        1 for each sample that belongs to the share, else 0, shape ``(n,)``, in the order
        in which the samples were taken.
    rounds
        Round of each sample, shape ``(n,)``.
    confidence
        Of the two-sided interval.

    Raises
    ------
    StatisticsError
        No samples, other values than 0 and 1, unequal counts, or a round that is not
        contiguous.

    Notes
    -----
    Clopper and Pearson's bounds at the effective count (Korn and Graubard 1998), as for
    percentiles. With a single round, whose samples may all be correlated, the interval is
    from 0 to 1.
    """
    check_fraction(confidence, "confidence")
    array = check_values(counted, "counted")
    if ((array != 0.0) & (array != 1.0)).any():
        raise StatisticsError("counted: values other than 0 and 1", problem="out_of_range")
    grouping = group_rounds(rounds, array.size)
    estimate = float(array.mean())
    low, high, effective = 0.0, 1.0, 1.0
    if len(grouping) >= _MIN_ROUNDS:
        effect, units = share_design_effect(array, grouping)
        effective = trusted_count(array.size, effect, units, confidence)
        low, high = clopper_pearson(estimate, effective, confidence)
    return ShareInterval(
        estimate=estimate,
        low=low,
        high=high,
        confidence=confidence,
        count=int(array.size),
        effective_count=effective,
    )
