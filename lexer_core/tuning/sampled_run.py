"""How does a tuning run whose space is too large to try every configuration?

In the same race: a sampler suggests some configurations, which race against the leader,
and learns what they cost; and so on, until the time is up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from lexer_core.benchmark.outcome import CaseOutcome
from lexer_core.tuning.run import TuningRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.cases import CaseSelection
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.tuning.race import ConfigurationRace

__all__ = ["BATCH_OF_SAMPLER", "SampledRun", "Sampler"]

BATCH_OF_SAMPLER = 8
"""Configurations that race together before the sampler is asked again."""

_SHARE_OF_HEAT = 0.25
"""A heat's share of the time that is left, if it needs that much."""


class Sampler(Protocol):
    """Suggests configurations, and learns what they cost."""

    def more(self, count: int) -> tuple[CaseSelection, Mapping[str, ModelUnderTest]]:
        """Return the next configurations, and the models that they need in addition."""

    def tell(self, label: str, costs: Sequence[float] | None) -> None:
        """Take note of what a configuration cost; ``None`` if it cannot win."""


class SampledRun(TuningRun):
    """A tuning of those configurations that a sampler suggests.

    Parameters
    ----------
    sampler
        Suggests them; the first ones are the cases of the run.
    *args, **arguments
        As for :class:`TuningRun`.
    """

    def __init__(self, *args: Any, sampler: Sampler, **arguments: Any) -> None:
        super().__init__(*args, **arguments)
        self._sampler = sampler
        self._folder: Path | None = None
        self._told: dict[str, tuple[float, ...]] = {}

    def _begin(self, folder: Path, models: Iterable[ModelUnderTest]) -> None:
        self._folder = folder
        super()._begin(folder, models)

    def _heats(self, seconds: float) -> Iterator[tuple[Sequence[CaseOutcome], float]]:
        end = time.perf_counter() + seconds
        batch = list(self._outcomes)
        while batch:
            leader = [] if self._leader is None else [self._leader]
            for heat in self._groups([*leader, *batch]):
                left = end - time.perf_counter()
                if left <= 0.0:
                    return
                yield heat, left * _SHARE_OF_HEAT
            for outcome in batch:
                if outcome.status != "ok":
                    self._sampler.tell(outcome.case.label, None)
            if time.perf_counter() >= end:
                return
            batch = self._more()

    def _after_heat(self, members: Sequence[CaseOutcome], race: ConfigurationRace) -> None:
        before = None if self._leader is None else self._leader.case.label
        super()._after_heat(members, race)
        offsets = self._offsets(before, race)
        for outcome in members:
            label = outcome.case.label
            costs = race.costs(label)
            left = self.departures.get(label)
            if label in self._told or outcome.status != "ok":
                continue
            if costs is None or (left is not None and left.fate != "slower"):
                self._sampler.tell(label, None)
                continue
            self._told[label] = tuple(
                cost - offset for cost, offset in zip(costs, offsets, strict=True)
            )
            self._sampler.tell(label, self._told[label])

    def _offsets(self, leader: str | None, race: ConfigurationRace) -> tuple[float, ...]:
        """Return by how much everything costs more in this heat than in the first.

        The machine changes from heat to heat, and with it the leader, which took part in
        both.
        """
        none = (0.0,) * len(self._goals)
        if leader is None or leader not in self._told:
            return none
        now = race.costs(leader)
        if now is None:
            return none
        return tuple(new - old for new, old in zip(now, self._told[leader], strict=True))

    def _more(self) -> list[CaseOutcome]:
        """Add configurations to the run: start their workers, and export what they need."""
        selection, models = self._sampler.more(BATCH_OF_SAMPLER)
        batch = [CaseOutcome(case=case) for case in selection.cases]
        self._outcomes += batch
        self._models |= models
        self._selection = attrs.evolve(
            self._selection,
            engines={**self._selection.engines, **selection.engines},
            failures=(*self._selection.failures, *selection.failures),
        )
        for outcome in batch[: self._early_workers()]:
            self._executors[outcome.case.label] = self._start(outcome)
        assert self._folder is not None
        self._begin(self._folder, models.values())
        self._prepare(batch, models)
        return batch
