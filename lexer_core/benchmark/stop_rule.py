"""Are the ratios known precisely enough?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.statistics import StoppingRule, StoppingState, check_stop

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PrecisionRule"]

_REASONS = {"": "", "precision": "precise", "launches": "launches"}


class PrecisionRule:
    """Stop when the interval of every ratio is narrow enough, twice in a row.

    Parameters
    ----------
    precision
        Half-width of the 95 % intervals, relative.
    launches
        Launches that the run has in all.
    """

    def __init__(self, precision: float, launches: int) -> None:
        # Rounds and time are bounded by the plan of the rounds, not here.
        self._rule = StoppingRule(precision=precision, max_seconds=None, launches=launches)
        self._state = StoppingState()
        self._centres: dict[str, list[float]] = {}

    def add_round(self, centres: Mapping[str, float]) -> None:
        """Learn what one round measured; a case that is not in it has left."""
        for label in [label for label in self._centres if label not in centres]:
            del self._centres[label]
        for label, centre in centres.items():
            self._centres.setdefault(label, []).append(centre)

    def reached(self) -> str:
        """Say why to stop: ``"precise"``, ``"launches"``; empty to go on."""
        self._state = check_stop(self._centres, seconds=0.0, rule=self._rule, previous=self._state)
        return _REASONS[self._state.reason]
