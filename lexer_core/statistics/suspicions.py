"""Does a suspicion change a verdict?

Something unusual during a run, such as throttling or an unsettled warm-up, is a
reason to distrust a verdict only if the verdict depends on it. So the pair is
judged again without the suspect rounds, and in each half of the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from attrs import evolve, field, frozen

from lexer_core.statistics.ratios import RatioInterval, interval_of_ratio, log_ratio_centre
from lexer_core.statistics.round_centres import RoundCentres
from lexer_core.statistics.verdicts import Comparisons, standings_of, verdict_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lexer_core.statistics.verdicts import CaseComparison

__all__ = ["Suspicion", "weigh_suspicions"]

_CONTRADICTIONS = ({"faster", "tie"}, {"slower", "tie"}, {"faster", "slower"})


@frozen(kw_only=True)
class Suspicion:
    """Something that may have affected the rounds of one case.

    Parameters
    ----------
    label
        The case.
    reason
        What it was, in words that can follow the label: ``"its latency never
        settled"``.
    rounds
        Ids of the affected rounds; empty if it affected none in particular.
    """

    label: str
    reason: str
    rounds: Collection[int] = field(default=())


def weigh_suspicions(
    comparisons: Comparisons,
    cases: Mapping[str, RoundCentres],
    suspicions: Sequence[Suspicion],
    *,
    min_rounds: int = 10,
) -> Comparisons:
    """Keep each verdict that does not depend on suspect rounds, with a caveat; drop the others.

    Parameters
    ----------
    comparisons
        The verdicts on all rounds (:func:`compare_cases`, :func:`check_stop`).
    cases
        The rounds that they were read from.
    suspicions
        What was unusual; empty changes nothing.
    min_rounds
        With fewer rounds left, the rest is not judged by itself.

    Returns
    -------
    Comparisons
        A pair with a suspicion has it as a caveat if its verdict stands.
        Otherwise its verdict is ``none``, and its reason says which rounds
        contradict which. Ranks follow the verdicts that stand.

    Notes
    -----
    Parts of the run have fewer rounds, so they may be undecided; they contradict
    only by an interval, at the confidence of the verdict's own, that supports
    another verdict. Halves that support different verdicts contradict each other
    even if the whole run supports one.
    """
    pairs = tuple(_weigh(pair, cases, suspicions, min_rounds) for pair in comparisons.pairs)
    labels = [standing.label for standing in comparisons.standings]
    return Comparisons(pairs=pairs, standings=standings_of(labels, pairs))


def _weigh(
    pair: CaseComparison,
    cases: Mapping[str, RoundCentres],
    suspicions: Sequence[Suspicion],
    min_rounds: int,
) -> CaseComparison:
    own = [suspicion for suspicion in suspicions if suspicion.label in (pair.a, pair.b)]
    if not own or pair.verdict == "none" or pair.adjusted is None:
        return pair
    caveats = tuple(f"{suspicion.label}: {suspicion.reason}" for suspicion in own)
    a, b = cases[pair.a], cases[pair.b]
    shared = np.intersect1d(a.rounds, b.rounds)
    confidence = pair.adjusted.confidence

    def part(rounds: Collection[int]) -> str:
        if len(rounds) < min_rounds:
            return "undecided"
        interval = _interval(a, b, rounds, confidence)
        return "undecided" if interval is None else verdict_of(interval, pair.delta)

    # Rounds are in the order of taking in the first case.
    ordered = [number for number in a.rounds.tolist() if number in set(shared.tolist())]
    half = len(ordered) // 2
    first, second = part(ordered[:half]), part(ordered[half:])
    suspect = {number for suspicion in own for number in suspicion.rounds}
    clean = part([number for number in ordered if number not in suspect])
    contradiction = ""
    if {first, second} in _CONTRADICTIONS:
        contradiction = f"the halves of the run contradict each other ({first}, then {second})"
    elif suspect and {pair.verdict, clean} in _CONTRADICTIONS:
        contradiction = f"without the suspect rounds the verdict would be: {clean}"
    if contradiction:
        return evolve(pair, verdict="none", reason="; ".join((contradiction, *caveats)))
    return evolve(pair, caveats=(*pair.caveats, *caveats))


def _interval(
    a: RoundCentres, b: RoundCentres, rounds: Collection[int], confidence: float
) -> RatioInterval | None:
    centre = log_ratio_centre(_only(a, rounds), _only(b, rounds))
    return None if centre is None else interval_of_ratio(centre, confidence)


def _only(centres: RoundCentres, rounds: Collection[int]) -> RoundCentres:
    kept = np.isin(centres.rounds, list(rounds))
    return RoundCentres(rounds=centres.rounds[kept], values=centres.values[kept])
