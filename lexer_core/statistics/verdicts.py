"""Which case is faster, and which differences are too uncertain to tell?

Every pair of cases gets one of three verdicts, or none. A difference matters if
it exceeds ``delta``; two cases whose ratio is within the tie band, from
1 / (1 + delta) to 1 + delta, count as equally fast.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction, check_positive
from lexer_core.statistics.looks import look_confidence
from lexer_core.statistics.ratios import RatioInterval, interval_of_ratio, log_ratio_centre

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.statistics.robust_centre import RobustCentre
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
    "standings_of",
    "verdict_of",
]

Verdict = Literal["faster", "slower", "tie", "undecided", "none"]
"""The verdict on b compared with a; ``none`` if there is none, for a stated reason."""

MIN_ROUNDS_FOR_VERDICT = 10
"""With fewer rounds there are numbers, but no verdict."""


@frozen(kw_only=True)
class CaseComparison:
    """Two cases, and how b compares with a.

    Parameters
    ----------
    a, b
        Labels of the two cases.
    ratio
        Time of a over time of b in the typical round, at the plain confidence;
        ``None`` if the two never shared a round. Above 1, b is faster.
    adjusted
        The same at the confidence that the number of pairs and looks requires;
        the verdict is read from it. ``None`` if there is no verdict.
    verdict
        ``faster``: b is faster than a by more than delta; ``slower``: b is
        slower; ``tie``: they differ by less than delta; ``undecided``: the
        interval crosses an edge of the tie band, or there is none yet;
        ``none``: no verdict.
    adjusted_p
        Holm-adjusted p-value of the verdict, within this look.
    reason
        Why there is no verdict; otherwise empty.
    caveats
        What was suspicious but does not change the verdict
        (:func:`weigh_suspicions`).
    """

    a: str
    b: str
    ratio: RatioInterval | None
    adjusted: RatioInterval | None
    verdict: Verdict
    adjusted_p: float | None
    delta: float
    reason: str = ""
    caveats: tuple[str, ...] = ()


@frozen(kw_only=True)
class Standing:
    """The rank of one case among all.

    ``rank`` is 1 + the number of cases that are faster by verdict, so every
    case that none beats has rank 1; ``None`` if the case has no verdict.
    """

    label: str
    rank: int | None


@frozen(kw_only=True)
class Comparisons:
    """The comparisons of all pairs, and the rank of each case."""

    pairs: tuple[CaseComparison, ...]
    standings: tuple[Standing, ...]


def compare_cases(
    cases: Mapping[str, RoundCentres],
    *,
    delta: float = 0.02,
    confidence: float = 0.95,
    min_rounds: int = MIN_ROUNDS_FOR_VERDICT,
    withheld: Mapping[str, str] | None = None,
    launches: int | None = None,
    look: int | None = None,
) -> Comparisons:
    """Compare every pair of cases over the rounds that they share.

    Parameters
    ----------
    cases
        Per-round medians of each case by label (:func:`round_medians`, or
        :func:`round_means` for all; see :func:`compared_by_means`).
    delta
        Relative difference that matters: 0.02 for 2 %.
    confidence
        Of the plain intervals; 1 minus the error rate of the whole family of
        verdicts.
    min_rounds
        Common rounds below which a pair has a ratio but no verdict.
    withheld
        Cases that get no verdict, by label, with the reason (outputs that
        disagree).
    launches
        Launches of each case that the rounds come from: what launches differ by
        (:func:`~lexer_core.statistics.launch_effect.launch_sd`) is then part of
        every interval. ``None``: the cases do not run in processes of their own.
    look
        Which look at running data this is, from 1 (:func:`look_index`), if the
        data decided when to stop. ``None``: the number of rounds was fixed
        beforehand.

    Returns
    -------
    Comparisons
        Pairs in the order of ``cases``, the first against each later one, and
        so on; standings in the order of ``cases``.

    Raises
    ------
    StatisticsError
        Medians that are empty, NaN, infinite or not above zero; a delta below
        0; a confidence out of range; a label in ``withheld`` that is not a case.

    Notes
    -----
    The median over rounds of the log ratios (:func:`robust_centre`), with
    Holm's step-down method (1979) over the pairs. The p-value of a pair is the
    smallest error rate at which its interval is on one side of each edge of the
    tie band, so the interval reported as ``adjusted`` is the one that the
    verdict was read from. Each look spends a share of the error rate
    (:func:`look_confidence`).
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
    for label, medians in cases.items():
        check_positive(medians.values, f"medians of {label}")
    labels = list(combinations(cases, 2))
    centres = [log_ratio_centre(cases[a], cases[b], launches) for a, b in labels]
    refusals = [
        _refusal(a, b, centre, min_rounds, reasons)
        for (a, b), centre in zip(labels, centres, strict=True)
    ]
    family = {
        index: _p_value(centre, delta)
        for index, (centre, refusal) in enumerate(zip(centres, refusals, strict=True))
        if centre is not None and not refusal
    }
    of_look = confidence if look is None else look_confidence(confidence, look)
    adjusted_p = dict(zip(family, holm_adjust(tuple(family.values())), strict=True))
    levels = dict(zip(family, holm_confidences(tuple(family.values()), of_look), strict=True))
    pairs = []
    for index, ((a, b), centre) in enumerate(zip(labels, centres, strict=True)):
        adjusted = None
        verdict: Verdict = "none"
        if centre is not None and index in levels:
            adjusted = interval_of_ratio(centre, levels[index])
            verdict = verdict_of(adjusted, delta)
        pairs.append(
            CaseComparison(
                a=a,
                b=b,
                ratio=None if centre is None else interval_of_ratio(centre, confidence),
                adjusted=adjusted,
                verdict=verdict,
                adjusted_p=adjusted_p.get(index),
                delta=delta,
                reason=refusals[index],
            )
        )
    return Comparisons(pairs=tuple(pairs), standings=standings_of(tuple(cases), pairs))


