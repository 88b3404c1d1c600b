"""How many independent samples is a share worth that was counted in rounds?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lexer_core.statistics.autocorrelation import batch_starts
from lexer_core.statistics.distributions import t_quantile

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.statistics.checks import Grouping

    FloatArray = npt.NDArray[np.float64]

__all__ = ["share_design_effect", "trusted_count"]

_ROUNDING = 1e-9


def share_design_effect(counted: FloatArray, grouping: Grouping) -> tuple[float, int]:
    """Return the variance of a share over that of independent samples, and its units.

    Parameters
    ----------
    counted
        1.0 for each sample that belongs to the share, else 0.0, shape ``(n,)``, in the
        order in which the samples were taken.
    grouping
        Their rounds, at least two.

    Returns
    -------
    tuple of float and int
        The design effect, at least 1, and the number of units that it is estimated from:
        the rounds, or batches of them if neighbours are correlated.
    """
    count = counted.size
    share = float(counted.mean())
    # The excess of each round; they sum to zero (the linearised ratio of
    # counted to all samples, for rounds of unequal size).
    excess = np.add.reduceat(counted, grouping.starts) - share * grouping.counts
    starts = batch_starts(excess)
    units = len(starts)
    independent = share * (1.0 - share) / (count - 1)
    if independent <= 0.0:
        return 1.0, units
    totals = excess if units == len(grouping) else np.add.reduceat(excess, starts)
    clustered = units / (units - 1) * float(totals @ totals) / count**2
    effect = clustered / independent
    # Rounding must not cost the last sample.
    return (effect if effect > 1.0 + _ROUNDING else 1.0), units


def trusted_count(count: int, effect: float, units: int, confidence: float) -> float:
    """Return the effective count, less what a design effect from few units may be wrong."""
    trust = t_quantile(confidence, count - 1) / t_quantile(confidence, units - 1)
    return count / effect * trust**2
