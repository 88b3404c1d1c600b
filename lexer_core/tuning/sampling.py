"""Which configurations of a large space are worth a try?

Optuna's tree-structured Parzen estimator suggests them, from what those before them cost
in the race. Optuna only suggests: it measures nothing, and decides nothing.
"""

from __future__ import annotations

import random
import warnings
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from lexer_core.errors import MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.engines.choice import EngineChoice
    from lexer_core.tuning.space import Axis, Space

__all__ = ["Suggestions", "check_sampler"]

_ENGINE = "engine"
_AT_RANDOM = 10
"""Configurations before the estimator begins to learn."""

_TRIES = 8
"""Questions for each suggestion; most answers are repeated once good places are known."""

_WORSE_THAN_ALL = 1.0
"""What a configuration that cannot win costs more than the worst, on the log scale."""


def check_sampler(space: Space, size: int, most: int) -> None:
    """Refuse a space that is too large without a sampler.

    Raises
    ------
    MissingPackageError
        Optuna is not installed.
    """
    if find_spec("optuna") is not None:
        return
    axes = ", ".join(f"{axis} has {len(axis.values)}" for axis in space.axes)
    raise MissingPackageError(
        f"the space has {size} configurations, more than the {most} that can be tried.",
        hint="Vary fewer values ("
        f"{axes}), or name fewer engines.\nOr let a sampler choose {most} of them: "
        f"pip install 'lexer-core[tune]'\nOr try them all: --max-configurations {size}",
    )


class Suggestions:
    """Suggests configurations, by their numbers, and learns from what they cost.

    Parameters
    ----------
    space, choices
        The space, and the engines with their options.
    goals
        Number of goals.
    seed
        Of the sampler.
    """

    def __init__(
        self, space: Space, choices: Sequence[EngineChoice], *, goals: int, seed: int
    ) -> None:
        import optuna  # an extra

        self._optuna = optuna
        self._space, self._choices = space, choices
        self._size = space.size(choices)
        self._random = random.Random(seed)  # noqa: S311 - not a secret
        self._study = _new_study(goals, seed)
        self._trials: dict[int, Any] = {}
        self._seen: set[int] = set()
        self._worst = [0.0] * goals
        self._knows_costs = False

    def next(self, count: int) -> list[int]:
        """Return the numbers of up to ``count`` configurations that were not tried yet."""
        optuna = self._optuna
        found: list[int] = []
        count = min(count, self._size - len(self._seen))
        for _ in range(_TRIES * count):
            if len(found) == count:
                break
            trial = self._study.ask()
            number = self._number(trial)
            if number in self._seen:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            self._seen.add(number)
            self._trials[number] = trial
            found.append(number)
        while len(found) < count:
            number = self._random.randrange(self._size)
            if number not in self._seen:
                self._seen.add(number)
                found.append(number)
        return found

    def add(self, number: int) -> None:
        """Take note of a configuration that is tried without being suggested."""
        self._seen.add(number)

    def tell(self, number: int, costs: Sequence[float] | None) -> None:
        """Take note of what a configuration cost for each goal, on a log scale.

        ``None``: it failed, or is over a limit. It need not have been suggested.
        """
        optuna = self._optuna
        self._seen.add(number)
        if costs is not None:
            self._worst = [
                max(pair) if self._knows_costs else pair[1]
                for pair in zip(self._worst, costs, strict=True)
            ]
            self._knows_costs = True
        values = (
            [worst + _WORSE_THAN_ALL for worst in self._worst] if costs is None else list(costs)
        )
        trial = self._trials.pop(number, None)
        if trial is not None:
            self._study.tell(trial, values)
            return
        parameters, distributions = self._parameters(number)
        self._study.add_trial(
            optuna.trial.create_trial(params=parameters, distributions=distributions, values=values)
        )

    def _number(self, trial: Any) -> int:
        """Let a trial choose an engine, and a value on each of its axes."""
        names = [choice.label or choice.name for choice in self._choices]
        which = names.index(trial.suggest_categorical(_ENGINE, names)) if len(names) > 1 else 0
        places = []
        for axis in self._space.axes_of(self._choices[which].name):
            order = _order(axis)
            if order is None:
                chosen = trial.suggest_categorical(str(axis), list(axis.values))
                places.append(axis.values.index(chosen))
            else:
                places.append(order[trial.suggest_int(str(axis), 0, len(order) - 1)])
        return self._space.number(self._choices, which, places)

    def _parameters(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what :meth:`_number` would have asked for, and among what."""
        distributions = self._optuna.distributions
        names = [choice.label or choice.name for choice in self._choices]
        which, places = self._space.places(self._choices, number)
        values: dict[str, Any] = {}
        among: dict[str, Any] = {}
        if len(names) > 1:
            values[_ENGINE] = names[which]
            among[_ENGINE] = distributions.CategoricalDistribution(names)
        for axis, place in zip(self._space.axes_of(self._choices[which].name), places, strict=True):
            order = _order(axis)
            if order is None:
                values[str(axis)] = axis.values[place]
                among[str(axis)] = distributions.CategoricalDistribution(list(axis.values))
            else:
                values[str(axis)] = order.index(place)
                among[str(axis)] = distributions.IntDistribution(0, len(order) - 1)
        return values, among


def _new_study(goals: int, seed: int) -> Any:
    import optuna  # an extra

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it announces every study
    try:
        with warnings.catch_warnings():
            # These options were experimental for years, and are what conditional axes need.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=seed % 2**32,
                n_startup_trials=_AT_RANDOM,
                multivariate=True,
                group=True,
                constant_liar=True,
            )
        return optuna.create_study(directions=["minimize"] * goals, sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)


def _order(axis: Axis) -> list[int] | None:
    """Return the places of an axis of numbers in the order of the numbers; else ``None``."""
    try:
        numbers = [float(value) for value in axis.values]
    except ValueError:
        return None
    return sorted(range(len(numbers)), key=numbers.__getitem__)
