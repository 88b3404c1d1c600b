"""Who is measured when, and for how long?

Configurations take turns: every round gives each of them one block, in a new random
order, so that drift of the machine is common to all. First closed-loop blocks, which show
the capacity; then blocks of requests at a rate each. Members, clock and random numbers
are passed in, so that a whole load test can run on virtual time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from attrs import field, frozen

from lexer_core.errors import LexerError
from lexer_core.load_testing.points import PointLog
from lexer_core.load_testing.queueing import predicted_rate
from lexer_core.load_testing.search import RateSearch, bracket_of
from lexer_core.reporting.numbers import significant

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.load_testing.arrivals import Arrivals
    from lexer_core.load_testing.blocks import ClosedBlock, GilFacts, OpenBlock
    from lexer_core.load_testing.search import Bracket
    from lexer_core.load_testing.slo import Slo
    from lexer_core.results.load_test import RatePoint

__all__ = ["LoadLog", "LoadMember", "LoadPlan", "Requests", "measure_load"]

_CLOSED_SHARE = 0.12
"""Of the time, for the closed loop."""

_CLOSED_ROUNDS = 3
_CLOSED_SECONDS = (0.1, 2.0)
_OPEN_BLOCKS = 12
"""Blocks that each configuration should have in the time."""

_OPEN_SECONDS = (0.5, 30.0)
_MOST_REQUESTS = 100_000
"""Of a block, whose times fit in memory many times over."""

_WORTH_TESTING = 0.7
"""Of an engine's best prediction; a configuration below it is not tested under load."""

_LONGER = 5.0
"""Times the usual length of a block that an overloaded one may have, until it is given up."""

_OVERLOADED_WAIT = 2.0
"""In units of the limit: the wait at which an overloaded block is given up."""


@frozen(kw_only=True, eq=False)
class Requests:
    """The requests of a block.

    Parameters
    ----------
    due
        When each arrives, in seconds from the start of the block.
    limit
        Seconds after which an answer is late.
    most_late, longest_wait
        When the block is given up; see :class:`lexer_core.load_testing.dispatch.Queue`.
    most
        Requests in a batch at most.
    batch_wait
        Seconds that the first request of a batch waits at most.
    """

    due: npt.NDArray[np.float64]
    limit: float
    most_late: int
    longest_wait: float
    most: int = 1
    batch_wait: float = 0.0


class LoadMember(Protocol):
    """One configuration, as a load test sees it.

    Attributes
    ----------
    label
        The row's name.
    engine
        Name of the engine.
    instances
        Threads that serve requests.
    batch
        Requests in the largest batch.
    """

    label: str
    engine: str
    instances: int
    batch: int

    def closed(self, concurrency: int, seconds: float) -> ClosedBlock:
        """Let some of the threads make calls one after the other.

        Raises
        ------
        LexerError
            The configuration failed, and leaves the test; likewise for :meth:`open`.
        """

    def open(self, requests: Requests) -> OpenBlock:
        """Serve requests that arrive at their times."""

    def gil(self) -> GilFacts:
        """Find out whether other threads of Python run during a call."""

    def fail(self, error: LexerError) -> None:
        """Record why it failed."""


@frozen(kw_only=True)
class LoadPlan:
    """What to measure, and for how long.

    Parameters
    ----------
    slo
        The objective.
    arrivals
        When requests arrive.
    max_seconds
        Time for all blocks of all configurations.
    rates
        Try these rates and no others.
    batch_wait
        Seconds that the first request of a batch waits at most.
    across_engines
        Whether only the best of all engines is of interest, and not that of each.
    """

    slo: Slo
    arrivals: Arrivals
    max_seconds: float
    rates: tuple[float, ...] = ()
    batch_wait: float = 0.0
    across_engines: bool = False


