"""Which configurations are too slow to be measured any longer?

Every configuration of a race takes part in the same rounds. After each look those that
another one certainly beats leave, so that the time goes to those that may be the best.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np
from attrs import field, frozen

from lexer_core.errors import StatisticsError
from lexer_core.statistics.checks import check_fraction
from lexer_core.statistics.distributions import t_two_sided_p
from lexer_core.statistics.looks import look_confidence
from lexer_core.statistics.ratios import RatioInterval, interval_of_ratio, log_ratio_centre
from lexer_core.statistics.round_centres import align_rounds
from lexer_core.statistics.verdicts import holm_adjust

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lexer_core.statistics.robust_centre import RobustCentre
    from lexer_core.statistics.round_centres import RoundCentres

__all__ = [
    "FIRST_RACE_ROUNDS",
    "Beaten",
    "Margin",
    "RaceRule",
    "RaceState",
    "judge_race",
    "next_race_rounds",
]

FIRST_RACE_ROUNDS = 5
"""With fewer rounds, nothing leaves."""

_GROWTH = 1.33
_FEWEST_EFFECTIVE = 2.0
_LEAST_SPREAD = 1e-4
"""On the log scale. A clock's resolution can make a few rounds look equal."""


class Margin(Protocol):
    """By how much a case must be slower than another one to be beaten by it."""

    def __call__(self, case: str, rival: str) -> float | None:
        """Return the margin on the log scale; ``None`` if the rival cannot beat the case."""


@frozen(kw_only=True)
class RaceRule:
    """When a configuration leaves, and when the race is over.

    Parameters
    ----------
    delta
        Relative difference that matters; survivors that are closer to the leader tie.
    confidence
        1 minus the probability that the race, with all its looks, drops the best.
    single_winner
        Whether only the leader beats others, and the race is over when one is left or
        the others tie. Otherwise every case may beat every other one, and the race is
        over when it is known for every pair.
    """

    delta: float = 0.02
    confidence: float = 0.95
    single_winner: bool = True


@frozen(kw_only=True)
class Beaten:
    """Why a case leaves: who beats it, and the ratio of its time to that one's."""

    by: str
    ratio: RatioInterval


@frozen(kw_only=True)
class RaceState:
    """What one look at a race found.

    Parameters
    ----------
    leader
        The fastest case that may lead; empty if none may.
    beaten
        Those that leave at this look.
    tied
        Survivors that are within the tie band of the leader.
    is_over
        Whether more rounds would change nothing.
    next_rounds
        The number of rounds of the next look.
    """

    leader: str
    beaten: Mapping[str, Beaten] = field(factory=dict)
    tied: tuple[str, ...] = ()
    is_over: bool = False
    next_rounds: int = FIRST_RACE_ROUNDS


def next_race_rounds(rounds: int) -> int:
    """Return the round count of the first look after ``rounds`` rounds.

    Looks are at 5, 7, 10, 14, 19, 26, … rounds.
    """
    scheduled = FIRST_RACE_ROUNDS
    while scheduled <= rounds:
        scheduled = math.ceil(scheduled * _GROWTH)
    return scheduled


def _no_margin(case: str, rival: str) -> float:
    del case, rival
    return 0.0


