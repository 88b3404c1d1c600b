"""Do the rounds suffice for a verdict?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lexer_core.statistics import (
    MIN_ROUNDS_FOR_VERDICT,
    RoundCentres,
    StoppingRule,
    check_stop,
    compared_by_means,
    judge_warm_up,
    next_look_rounds,
    round_means,
    round_medians,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.settings.table import Settings
    from lexer_core.statistics import CaseComparison, RoundWarmUp, StoppingState

__all__ = ["VerdictRule", "centres_of_rounds", "reason_to_stop"]

_REASONS = {
    "": "",
    "precision": "precise",
    "launches": "launches",
    "no prospect": "no verdict in sight",
}
_PAIR = 2
_PAIRS_SHOWN = 2


class VerdictRule:
    """Stop when every pair has a verdict and every ratio is precise enough.

    Parameters
    ----------
    labels
        The cases, the baseline first.
    precision
        Half-width of the 95 % intervals, relative.
    tie
        Relative difference below which two cases are a tie.
    launches
        Launches of the whole run.
    also
        A further condition, which is checked only when the verdicts suffice.
    items
        By label, the items of a call if times are compared per item.
    """

    def __init__(
        self,
        labels: Sequence[str],
        precision: float,
        tie: float,
        launches: int,
        also: Callable[[], bool] = lambda: True,
        *,
        items: Mapping[str, int] | None = None,
    ) -> None:
        # Time is limited by the plan of the rounds, not here.
        self._rule = StoppingRule(precision=precision, delta=tie, launches=launches)
        self._also = also
        self._items = items or {}
        self._centres: dict[str, dict[int, float]] = {label: {} for label in labels}
        self._reference: dict[int, float] = {}
        self._rounds = 0
        self._next = next_look_rounds(0)
        self._looked_at = 0
        self._looks = 0
        self._state: StoppingState | None = None

    def add_round(self, centres: Mapping[str, float], background: float | None) -> None:
        """Record what one round measured; a case that is not in it has left."""
        for label in [label for label in self._centres if label not in centres]:
            del self._centres[label]
        for label, centre in centres.items():
            self._centres[label][self._rounds] = centre / self._items.get(label, 1)
        if background is not None:
            self._reference[self._rounds] = background
        self._rounds += 1

    def judge_warm_up(self) -> dict[str, RoundWarmUp]:
        """Judge which early rounds were still warm-up, counted from 0, and what never settled.

        Empty if there is nothing to judge a single case by.
        """
        if not self._centres or len(self._centres) + bool(self._reference) == 1:
            return {}
        return judge_warm_up(
            {label: _centres(rounds) for label, rounds in self._centres.items()},
            reference=_centres(self._reference) if self._reference else None,
        )

    def early_rounds(self) -> int:
        """Return how many of the first rounds to leave out as warm-up.

        Ten rounds remain if there are as many, because fewer give no verdict.
        """
        return min(self._still_warming_up(), max(0, self._rounds - MIN_ROUNDS_FOR_VERDICT))

    def _has_settled(self) -> bool:
        """Return whether the rounds after the warm-up are enough for a verdict."""
        return self._rounds - self._still_warming_up() >= MIN_ROUNDS_FOR_VERDICT

    def _still_warming_up(self) -> int:
        judged = self.judge_warm_up().values()
        return max(
            (int(each.early_rounds[-1]) + 1 for each in judged if each.early_rounds.size), default=0
        )

    def reached(self, most_rounds: float) -> str:
        """Return why to stop; empty to go on.

        ``"precise"``, ``"launches"``, or ``"no verdict in sight"``: the rest of the
        time would hardly decide the pairs that are undecided.
        """
        if self._rounds >= self._next:
            self._looks += 1
            self._looked_at = self._rounds
            self._state = self._judged(most_rounds)
            self._next = self._state.next_rounds
            if self._state.stop and self._has_settled() and self._also():
                # The verdict will be read without the early rounds.
                early = self.early_rounds()
                state = self._judged(most_rounds, early) if early else self._state
                return _REASONS[state.reason]
        return ""

    def _judged(self, most_rounds: float, early: int = 0) -> StoppingState:
        """Look at the rounds, without the early ones."""
        reference = _centres(self._reference, early)
        return check_stop(
            {label: _centres(rounds, early) for label, rounds in self._centres.items()},
            rule=self._rule,
            reference=reference if len(reference) else None,
            look=self._looks,
            # Later launches add to what one alone knows.
            most_rounds=most_rounds if self._rule.launches == 1 else None,
        )

    def leaving(self) -> Collection[str]:
        """Return no label: every case stays to the end."""
        return ()

    @property
    def looks(self) -> int:
        """How often the rounds have been looked at, with a last look at all of them."""
        return self._looks + (self._looked_at < self._rounds)

    def status(self) -> str:
        """Return the ratios of the last look: ``"onnxruntime 3.1x ±8%"``."""
        if self._state is None:
            return ""
        pairs = self._state.comparisons.pairs[:_PAIRS_SHOWN]
        return ", ".join(text for pair in pairs if (text := _pair_text(pair)))


def reason_to_stop(
    outcomes: Sequence[CaseOutcome],
    settings: Settings,
    launches: int,
    look: int,
    *,
    per_item: bool = False,
) -> str:
    """Judge the rounds of all launches together.

    Parameters
    ----------
    outcomes
        The cases.
    settings
        When the rounds suffice.
    launches
        Launches so far.
    look
        Which look at the data of this run it is, from 1.
    per_item
        Whether times are compared per item.

    Returns
    -------
    str
        ``"precise"``, or ``"launches"`` if more of them would help.
    """
    centres = centres_of_rounds(outcomes, per_item=per_item)
    if len(centres) < _PAIR:
        return "precise"  # one case has no ratio, so its launches decide nothing
    state = check_stop(
        centres,
        rule=StoppingRule(precision=settings.margin, delta=settings.tie, launches=launches),
        look=look,
    )
    return "precise" if state.reason == "precision" else "launches"


def centres_of_rounds(
    outcomes: Iterable[CaseOutcome], *, per_item: bool = False
) -> dict[str, RoundCentres]:
    """Return the centres of the rounds of every case that has samples, by label.

    ``per_item``: in seconds per item instead of per call, for the cases that know.
    """
    measured = [outcome for outcome in outcomes if outcome.status == "ok" and len(outcome.log)]
    by_means = compared_by_means(outcome.log.loops for outcome in measured)
    centres_of = round_means if by_means else round_medians
    return {
        outcome.case.label: centres_of(
            outcome.log.samples / ((outcome.case.items or 1) if per_item else 1),
            outcome.log.rounds,
        )
        for outcome in measured
    }


def _centres(rounds: Mapping[int, float], early: int = 0) -> RoundCentres:
    """Return the centres of the rounds from the number ``early`` on."""
    kept = {number: value for number, value in rounds.items() if number >= early}
    return RoundCentres(
        rounds=np.fromiter(kept, dtype=np.int64),
        values=np.fromiter(kept.values(), dtype=np.float64),
    )


def _pair_text(pair: CaseComparison) -> str:
    ratio = pair.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return ""
    half = math.expm1(math.log(ratio.high / ratio.low) / 2.0)
    return f"{pair.b} {ratio.estimate:.3g}x ±{half:.1%}"
