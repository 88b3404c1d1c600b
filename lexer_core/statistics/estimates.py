"""How precisely is a mean over rounds known?

The one place where a t interval is computed from dependent units: ratios,
a single case's median and the stopping rule all go through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, frozen

from lexer_core.statistics.autocorrelation import (
    batch_starts,
    error_inflation,
    lag1_autocorrelation,
)
from lexer_core.statistics.distributions import t_quantile

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

__all__ = ["MeanEstimate", "estimate_mean"]

_MANY = 1e6  # degrees of freedom, from where on t is the normal distribution


@frozen(kw_only=True)
class MeanEstimate:
    """A mean over rounds and how far it can be trusted.

    ``standard_error`` and ``degrees`` rest on ``units`` independent pieces:
    the rounds, or batches of them where neighbours resemble each other. With
    one unit there is no standard error (``None``).
    """

    mean: float
    standard_error: float | None
    degrees: int
    units: int
    rounds: int
    autocorrelation: float

    def half_width(self, confidence: float) -> float | None:
        """Half of the two-sided t interval, in the unit of the mean."""
        if self.standard_error is None:
            return None
        if self.standard_error == 0.0:
            return 0.0
        return self.standard_error * t_quantile(confidence, self.degrees)

    def with_variance(self, variance: float) -> MeanEstimate:
        """Add a variance that the rounds cannot show, and that is known beforehand.

        Degrees of freedom by Welch and Satterthwaite, the added part taken as
        known exactly; rounded down.
        """
        if self.standard_error is None or variance == 0.0:
            return self
        own = self.standard_error**2
        total = own + variance
        degrees = _MANY if own == 0.0 else min(self.degrees * (total / own) ** 2, _MANY)
        return evolve(self, standard_error=total**0.5, degrees=int(degrees))


def estimate_mean(values: FloatArray) -> MeanEstimate:
    """Mean and standard error of one number per round, shape ``(rounds,)``.

    Batches of unequal size are weighted by their size, so that the mean stays
    the mean of the rounds. Below 10 rounds neither batches nor what is left
    of the correlation can be told; the interval then takes rounds as
    independent.
    """
    count = values.size
    mean = float(values.mean())
    autocorrelation = lag1_autocorrelation(values)
    starts = batch_starts(values)
    units = len(starts)
    error: float | None = None
    if units > 1:
        totals = np.add.reduceat(values - mean, starts)
        error = float(np.sqrt(units / (units - 1) * (totals @ totals))) / count
        error *= error_inflation(totals)
    return MeanEstimate(
        mean=mean,
        standard_error=error,
        degrees=units - 1,
        units=units,
        rounds=count,
        autocorrelation=autocorrelation,
    )