def judge_race(
    cases: Mapping[str, RoundCentres],
    *,
    rule: RaceRule,
    look: int,
    may_lead: Collection[str] | None = None,
    margin: Margin = _no_margin,
) -> RaceState:
    """Judge the survivors of a race.

    Parameters
    ----------
    cases
        The centres of the rounds of each survivor by label, in seconds (per call or
        per item).
    rule
        When to drop, and when to stop.
    look
        Which look at this race it is, from 1.
    may_lead
        Labels that can win. One that exceeds a limit can neither win nor make
        others leave. Default: all.
    margin
        By how much one must be slower than another to be beaten by it. Default: at all.

    Raises
    ------
    StatisticsError
        No cases, or a confidence out of range.

    Notes
    -----
    A race as in F-Race (Birattari et al. 2002), with Holm's method (1979) over the
    survivors and the error rate shared over the looks (:func:`look_confidence`).
    Each survivor has a one-sided test that its log ratio to a rival exceeds the margin:
    by the interval of the median over rounds (:func:`robust_centre`) or, while there are
    too few rounds for one, by Student's t with as many degrees of freedom as there are
    effective rounds. The only rival of a single winner is the leader, the survivor with
    the smallest median; the test takes it as given. Otherwise all are rivals, and each
    survivor's smallest p-value is multiplied by their number.

    Simulated (November 2026, 48 configurations of 1 to 4 times the best's time): the best
    survived in all of 40 races with Student-t noise of 3 % and 10 % and with a third of the
    rounds off by up to half, after 6, 14 and 21 rounds per configuration; with 10 %
    autocorrelated noise (0.6) in 39.
    """
    check_fraction(rule.confidence, "confidence")
    if not cases:
        raise StatisticsError("a race needs at least one case", problem="empty")
    following = next_race_rounds(max(centres.rounds.size for centres in cases.values()))
    candidates = [label for label in cases if may_lead is None or label in may_lead]
    if not candidates:
        return RaceState(leader="", next_rounds=following)
    leader = _fastest({label: cases[label] for label in candidates})
    rivals = [leader] if rule.single_winner else candidates
    duels = {label: _duels(label, rivals, cases, margin) for label in cases}
    closest = {label: min(known, key=_p) for label, known in duels.items() if known}
    adjusted = holm_adjust([min(1.0, _p(duel) * len(rivals)) for duel in closest.values()])
    error = 1.0 - look_confidence(rule.confidence, look)
    beaten = {
        label: Beaten(by=duel.rival, ratio=interval_of_ratio(duel.centre, rule.confidence))
        for (label, duel), p in zip(closest.items(), adjusted, strict=True)
        if p <= error
    }
    survivors = [label for label in cases if label not in beaten]
    level = 1.0 - error / max(1, len(survivors) - 1)
    tied = tuple(
        duel_label
        for duel_label in survivors
        if duel_label != leader
        and any(
            duel.rival == leader and duel.is_tie(level, rule.delta) for duel in duels[duel_label]
        )
    )
    if rule.single_winner:
        is_over = len(tied) == len(survivors) - 1
    else:
        is_over = all(
            duel.rival in beaten or duel.is_decided(rule.confidence, rule.delta)
            for label in survivors
            for duel in duels[label]
        )
    return RaceState(
        leader=leader, beaten=beaten, tied=tied, is_over=is_over, next_rounds=following
    )


@frozen(kw_only=True, eq=False)
class _Duel:
    """A case against one rival: the log ratio of their times, and the margin to exceed."""

    rival: str
    centre: RobustCentre
    margin: float
    p: float

    def is_tie(self, confidence: float, delta: float) -> bool:
        ends = self.centre.interval(confidence)
        edge = math.log1p(delta)
        return ends is not None and -edge < ends[0] and ends[1] < edge

    def is_decided(self, confidence: float, delta: float) -> bool:
        """Whether the margin is exceeded, or not, or too close to tell by this difference."""
        ends = self.centre.interval(confidence)
        if ends is None:
            return False
        return (
            ends[0] > self.margin or ends[1] < self.margin or ends[1] - ends[0] < math.log1p(delta)
        )


def _p(duel: _Duel) -> float:
    return duel.p


def _duels(
    label: str, rivals: Sequence[str], cases: Mapping[str, RoundCentres], margin: Margin
) -> list[_Duel]:
    found = []
    for rival in rivals:
        if rival == label:
            continue
        needed = margin(label, rival)
        centre = log_ratio_centre(cases[label], cases[rival])
        if needed is None or centre is None:
            continue
        p = _one_sided_p(cases[label], cases[rival], centre, needed)
        found.append(_Duel(rival=rival, centre=centre, margin=needed, p=p))
    return found


def _fastest(cases: Mapping[str, RoundCentres]) -> str:
    """Return the case with the smallest typical log time over the rounds of all."""
    common = set.intersection(*(set(centres.rounds.tolist()) for centres in cases.values()))

    def typical(label: str) -> float:
        centres = cases[label]
        shared = np.isin(centres.rounds, list(common)) if common else slice(None)
        return float(np.median(np.log(centres.values[shared])))

    return min(cases, key=typical)


def _one_sided_p(
    case: RoundCentres, rival: RoundCentres, centre: RobustCentre, margin: float
) -> float:
    """Return the smallest error rate at which the case is slower by more than the margin."""
    if centre.rounds < FIRST_RACE_ROUNDS:
        return 1.0
    by_rounds = centre.smallest_error(lambda low, _: low > margin) / 2.0
    return min(1.0, by_rounds, _p_by_t(case, rival, centre.effective_rounds, margin))


def _p_by_t(case: RoundCentres, rival: RoundCentres, effective: float, margin: float) -> float:
    first, second = align_rounds(case, rival)
    logs = np.log(first / second) - margin
    mean = float(logs.mean())
    if mean <= 0.0 or effective <= _FEWEST_EFFECTIVE:
        return 1.0
    spread = max(float(logs.std(ddof=1)), _LEAST_SPREAD)
    return t_two_sided_p(mean * math.sqrt(effective) / spread, effective - 1.0) / 2.0
