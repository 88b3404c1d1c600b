"""Which configurations of a space does a tuning try: all, or those that a sampler suggests?"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import attrs

from lexer_core.results.tuning import TuningConfiguration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lexer_core.benchmark.cases import CaseSelection
    from lexer_core.engines.choice import EngineChoice
    from lexer_core.results import BenchmarkResult
    from lexer_core.settings.table import Settings
    from lexer_core.tuning.space import Point, Space

__all__ = ["Plan"]


class Plan:
    """The configurations of a space by their numbers, and those that are tried.

    Parameters
    ----------
    space
        The space.
    choices
        The engines, with the options that all of their configurations have.
    settings
        The settings of the tuning.
    select
        Returns the cases of some choices, or raises if an option is wrong.
    notes
        Notes for the report.

    Attributes
    ----------
    settings
        With a seed, if a sampler needs one.
    points, numbers
        Of every configuration that was selected, by its label.

    Raises
    ------
    SettingError
        An engine does not have an option of the space, or not with one of the values.
    """

    def __init__(
        self,
        space: Space,
        choices: Sequence[EngineChoice],
        settings: Settings,
        select: Callable[[Sequence[EngineChoice]], CaseSelection],
        notes: Sequence[str],
    ) -> None:
        self.space, self.choices = space, tuple(choices)
        self.size = space.size(self.choices)
        self.most = settings.max_configurations
        self.is_sampled = self.size > self.most
        if self.is_sampled and settings.seed is None:
            settings = attrs.evolve(settings, seed=secrets.randbelow(2**31))
        self.settings = settings
        self.points: dict[str, Point] = {}
        self.numbers: dict[str, int] = {}
        self._select, self._notes = select, tuple(notes)
        self._check_every_value()

    def label(self, number: int) -> str:
        """Return the label of a configuration."""
        return self.space.at(self.choices, number)[0].label

    def select(self, numbers: Sequence[int]) -> CaseSelection:
        """Return the cases of some configurations, which become part of the tuning."""
        pairs = [self.space.at(self.choices, number) for number in numbers]
        selection = self._select([choice for choice, _ in pairs])
        for number, (choice, point) in zip(numbers, pairs, strict=True):
            self.points[choice.label] = point
            self.numbers[choice.label] = number
        return attrs.evolve(selection, notes=(*self._notes, *selection.notes))

    def configuration_of(self, row: BenchmarkResult) -> TuningConfiguration:
        """Return the configuration of a row; how it ended is not known yet."""
        point = self.points[row.label]
        return TuningConfiguration(
            label=row.label,
            engine=row.engine_name,
            batch=point.batch,
            threads=point.threads,
            instances=point.instances,
            precision=point.precision,
            shape=point.shape,
            options=row.options,
            number=self.numbers[row.label],
        )

    def _check_every_value(self) -> None:
        """Select enough configurations that every value of every option is in one of them."""
        numbers = []
        for which, choice in enumerate(self.choices):
            axes = self.space.axes_of(choice.name)
            for row in range(max(len(axis.values) for axis in axes) if axes else 1):
                places = [row % len(axis.values) for axis in axes]
                numbers.append(self.space.number(self.choices, which, places))
        self._select([self.space.at(self.choices, number)[0] for number in numbers])
