"""Do the rounds suffice for a verdict?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lexer_core.statistics import RoundCentres, StoppingRule, check_stop, next_look_rounds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PrecisionRule"]

_REASONS = {"": "", "precision": "precise", "launches": "launches"}


class PrecisionRule:
    """Stop when every pair has a verdict and every ratio is precise enough.

    Parameters
    ----------
    precision
        Half-width of the 95 % intervals, relative.
    tie
        Relative difference below which two cases are a tie.
    launches
        Launches of the whole run.
    """

    def __init__(self, precision: float, tie: float, launches: int) -> None:
        # Time is limited by the plan of the rounds, not here.
        self._rule = StoppingRule(precision=precision, delta=tie, launches=launches)
        self._centres: dict[str, dict[int, float]] = {}
        self._rounds = 0
        self._next = next_look_rounds(0)

    def add_round(self, centres: Mapping[str, float]) -> None:
        """Record what one round measured; a case that is not in it has left."""
        for label in [label for label in self._centres if label not in centres]:
            del self._centres[label]
        for label, centre in centres.items():
            self._centres.setdefault(label, {})[self._rounds] = centre
        self._rounds += 1

    def reached(self) -> str:
        """Return why to stop: ``"precise"`` or ``"launches"``; empty to go on."""
        if self._rounds < self._next:
            return ""
        state = check_stop(
            {
                label: RoundCentres(
                    rounds=np.fromiter(rounds, dtype=np.int64),
                    values=np.fromiter(rounds.values(), dtype=np.float64),
                )
                for label, rounds in self._centres.items()
            },
            rule=self._rule,
        )
        self._next = state.next_rounds
        return _REASONS[state.reason]
