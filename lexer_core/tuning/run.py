"""How does a tuning run, from a space to confirmed results?

All configurations race in shared rounds, in heats of as many as fit in memory. The
finalists are then measured again like any benchmark, in new processes, because the
numbers by which one was selected flatter it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import attrs

from lexer_core.benchmark.rounds import RoundsPlan
from lexer_core.benchmark.run import BenchmarkRun
from lexer_core.benchmark.sample_log import SampleLog
from lexer_core.tuning.race import ConfigurationRace, is_per_item
from lexer_core.tuning.resume import check_same_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.cases import CaseSelection
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.results.report_data import ReportData
    from lexer_core.settings.table import Settings
    from lexer_core.tuning.goals import Goal, Limit
    from lexer_core.tuning.race import Departure

__all__ = ["TuningRun"]

_SHARE_OF_RACE = 0.6
"""The race's share of the time, if it needs that much."""

_MOST_FINALISTS = 4
_MOST_ON_FRONT = 8
_CONFIRMING_LAUNCHES = 3
_WARM_UP_SECONDS = 0.3
"""Of each configuration before the race; the finalists' is that of a benchmark."""


class TuningRun(BenchmarkRun):
    """One tuning.

    Parameters
    ----------
    model, inputs, selection, settings, progress, others
        As for :class:`BenchmarkRun`; each configuration is a case.
    goals, limits
        What is the best, and what is allowed.
    on_step
        Called with this run after each heat, when there is something worth saving.
    resumed
        The earlier run that this one goes on with; it is refused if its weights were others.

    Attributes
    ----------
    departures
        Why configurations left the race, by label.
    finalists
        Labels of those that were measured again.
    race_rounds, race_blocks
        Rounds of the race, and blocks that all configurations took in it.
    """

    has_many_cases = True

    def __init__(
        self,
        model: AdaptedModel | Path,
        inputs: object,
        selection: CaseSelection,
        settings: Settings,
        progress: ProgressCallback | None = None,
        *,
        others: Mapping[str, ModelUnderTest],
        goals: Sequence[Goal],
        limits: Sequence[Limit],
        on_step: Callable[[TuningRun], object] = lambda _: None,
        resumed: ReportData | None = None,
    ) -> None:
        super().__init__(model, inputs, selection, settings, progress, others=others)
        self._goals, self._limits = goals, limits
        self._per_item = is_per_item(goals)
        self._on_step, self._resumed = on_step, resumed
        self.departures: dict[str, Departure] = {}
        self.finalists: tuple[str, ...] = ()
        self._tied_with: dict[str, str] = {}
        self._leader: CaseOutcome | None = None
        self.race_rounds = 0
        self.race_blocks = 0

    @property
    def tied(self) -> tuple[str, ...]:
        """Labels that the race could not tell from a leader that is still in it."""
        return tuple(
            label
            for label, leader in self._tied_with.items()
            if label not in self.departures and leader not in self.departures
        )

    def _prepare(
        self, outcomes: Sequence[CaseOutcome], models: Mapping[str, ModelUnderTest]
    ) -> None:
        super()._prepare(outcomes, models)
        if self._resumed is not None:
            check_same_weights(self._resumed, self._fingerprints.get("", {}))

    def _launch_all(self) -> None:
        start = time.perf_counter()
        settings = self._settings
        survivors = self._race(settings.max_seconds * _SHARE_OF_RACE)
        if self._stopped_because == "interrupted" or not survivors:
            return
        spent = time.perf_counter() - start
        least = settings.max_seconds * (1.0 - _SHARE_OF_RACE)
        self._confirm(survivors, max(least, settings.max_seconds - spent))

    def _race(self, seconds: float) -> list[str]:
        """Race in heats; return the labels that are left, those most likely to win first."""
        costs: dict[str, tuple[bool, float]] = {}
        settings = self._settings
        self._settings = attrs.evolve(
            settings, warm_up_seconds=min(settings.warm_up_seconds, _WARM_UP_SECONDS)
        )
        try:
            for heat, share in self._heats(seconds):
                members = [outcome for outcome in heat if not self._has_left(outcome)]
                leader = self._leader
                if leader is not None and not self._has_left(leader):
                    if leader not in members:
                        members.insert(0, leader)
                    leader.log = SampleLog()
                race = self._race_once(members, share)
                self._after_heat(members, race)
                costs |= {
                    outcome.case.label: race.rank_of(outcome.case.label)
                    for outcome in members
                    if outcome.status == "ok" and not self._has_left(outcome) and len(outcome.log)
                }
                self._on_step(self)
                if self._stopped_because == "interrupted":
                    break
        finally:
            self._settings = settings
        return sorted(costs.keys() - self.departures.keys(), key=lambda label: costs[label])

    def _heats(self, seconds: float) -> Iterator[tuple[Sequence[CaseOutcome], float]]:
        """Yield who races together, and for how many seconds at most."""
        heats = self._groups(self._outcomes)
        if len(heats) > 1:
            self._timings.notes.append(
                f"the configurations do not all fit in memory: raced in {len(heats)} heats"
            )
        for heat in heats:
            yield heat, seconds / len(heats)

    def _after_heat(self, members: Sequence[CaseOutcome], race: ConfigurationRace) -> None:
        """Take note of what a heat found."""
        self.departures |= race.departures
        self._tied_with |= dict.fromkeys(race.tied, race.leader)
        self.race_rounds += race.rounds
        self.race_blocks += race.blocks
        by_label = {outcome.case.label: outcome for outcome in members}
        self._leader = by_label.get(race.leader, self._leader)

    def _has_left(self, outcome: CaseOutcome) -> bool:
        return outcome.case.label in self.departures

    def _race_once(self, members: Sequence[CaseOutcome], seconds: float) -> ConfigurationRace:
        race = ConfigurationRace(self._goals, self._limits, self._models, tie=self._settings.tie)
        plan = RoundsPlan(max_seconds=seconds, min_seconds=0.0, first_round=self._rounds_done)
        self._launch(members, 0, plan, race=race)
        return race

    def _confirm(self, survivors: Sequence[str], seconds: float) -> None:
        """Measure the finalists and the baseline in new processes."""
        is_front = len(self._goals) > 1
        finalists = list(survivors[: _MOST_ON_FRONT if is_front else _MOST_FINALISTS])
        self.finalists = tuple(finalists)
        baseline = self._outcomes[0]
        chosen = [
            outcome
            for outcome in self._outcomes
            if outcome.case.label in finalists or (outcome is baseline and outcome.status == "ok")
        ]
        for outcome in chosen:
            outcome.log = SampleLog()
        settings = self._settings
        self._settings = attrs.evolve(
            settings, max_seconds=seconds, launches=max(settings.launches, _CONFIRMING_LAUNCHES)
        )
        try:
            self._launch_group(chosen, share=1.0)
        finally:
            self._settings = settings
