"""How noisy was the run, judging by the samples?

The operating system's counters miss many disturbances; the samples show them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.autocorrelation import lag1_autocorrelation
from lexer_core.statistics.checks import check_fraction, check_positive, group_rounds
from lexer_core.statistics.distributions import t_quantile
from lexer_core.statistics.percentiles import percentile_intervals
from lexer_core.statistics.robust import clip_tails
from lexer_core.statistics.round_centres import round_medians

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.statistics.checks import Grouping

    FloatArray = npt.NDArray[np.float64]

__all__ = [
    "AUTOCORRELATION_WARNING",
    "DRIFT_WARNING",
    "Diagnosis",
    "OrderEffect",
    "diagnose",
    "order_effect",
]

AUTOCORRELATION_WARNING = 0.3
DRIFT_WARNING = 0.02
_MIN_ORDER_ROUNDS = 3


@frozen(kw_only=True)
class Diagnosis:
    """How noisy the machine was, from the samples of one case; all dimensionless.

    Parameters
    ----------
    sample_autocorrelation
        Lag-1, of neighbouring samples of the same round.
    round_autocorrelation
        Lag-1, of the medians of neighbouring rounds.
    design_effect
        Of the median: samples over effective samples; ``None`` with one round.
    drift
        Second half of the rounds over the first half, minus 1.
    round_spread
        Standard deviation of the rounds' log medians; ``None`` with one round.
    warnings
        In words; empty if the run was quiet.
    """

    sample_autocorrelation: float
    round_autocorrelation: float
    design_effect: float | None
    drift: float
    round_spread: float | None
    warnings: tuple[str, ...] = ()


@frozen(kw_only=True)
class OrderEffect:
    """How much slower a case is one position later in a round: 0.01 for 1 %; with its interval."""

    estimate: float
    low: float
    high: float
    confidence: float
    warning: str = ""


def diagnose(samples: npt.ArrayLike, rounds: npt.ArrayLike) -> Diagnosis:
    """Diagnose the samples of one case.

    Parameters
    ----------
    samples
        Latencies in seconds, shape ``(n,)``, in the order in which they were taken.
    rounds
        Round of each sample, shape ``(n,)``.

    Returns
    -------
    Diagnosis
        Dimensionless figures, and warnings in words: for an autocorrelation
        above 0.3 (of neighbouring samples or of neighbouring rounds) and for a
        drift above 2 %.

    Raises
    ------
    StatisticsError
        Samples that are empty, NaN, infinite or not above zero; unequal
        counts; a round that is not contiguous.
    """
    array = check_positive(samples, "samples")
    grouping = group_rounds(rounds, array.size)
    medians = round_medians(array, rounds).values
    logs = np.log(medians)
    of_samples = _within_rounds(clip_tails(np.log(array)), grouping)
    of_rounds = lag1_autocorrelation(logs)
    drift = _drift(medians if medians.size > 1 else array)
    (median,) = percentile_intervals(array, rounds, (50.0,))
    warnings = []
    if of_samples > AUTOCORRELATION_WARNING:
        warnings.append(
            f"samples are autocorrelated ({of_samples:.2f}), "
            "so the effective sample size is smaller"
        )
    # A few rounds look correlated by chance: require two standard errors.
    if of_rounds > max(AUTOCORRELATION_WARNING, 2.0 / math.sqrt(logs.size)):
        warnings.append(
            f"rounds are autocorrelated ({of_rounds:.2f}): "
            "the machine changed slowly during the run"
        )
    if abs(drift) > DRIFT_WARNING:
        warnings.append(f"latency moved by {drift:+.0%} between the halves of the run")
    return Diagnosis(
        sample_autocorrelation=of_samples,
        round_autocorrelation=of_rounds,
        design_effect=median.design_effect,
        drift=drift,
        round_spread=float(logs.std(ddof=1)) if logs.size > 1 else None,
        warnings=tuple(warnings),
    )


def order_effect(
    medians: npt.ArrayLike, positions: npt.ArrayLike, *, confidence: float = 0.95
) -> OrderEffect:
    """Return how much the position in a round affects latency.

    Parameters
    ----------
    medians
        Per-round medians in seconds, shape ``(rounds, cases)``.
    positions
        Position of each case in each round, 0 for the first, same shape.
    confidence
        Of the interval.

    Returns
    -------
    OrderEffect
        Relative change of latency per position. It has a warning if the
        interval excludes zero and the effect from first to last exceeds 2 %.

    Raises
    ------
    StatisticsError
        Medians that are empty, NaN, infinite or not above zero; shapes that
        differ or are not two-dimensional; fewer than 2 cases or 3 rounds; an
        order that never changed.

    Notes
    -----
    Least squares on log medians after removing the mean of each round and of
    each case; the standard error is clustered by round.
    """
    check_fraction(confidence, "confidence")
    times, places = _order_table(medians, positions)
    rounds, cases = times.shape
    response = _centre(np.log(times))
    place = _centre(places)
    weight = float((place * place).sum())
    if weight <= 1e-12 * places.size:
        raise StatisticsError(
            "order effect: the order of the cases never changed",
            problem="constant_order",
            hint="Shuffle the cases in each round.",
        )
    slope = float((place * response).sum()) / weight
    scores = (place * (response - slope * place)).sum(axis=1)
    error = float(np.sqrt(rounds / (rounds - 1) * (scores @ scores))) / weight
    half = error * t_quantile(confidence, rounds - 1)
    low, estimate, high = (float(np.expm1(v)) for v in (slope - half, slope, slope + half))
    across = float(np.expm1(slope * (cases - 1)))
    warning = ""
    if low * high > 0.0 and abs(across) > DRIFT_WARNING:
        warning = (
            f"the last case of a round is {across:+.1%} slower than the first, whichever it is"
        )
        if across < 0.0:
            warning = (
                f"the last case of a round is {-across:.1%} faster than the first, whichever it is"
            )
    return OrderEffect(
        estimate=estimate, low=low, high=high, confidence=confidence, warning=warning
    )


def _within_rounds(values: FloatArray, grouping: Grouping) -> float:
    """Return the lag-1 autocorrelation over neighbours in the same round."""
    deviations = values - values.mean()
    variance = float(deviations @ deviations) / values.size
    pairs = values.size - len(grouping)
    if pairs == 0 or variance <= 0.0:
        return 0.0
    products = deviations[1:] * deviations[:-1]
    across = products[grouping.starts[1:] - 1].sum()
    return float(products.sum() - across) / pairs / variance


def _drift(values: FloatArray) -> float:
    """Return the median of the second half over that of the first, minus 1."""
    half = values.size // 2
    if half == 0:
        return 0.0
    return float(np.median(values[-half:]) / np.median(values[:half])) - 1.0


def _order_table(medians: npt.ArrayLike, positions: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    times = np.asarray(medians, dtype=np.float64)
    places = np.asarray(positions, dtype=np.float64)
    if times.ndim != 2 or times.shape != places.shape:  # noqa: PLR2004 - a table
        raise StatisticsError(
            "order effect: medians and positions must both have the shape (rounds, cases), "
            f"got {times.shape} and {places.shape}",
            problem="wrong_shape",
        )
    rounds, cases = times.shape
    if cases < 2:  # noqa: PLR2004 - an order takes two
        raise StatisticsError(f"order effect: 2 cases needed, got {cases}", problem="too_few_cases")
    if rounds < _MIN_ORDER_ROUNDS:
        raise StatisticsError(
            f"order effect: {_MIN_ORDER_ROUNDS} rounds needed, got {rounds}",
            problem="too_few_rounds",
        )
    check_positive(times.ravel(), "medians")
    return times, places


def _centre(table: FloatArray) -> FloatArray:
    """Remove the mean of each row and of each column."""
    centred: FloatArray = (
        table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    )
    return centred
