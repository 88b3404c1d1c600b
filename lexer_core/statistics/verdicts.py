"""Which case is faster, and which differences can the data not carry?

Every pair of cases gets one of three answers, or none. A difference is said to
matter when it exceeds ``delta``; the band from 1 / (1 + delta) to 1 + delta is
where two cases count as equally fast.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Literal

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction, check_positive
from lexer_core.statistics.distributions import t_two_sided_p
from lexer_core.statistics.estimates import MeanEstimate, estimate_mean
from lexer_core.statistics.launch_effect import launch_variance
from lexer_core.statistics.ratios import RatioInterval, interval_of_log_mean
from lexer_core.statistics.round_centres import align_rounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.statistics.round_centres import RoundCentres

__all__ = [
    "MIN_ROUNDS_FOR_VERDICT",
    "CaseComparison",
    "Comparisons",
    "Standing",
    "Verdict",
    "compare_cases",
    "holm_adjust",
    "holm_confidences",
]

Verdict = Literal["faster", "slower", "tie", "undecided", "none"]
"""What is said of b against a; ``none`` where a verdict is withheld."""

MIN_ROUNDS_FOR_VERDICT = 10
"""Below it there are numbers, but no verdict."""


@frozen(kw_only=True)
class CaseComparison:
    """Two cases, and what may be said of b against a.

    Parameters
    ----------
    a, b
        Labels of the two cases.
    ratio
        Time of a over time of b, at the plain confidence; ``None`` where the
        two never shared a round. Above 1, b is faster.
    adjusted
        The same at the confidence that Holm's correction asks for; the verdict
        is read from it. ``None`` where there is no verdict.
    verdict
        ``faster``: b is faster than a by more than delta; ``slower``: b is
        slower; ``tie``: they differ by less than delta; ``undecided``: the
        interval reaches across; ``none``: withheld.
    adjusted_p
        Holm-adjusted probability that belongs to the verdict.
    reason
        Why there is no verdict; otherwise empty.
    """

    a: str
    b: str
    ratio: RatioInterval | None
    adjusted: RatioInterval | None
    verdict: Verdict
    adjusted_p: float | None
    delta: float
    reason: str = ""


@frozen(kw_only=True)
class Standing:
    """One case's place among all.

    ``rank`` is 1 + the number of cases that are decidedly faster, so rank 1 is
    shared by all that none beats; ``None`` where no verdict was possible.
    """

    label: str
    rank: int | None
    tied_with: tuple[str, ...] = ()
    undecided_with: tuple[str, ...] = ()


@frozen(kw_only=True)
class Comparisons:
    """Every pair of cases, the standings, and the one that beats all others, if any."""

    pairs: tuple[CaseComparison, ...]
    standings: tuple[Standing, ...]
    fastest: str | None


def compare_cases(
    cases: Mapping[str, RoundCentres],
    *,
    delta: float = 0.02,
    confidence: float = 0.95,
    min_rounds: int = MIN_ROUNDS_FOR_VERDICT,
    withheld: Mapping[str, str] | None = None,
    launches: int | None = None,
) -> Comparisons:
    """Compare every pair of cases over the rounds that they share.

    Parameters
    ----------
    cases
        Per-round medians of each case by its label (:func:`round_medians`, or
        :func:`round_means` for all when one of them uses loops).
    delta
        Relative difference that matters: 0.02 for 2 %.
    confidence
        Of the plain intervals; 1 minus the error rate of the whole family of
        verdicts.
    min_rounds
        Common rounds below which a pair gets its ratio but no verdict.
    withheld
        Cases that get no verdict for a reason from elsewhere (outputs that
        disagree, a warm-up that never settled), by label.
    launches
        Launches of each case that the rounds come from: what launches differ by
        (:data:`~lexer_core.statistics.launch_effect.LAUNCH_SD`) is then part of
        every interval. ``None``: the cases do not live in processes.

    Returns
    -------
    Comparisons
        Pairs in the order of ``cases``, the first against each later one, and
        so on; standings in the order of ``cases``.

    Raises
    ------
    StatisticsError
        Medians that are empty, NaN, infinite or not above zero; a delta below
        0; a confidence out of range; a label in ``withheld`` that is no case.

    Notes
    -----
    Holm's step-down method (1979). The probability that enters it belongs to
    the verdict itself: the smallest error rate at which the pair's interval
    lies wholly on one side of the band's edge. A pair is thereby judged by
    the very interval that is reported as ``adjusted``.
    """
    check_fraction(confidence, "confidence")
    if not delta >= 0.0:
        raise StatisticsError(f"delta must not be below 0, got {delta!r}", problem="out_of_range")
    reasons = withheld or {}
    for label in reasons:
        if label not in cases:
            raise StatisticsError(
                f"withheld names {label!r}, which is not among the cases",
                problem="unknown_case",
                hint="Cases: " + ", ".join(cases),
            )
    for label, centres in cases.items():
        check_positive(centres.values, f"medians of {label}")
    labels = list(combinations(cases, 2))
    unseen = 0.0 if launches is None else launch_variance(launches)
    means = [_log_mean(cases[a], cases[b], unseen) for a, b in labels]
    refusals = [
        _refusal(a, b, mean, min_rounds, reasons)
        for (a, b), mean in zip(labels, means, strict=True)
    ]
    judged = [index for index, refusal in enumerate(refusals) if not refusal]
    family = [_judge(means[index], delta) for index in judged]
    adjusted_p = dict(zip(judged, holm_adjust(family), strict=True))
    levels = dict(zip(judged, holm_confidences(family, confidence), strict=True))
    pairs = []
    for index, ((a, b), mean) in enumerate(zip(labels, means, strict=True)):
        adjusted = None
        verdict: Verdict = "none"
        if mean is not None and index in levels:
            adjusted = interval_of_log_mean(mean, levels[index])
            verdict = _verdict(adjusted, delta)
        pairs.append(
            CaseComparison(
                a=a,
                b=b,
                ratio=None if mean is None else interval_of_log_mean(mean, confidence),
                adjusted=adjusted,
                verdict=verdict,
                adjusted_p=adjusted_p.get(index),
                delta=delta,
                reason=refusals[index],
            )
        )
    standings = tuple(_standing(label, pairs) for label in cases)
    return Comparisons(
        pairs=tuple(pairs), standings=standings, fastest=_fastest(tuple(cases), pairs)
    )


def holm_adjust(probabilities: Sequence[float]) -> tuple[float, ...]:
    """Holm's step-down adjustment (1979): compare the result with the family's error rate.

    Parameters
    ----------
    probabilities
        One p-value per member of the family, each from 0 to 1; may be empty.

    Returns
    -------
    tuple of float
        In the order given, each from 0 to 1.

    Raises
    ------
    StatisticsError
        A value outside 0 to 1.
    """
    for value in probabilities:
        if not 0.0 <= value <= 1.0:
            raise StatisticsError(
                f"a probability must lie from 0 to 1, got {value!r}", problem="out_of_range"
            )
    adjusted = [0.0] * len(probabilities)
    running = 0.0
    order = sorted(range(len(probabilities)), key=lambda index: probabilities[index])
    for step, index in enumerate(order):
        running = max(running, probabilities[index] * (len(probabilities) - step))
        adjusted[index] = min(1.0, running)
    return tuple(adjusted)


def holm_confidences(probabilities: Sequence[float], confidence: float) -> tuple[float, ...]:
    """Give the confidence at which each member's interval is read under Holm's method.

    Decided members have that of their own step; from the first undecided one
    on, all have that of the step where the method stopped.

    Parameters
    ----------
    probabilities
        One p-value per member of the family; may be empty.
    confidence
        1 minus the error rate of the whole family.
    """
    error = 1.0 - confidence
    levels = [0.0] * len(probabilities)
    order = sorted(range(len(probabilities)), key=lambda index: probabilities[index])
    remaining = len(probabilities)
    stopped = False
    for index in order:
        levels[index] = 1.0 - error / remaining
        stopped = stopped or probabilities[index] > error / remaining
        if not stopped:
            remaining -= 1
    return tuple(levels)


def _log_mean(a: RoundCentres, b: RoundCentres, unseen: float) -> MeanEstimate | None:
    try:
        first, second = align_rounds(a, b)
    except StatisticsError as error:
        if error.problem != "no_common_rounds":
            raise
        return None
    return estimate_mean(np.log(first / second)).with_variance(unseen)


def _refusal(
    a: str, b: str, mean: MeanEstimate | None, min_rounds: int, withheld: Mapping[str, str]
) -> str:
    named = [f"{label}: {withheld[label]}" for label in (a, b) if label in withheld]
    if named:
        return "; ".join(named)
    if mean is None:
        return "never measured in the same round"
    needed = max(min_rounds, 2)
    if mean.rounds < needed:
        return f"{mean.rounds} round{'' if mean.rounds == 1 else 's'}, {needed} needed"
    return ""


def _judge(mean: MeanEstimate | None, delta: float) -> float:
    """Smallest error rate at which the interval lies on one side of the band's edge."""
    assert mean is not None
    assert mean.standard_error is not None
    distance = abs(abs(mean.mean) - math.log1p(delta))
    if mean.standard_error == 0.0:
        return 0.0 if distance > 0.0 else 1.0
    return t_two_sided_p(distance / mean.standard_error, mean.degrees)