class LoadLog:
    """What was measured of one configuration; complete after every block.

    Attributes
    ----------
    closed
        Closed-loop blocks by concurrency.
    gil
        Whether other threads run during a call; ``None`` if unknown.
    predicted
        The highest rate that a simulated queue kept to; ``None`` if unknown.
    skipped
        Why it was not tested under load; empty if it was.
    """

    def __init__(self, slo: Slo) -> None:
        self.closed: dict[int, list[ClosedBlock]] = {}
        self.gil: GilFacts | None = None
        self.predicted: float | None = None
        self.skipped = ""
        self._slo = slo
        self._logs: dict[float, PointLog] = {}
        self._points: dict[float, RatePoint] = {}

    @property
    def points(self) -> Mapping[float, RatePoint]:
        """What is known of each rate."""
        return self._points

    @property
    def bracket(self) -> Bracket:
        """Between which rates the objective ceases to be kept."""
        return bracket_of(self._points, self._slo.share)

    def capacity(self, batch: int) -> float | None:
        """Return the most requests per second in the closed loop; ``None`` if unknown."""
        rates = [
            sum(len(block.latencies) for block in blocks) / sum(block.elapsed for block in blocks)
            for blocks in self.closed.values()
            if blocks
        ]
        return max(rates) * batch if rates else None

    def blocks_at(self, rate: float) -> int:
        """Return how many blocks there are at a rate."""
        return len(self._logs.get(rate, ()))

    def add(self, rate: float, due: npt.NDArray[np.float64], block: OpenBlock) -> None:
        """Record a block at a rate."""
        log = self._logs.setdefault(rate, PointLog(rate, self._slo))
        log.add(due, block)
        self._points[rate] = log.point()


def measure_load(
    members: Sequence[LoadMember],
    plan: LoadPlan,
    logs: Mapping[str, LoadLog],
    *,
    rng: random.Random,
    clock: Callable[[], float],
    on_block: Callable[[str, str, float], object] = lambda *_: None,
) -> None:
    """Test configurations under load, and fill their logs.

    Parameters
    ----------
    members
        The configurations; one that raises leaves the test.
    plan
        What to measure.
    logs
        A log for each label. They keep what is finished if the test is interrupted.
    rng
        Makes the order of each round.
    clock
        Seconds, monotonic.
    on_block
        Called before each block with the label, what is measured, and the share of the
        time that is spent.
    """
    test = _Test(plan=plan, logs=logs, rng=rng, clock=clock, on_block=on_block, start=clock())
    running = test.closed_loop(list(members))
    running = test.worth_testing(running)
    test.open_loop(running)


