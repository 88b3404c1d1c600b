"""Which configurations leave the rounds of a tuning, and why?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.benchmark.analysis import hidden_work
from lexer_core.benchmark.launch import computed_in
from lexer_core.errors import EngineError, LexerError, LimitError
from lexer_core.statistics import percentile_intervals
from lexer_core.statistics.race import RaceRule, judge_race, next_race_rounds
from lexer_core.statistics.robust_centre import robust_centre
from lexer_core.statistics.round_centres import RoundCentres

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.results.tuning import Fate
    from lexer_core.statistics.race import RaceState
    from lexer_core.tuning.goals import Figure, Goal, Limit

__all__ = ["ConfigurationRace", "Departure", "is_per_item"]

_STATIC = ("memory", "error")
"""Figures that are known before the rounds."""

_ROUNDS_WITHOUT_RACE = 10
"""If no goal is a time, rounds only show whether the limits are kept."""

_MS = 1000.0


@frozen(kw_only=True)
class Departure:
    """Why a configuration left the race.

    ``ratio`` is its time divided by that of the configuration ``by``, if that was faster.
    """

    fate: Fate
    reason: str
    rounds: int
    by: str = ""
    ratio: float | None = None


def is_per_item(goals: Sequence[Goal]) -> bool:
    """Whether times are compared per item instead of per call."""
    return [goal.figure.name for goal in goals] == ["throughput"]


class ConfigurationRace:
    """Drops the configurations that are beaten, or over a limit.

    Parameters
    ----------
    goals, limits
        Of the tuning.
    models
        The models by key, which judge outputs.
    tie
        Relative difference below which two configurations are a tie.
    """

    def __init__(
        self,
        goals: Sequence[Goal],
        limits: Sequence[Limit],
        models: Mapping[str, ModelUnderTest],
        *,
        tie: float,
    ) -> None:
        self._goals, self._limits, self._models = goals, limits, models
        self._rule = RaceRule(delta=tie, single_winner=len(goals) == 1)
        self._per_item = is_per_item(goals)
        self._members: dict[str, tuple[CaseOutcome, LiveCase]] = {}
        self._centres: dict[str, dict[int, float]] = {}
        self._vetted: set[str] = set()
        self._rounds = 0
        self._looks = 0
        self._next = next_race_rounds(0)
        self._state: RaceState | None = None
        self.blocks = 0
        self.departures: dict[str, Departure] = {}

    @property
    def leader(self) -> str:
        """Label of the leader at the last look; empty before the first."""
        return "" if self._state is None else self._state.leader

    @property
    def tied(self) -> tuple[str, ...]:
        """Labels of those that tied with the leader at the last look."""
        return () if self._state is None else self._state.tied

    @property
    def rounds(self) -> int:
        """Rounds so far."""
        return self._rounds

    def typical_cost(self, label: str) -> float:
        """Return the typical time of a configuration, in seconds per call or item."""
        return float(np.median(list(self._centres[label].values())))

    def rank_of(self, label: str) -> tuple[bool, float]:
        """Return what orders configurations: whether one is doubtful, and its typical time."""
        return self.is_doubtful(label), self.typical_cost(label)

    def costs(self, label: str) -> tuple[float, ...] | None:
        """Return a number for each goal, smaller for better: the logarithm, except of errors.

        ``None`` if one is unknown, or the configuration took no part in the rounds.
        """
        if not self._centres.get(label):
            return None
        items = self._items(label)
        per_call = self.typical_cost(label) * (items if self._per_item else 1)
        found = []
        for goal in self._goals:
            name = goal.figure.name
            if name in _STATIC:
                value = self._static(label, name)
                if value is None:
                    return None
                found.append(math.log(value) if name == "memory" else value)
            else:
                found.append(math.log(per_call / (items if name == "throughput" else 1)))
        return tuple(found)

    def admit(self, outcome: CaseOutcome, case: LiveCase) -> None:
        """Refuse a configuration that cannot win.

        Raises
        ------
        LimitError
            Its memory, its error or the time to load it exceeds a limit.
        EngineError
            Its outputs are wrong, or its samples do not account for its work.
        """
        assert case.first_outputs is not None
        judge = self._models[outcome.case.model].judge
        parity = judge.judge(case.label, case.first_outputs, computed=computed_in(outcome, case))
        outcome.parity = parity
        case.peak_memory_bytes = case.executor.peak_memory_bytes
        if parity.status == "fail":
            raise EngineError(f"its outputs disagree with the model's own: {parity.reason}")
        if outcome.not_comparable:
            raise EngineError(f"not comparable: {outcome.not_comparable}")
        if case.completion is not None and not case.completion.plausible:
            raise EngineError("its samples do not account for the elapsed time")
        load = None if case.load_facts is None else case.load_facts.load_seconds * _MS
        known = {
            "memory": case.peak_memory_bytes,
            "error": parity.max_abs_error,
            "load": load,
        }
        for limit in self._limits:
            value = known.get(limit.figure.name)
            if value is not None and not limit.allows(value):
                raise LimitError(limit.exceeded_by(value))
        case.by_means = any(goal.figure.name == "mean" for goal in self._goals)
        self._members[case.label] = outcome, case
        self._centres[case.label] = {}

    def add_round(self, centres: Mapping[str, float], background: float | None) -> None:
        """Record what one round measured; a configuration that is not in it has failed."""
        del background
        for label in [label for label in self._centres if label not in centres]:
            if label not in self.departures:
                del self._centres[label]
        for label, centre in centres.items():
            self._centres[label][self._rounds] = centre / (
                self._items(label) if self._per_item else 1
            )
        self._rounds += 1
        self.blocks += len(centres)

    def reached(self, most_rounds: float) -> str:
        """Look at the rounds if a look is due; return why the race is over, or nothing."""
        del most_rounds  # what cannot be told apart in time does not end the race of the others
        if self._rounds < self._next or not self._running():
            return ""
        self._looks += 1
        for label in self._running():
            self._check_limits(label)
        state = self._judged()
        while state is not None and state.leader and (problem := self._vet(state.leader)):
            # It must not make others leave.
            self._leave(state.leader, Departure(fate="failed", reason=problem, rounds=self._rounds))
            state = self._judged()
        if state is None:
            return "nothing left"
        self._state = state
        self._next = state.next_rounds
        for label, beaten in state.beaten.items():
            self._leave(
                label,
                Departure(
                    fate="slower",
                    reason=f"{beaten.ratio.estimate:.3g}x the time of {beaten.by}",
                    rounds=self._rounds,
                    by=beaten.by,
                    ratio=beaten.ratio.estimate,
                ),
            )
        if all(goal.figure.name in _STATIC for goal in self._goals):
            return "decided" if self._rounds >= _ROUNDS_WITHOUT_RACE else ""
        return "decided" if state.is_over else ""

    def leaving(self) -> Collection[str]:
        """Return the labels of those that left."""
        return self.departures.keys()

    def status(self) -> str:
        """Return how many are left, and the leader."""
        if self._state is None or not self._state.leader:
            return ""
        left = len(self._running())
        return f"{left} of {len(self._members)} configurations left, {self._state.leader} leads"

    def _items(self, label: str) -> int:
        return self._members[label][0].case.items or 1

    def _running(self) -> list[str]:
        return [label for label in self._centres if label not in self.departures]

    def _leave(self, label: str, departure: Departure) -> None:
        self.departures[label] = departure
        self._members[label][1].close()

    def _judged(self) -> RaceState | None:
        running = self._running()
        if not running:
            return None
        centres = {
            label: RoundCentres(
                rounds=np.fromiter(self._centres[label], dtype=np.int64),
                values=np.fromiter(self._centres[label].values(), dtype=np.float64),
            )
            for label in running
        }
        return judge_race(
            centres,
            rule=self._rule,
            look=self._looks,
            may_lead=[label for label in running if not self.is_doubtful(label)],
            margin=self._margin,
        )

    def _margin(self, case: str, rival: str) -> float | None:
        """Return by how much longer a case must take to be worse than a rival in every goal."""
        margins = []
        for goal in self._goals:
            name = goal.figure.name
            if name in _STATIC:
                mine, other = self._static(case, name), self._static(rival, name)
                if mine is None or other is None or other > mine or len(self._goals) == 1:
                    return None
            elif name == "throughput" and not self._per_item:
                margins.append(math.log(self._items(case) / self._items(rival)))
            elif goal.figure.percent is not None and goal.figure.percent > 50.0:  # noqa: PLR2004
                # What typically takes longer than the rival's tail has a longer tail.
                above = self._tail_over_median(rival, goal.figure.percent)
                if above is None:
                    return None
                margins.append(above)
            else:
                margins.append(0.0)
        return max(margins) if margins else None

    def _static(self, label: str, figure: str) -> float | None:
        outcome, case = self._members[label]
        if figure == "memory":
            return case.peak_memory_bytes
        return None if outcome.parity is None else outcome.parity.max_abs_error

    def _tail_over_median(self, label: str, percent: float) -> float | None:
        log = self._members[label][0].log
        (tail,) = percentile_intervals(log.samples, log.rounds, percents=(percent,))
        if tail.high is None:
            return None
        return math.log(tail.high / float(np.median(log.samples)))

    def _check_limits(self, label: str) -> None:
        """Let a configuration leave that is certainly over a limit."""
        for limit in self._limits:
            best, estimate = self._observed(label, limit.figure)
            if best is not None and not limit.allows(best):
                value = best if estimate is None or limit.allows(estimate) else estimate
                self._leave(
                    label,
                    Departure(
                        fate="over_limit", reason=limit.exceeded_by(value), rounds=self._rounds
                    ),
                )
                return

    def is_doubtful(self, label: str) -> bool:
        """Whether a configuration is over a limit by what is known, however little that is."""
        for limit in self._limits:
            _, estimate = self._observed(label, limit.figure)
            if estimate is not None and not limit.allows(estimate):
                return True
        return False

    def _observed(self, label: str, figure: Figure) -> tuple[float | None, float | None]:
        """Return a figure of the rounds at the better end of its interval, and its estimate.

        ``None``: it is unknown, or does not come from the rounds.
        """
        outcome, case = self._members[label]
        log = outcome.log
        if not len(log):
            return None, None
        if figure.percent is not None:
            # A percentile is not below the median, about which more is known.
            found = percentile_intervals(log.samples, log.rounds, percents=(50.0, figure.percent))
            lows = [each.low * _MS for each in found if each.low is not None]
            estimates = [each.estimate * _MS for each in found if each.estimate is not None]
            return max(lows, default=None), max(estimates, default=None)
        if figure.name not in ("mean", "throughput"):
            return None, None
        _, at = np.unique(log.rounds, return_inverse=True)
        means = np.bincount(at, weights=log.samples) / np.bincount(at)
        ends = robust_centre(means).interval()
        best = None if ends is None else ends[0]
        mean = float(log.samples.mean())
        if figure.name == "mean":
            return None if best is None else best * _MS, mean * _MS
        items = self._items(case.label)
        return None if best is None else items / best, items / mean

    def _vet(self, label: str) -> str:
        """Return which work of a leader is not in its samples; empty if all is."""
        if label in self._vetted:
            return ""
        self._vetted.add(label)
        outcome, _ = self._members[label]
        others = [self._members[other][0] for other in self._running() if other != label]
        same_model = [other for other in others if other.case.model == outcome.case.model]
        for member in [outcome, *same_model[:1]]:
            live = self._members[member.case.label][1]
            if member.fresh_calls is not None:
                continue
            try:
                live.finish()
                live.check_fresh_calls()
            except LexerError as error:
                if member is outcome:
                    return error.message
                continue  # it fails in the next round, too
            member.fresh_calls = live.fresh_calls
        return hidden_work(outcome, others)