def standings_of(labels: Sequence[str], pairs: Sequence[CaseComparison]) -> tuple[Standing, ...]:
    """Return the rank of each case by the verdicts on its pairs.

    Parameters
    ----------
    labels
        The cases, in order.
    pairs
        The verdicts on every pair of them.
    """
    return tuple(_standing(label, pairs) for label in labels)


def verdict_of(interval: RatioInterval, delta: float) -> Verdict:
    """Return the verdict that an interval supports.

    Parameters
    ----------
    interval
        Time of a over time of b.
    delta
        Relative difference that matters.
    """
    if interval.low is None or interval.high is None:
        return "undecided"
    upper = 1.0 + delta
    lower = 1.0 / upper
    if interval.low > upper:
        return "faster"
    if interval.high < lower:
        return "slower"
    if interval.low > lower and interval.high < upper:
        return "tie"
    return "undecided"


def holm_adjust(probabilities: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted by Holm's step-down method (1979).

    Compare them with the error rate of the whole family.

    Parameters
    ----------
    probabilities
        One p-value per member of the family, each from 0 to 1; may be empty.

    Returns
    -------
    tuple of float
        In the same order, each from 0 to 1.

    Raises
    ------
    StatisticsError
        A value outside 0 to 1.
    """
    for value in probabilities:
        if not 0.0 <= value <= 1.0:
            raise StatisticsError(
                f"a p-value must be from 0 to 1, got {value!r}", problem="out_of_range"
            )
    adjusted = [0.0] * len(probabilities)
    running = 0.0
    order = sorted(range(len(probabilities)), key=lambda index: probabilities[index])
    for step, index in enumerate(order):
        running = max(running, probabilities[index] * (len(probabilities) - step))
        adjusted[index] = min(1.0, running)
    return tuple(adjusted)


def holm_confidences(probabilities: Sequence[float], confidence: float) -> tuple[float, ...]:
    """Return the confidence at which each member's interval is read under Holm's method.

    Decided members have the confidence of their own step; from the first
    undecided one on, all have that of the step at which the method stopped.

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


def _refusal(
    a: str, b: str, centre: RobustCentre | None, min_rounds: int, withheld: Mapping[str, str]
) -> str:
    named = [f"{label}: {withheld[label]}" for label in (a, b) if label in withheld]
    if named:
        return "; ".join(named)
    if centre is None:
        return "never measured in the same round"
    if centre.rounds < min_rounds:
        return f"{centre.rounds} round{'' if centre.rounds == 1 else 's'}, {min_rounds} needed"
    return ""


def _p_value(centre: RobustCentre, delta: float) -> float:
    """Return the smallest error rate at which the interval crosses no edge of the tie band."""
    edge = math.log1p(delta)

    def decided(low: float, high: float) -> bool:
        return low > edge or high < -edge or (-edge < low and high < edge)

    return centre.smallest_error(decided)


def _standing(label: str, pairs: Sequence[CaseComparison]) -> Standing:
    rank = 1
    judged = False
    for pair in pairs:
        if label not in (pair.a, pair.b) or pair.verdict == "none":
            continue
        judged = True
        won_by = {"faster": pair.b, "slower": pair.a}.get(pair.verdict, label)
        rank += won_by != label
    return Standing(label=label, rank=rank if judged else None)