@frozen(kw_only=True, eq=False)
class _Test:
    plan: LoadPlan
    logs: Mapping[str, LoadLog]
    rng: random.Random
    clock: Callable[[], float]
    on_block: Callable[[str, str, float], object]
    start: float
    searches: dict[str, RateSearch] = field(factory=dict)

    def _tell(self, member: LoadMember, what: str) -> None:
        share = (self.clock() - self.start) / self.plan.max_seconds
        self.on_block(member.label, what, min(1.0, share))

    def _turns(
        self, members: list[LoadMember], action: Callable[[LoadMember], object]
    ) -> list[LoadMember]:
        """Let each member do something in a random order; return those that did not fail."""
        left = list(members)
        for member in self.rng.sample(members, len(members)):
            try:
                action(member)
            except LexerError as error:
                member.fail(error)
                left.remove(member)
        return left

    def closed_loop(self, members: list[LoadMember]) -> list[LoadMember]:
        """Measure the capacity of each member by its concurrency."""
        levels = sum(len(_levels(member)) for member in members)
        share = self.plan.max_seconds * _CLOSED_SHARE / max(1, levels * _CLOSED_ROUNDS)
        seconds = _clamped(share, _CLOSED_SECONDS)

        def measure(member: LoadMember) -> None:
            log = self.logs[member.label]
            for level in _levels(member):
                self._tell(member, f"closed loop, {level} at once")
                block = member.closed(level, seconds)
                log.closed.setdefault(level, []).append(block)

        for _ in range(_CLOSED_ROUNDS):
            members = self._turns(members, measure)

        def probe(member: LoadMember) -> None:
            self.logs[member.label].gil = member.gil()

        return self._turns(members, probe)

    def worth_testing(self, members: list[LoadMember]) -> list[LoadMember]:
        """Predict what each member can serve; return those that may be an engine's best."""
        plan = self.plan
        for member in members:
            log = self.logs[member.label]
            busiest = log.closed[max(log.closed)]
            capacity = log.capacity(member.batch)
            assert capacity is not None
            if member.batch == 1:
                latencies = np.concatenate([block.latencies for block in busiest])
                log.predicted = predicted_rate(
                    latencies, member.instances, capacity, plan.slo, plan.arrivals
                )
            self.searches[member.label] = RateSearch(
                capacity, plan.slo.share, expected=log.predicted or 0.0, rates=plan.rates
            )
        if plan.rates:
            return members
        best: dict[str, float] = {}
        for member in members:
            predicted = self.logs[member.label].predicted or 0.0
            group = self._group(member)
            best[group] = max(best.get(group, 0.0), predicted)
        left = []
        for member in members:
            log = self.logs[member.label]
            most = best[self._group(member)]
            if log.predicted is None or log.predicted >= _WORTH_TESTING * most:
                left.append(member)
                continue
            log.skipped = (
                "not tested under load: its calls in the closed loop predict "
                f"{significant(log.predicted)} requests/s, and those of another configuration "
                f"{significant(most)}"
            )
        return left

    def _group(self, member: LoadMember) -> str:
        """Return among which configurations a member must be able to be the best."""
        return "" if self.plan.across_engines else member.engine

    def open_loop(self, members: list[LoadMember]) -> None:
        """Serve requests at rates, until everything is known or the time is up."""
        left = self._seconds_left()
        if not members:
            return
        seconds = _clamped(left / (len(members) * _OPEN_BLOCKS), _OPEN_SECONDS)
        members = list(members)
        while members:
            finished: list[LoadMember] = []

            def serve(member: LoadMember, finished: list[LoadMember] = finished) -> None:
                log = self.logs[member.label]
                rate = self.searches[member.label].next_rate(log.points)
                # Each rate that the user gave is tried once, whatever the time.
                is_owed = rate not in log.points if self.plan.rates else not log.points
                if rate is None or (not is_owed and self._seconds_left() < seconds / 2.0):
                    finished.append(member)
                    return
                self._tell(member, f"{significant(rate)} requests/s")
                requests = self._requests(member, rate, seconds)
                log.add(rate, requests.due, member.open(requests))

            members = [each for each in self._turns(members, serve) if each not in finished]

    def _seconds_left(self) -> float:
        return self.plan.max_seconds - (self.clock() - self.start)

    def _requests(self, member: LoadMember, rate: float, seconds: float) -> Requests:
        plan, slo, log = self.plan, self.plan.slo, self.logs[member.label]
        capacity = log.capacity(member.batch) or rate
        if rate > capacity:
            # Long enough that the backlog, which grows in proportion, shows.
            needed = (_OVERLOADED_WAIT + 1.0) * slo.seconds / (1.0 - capacity / rate)
            seconds = min(max(seconds, needed), _LONGER * seconds)
        seconds = min(seconds, _MOST_REQUESTS / rate)
        due = plan.arrivals.times(rate, seconds, log.blocks_at(rate))
        # Below its capacity a backlog is drained, as after a stall.
        patience = _OVERLOADED_WAIT * slo.seconds if rate >= capacity else max(seconds, slo.seconds)
        return Requests(
            due=due,
            limit=slo.seconds,
            most_late=int(len(due) * (1.0 - slo.share)),
            longest_wait=patience,
            most=member.batch,
            batch_wait=plan.batch_wait,
        )


def _levels(member: LoadMember) -> list[int]:
    """Return the numbers of threads: one, twice as many, and so on up to all."""
    levels = [1]
    while levels[-1] * 2 < member.instances:
        levels.append(levels[-1] * 2)
    return sorted({*levels, member.instances})


def _clamped(value: float, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return min(max(value, low), high)