def _verdict(interval: RatioInterval, delta: float) -> Verdict:
    assert interval.low is not None
    assert interval.high is not None
    upper = 1.0 + delta
    lower = 1.0 / upper
    if interval.low > upper:
        return "faster"
    if interval.high < lower:
        return "slower"
    if interval.low > lower and interval.high < upper:
        return "tie"
    return "undecided"


def _standing(label: str, pairs: Sequence[CaseComparison]) -> Standing:
    rank = 1
    judged = False
    tied: list[str] = []
    undecided: list[str] = []
    for pair in pairs:
        if label not in (pair.a, pair.b) or pair.verdict == "none":
            continue
        judged = True
        other = pair.b if pair.a == label else pair.a
        if pair.verdict == "tie":
            tied.append(other)
        elif pair.verdict == "undecided":
            undecided.append(other)
        elif (pair.verdict == "faster") == (other == pair.b):
            rank += 1
    return Standing(
        label=label,
        rank=rank if judged else None,
        tied_with=tuple(tied),
        undecided_with=tuple(undecided),
    )


def _fastest(labels: Sequence[str], pairs: Sequence[CaseComparison]) -> str | None:
    """The case that every other one is decidedly slower than."""
    beaten: dict[str, int] = dict.fromkeys(labels, 0)
    for pair in pairs:
        if pair.verdict == "faster":
            beaten[pair.b] += 1
        elif pair.verdict == "slower":
            beaten[pair.a] += 1
    for label, wins in beaten.items():
        if wins == len(labels) - 1 and wins > 0:
            return label
    return None
