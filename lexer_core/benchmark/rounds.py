"""Who measures when, how much, and when is it enough?

Every round gives each live case one block, in a new random order, so that drift
of the machine is common to all. Clock, random numbers and members are passed
in: a whole run can be replayed on a virtual clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from lexer_core.errors import LexerError
from lexer_core.worker.interrupts import interrupt_handled

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Collection, Mapping, Sequence

__all__ = [
    "LOOPED_SAMPLE",
    "SHORTEST_SAMPLE",
    "BackgroundTask",
    "BlockSize",
    "RoundMember",
    "RoundsOutcome",
    "RoundsPlan",
    "StopRule",
    "block_size",
    "run_rounds",
    "share_out",
]

SHORTEST_SAMPLE = 10e-6
"""Below this a single call is too short for the clock (bias above 1 %), in seconds."""

LOOPED_SAMPLE = 100e-6
"""The shortest sample that consists of several calls, in seconds."""

BLOCK_CALLS = 3
SHORTEST_BLOCK = 0.005
LONGEST_BLOCK = 0.025
"""Kept calls of a block, in seconds. Many short rounds beat few long ones: with
EfficientNet-Lite0 on two shared cores, ± 2 % took 75 s in rounds of 590 ms and
22 to 30 s in rounds of 130 ms (November 2026)."""

DISCARDED_CALLS = 3
DISCARDED_SECONDS = 0.001
ONE_DISCARDED_FROM = 0.002
NONE_DISCARDED_FROM = 0.25
"""Calls after a switch between processes that are not samples. Calls 3 to 20 of a
6 µs model are 3 % slow; of calls from 8 to 45 ms only the first is, by 0.3 to 4 %,
about a millisecond, which does not matter to a call of 250 ms."""

FEWEST_ROUNDS_EXACT = 20
"""Rounds over which an exact number of samples is spread, so that p99 can be judged."""


@frozen(kw_only=True)
class BlockSize:
    """Samples in a block, calls in a sample, and calls before them that are not samples."""

    count: int
    loops: int
    discard: int = 0


def block_size(call_seconds: float, *, single_calls: bool = False) -> BlockSize:
    """Choose the size of a block from how long one call takes.

    Parameters
    ----------
    call_seconds
        A typical call.
    single_calls
        Every sample must be one call, because the session keeps state.
    """
    call = max(call_seconds, 1e-9)
    loops = 1
    if call < SHORTEST_SAMPLE and not single_calls:
        loops = math.ceil(LOOPED_SAMPLE / call)
    sample = call * loops
    seconds = min(max(BLOCK_CALLS * sample, SHORTEST_BLOCK), LONGEST_BLOCK)
    return BlockSize(
        count=max(1, round(seconds / sample)), loops=loops, discard=_discarded_calls(call)
    )


def _discarded_calls(call_seconds: float) -> int:
    if call_seconds >= NONE_DISCARDED_FROM:
        return 0
    if call_seconds >= ONE_DISCARDED_FROM:
        return 1
    return max(DISCARDED_CALLS, math.ceil(DISCARDED_SECONDS / call_seconds))


def share_out(total: int, rounds: int) -> tuple[int, ...]:
    """Divide ``total`` samples over ``rounds`` as evenly as whole numbers allow."""
    base, extra = divmod(total, rounds)
    return tuple(base + (index < extra) for index in range(rounds))


class RoundMember(Protocol):
    """A live case, as the rounds see it."""

    @property
    def label(self) -> str:
        """The row's name."""

    @property
    def size(self) -> BlockSize:
        """Samples in a block, calls in a sample, discarded calls."""

    def take(self, round_id: int, count: int) -> float:
        """Take one block and keep it; return its centre in seconds per call.

        Raises
        ------
        LexerError
            The case failed and leaves the rounds.
        """

    def fail(self, error: LexerError) -> None:
        """Record why ``take`` failed."""


class BackgroundTask(Protocol):
    """What is measured along with the cases without being one: the reference workload."""

    def takes_part(self, rounds: int, seconds: float) -> bool:
        """Whether it takes a block in the next round, after that many rounds and seconds."""

    def take(self, round_id: int) -> float | None:
        """Take one block and keep it; return its centre in seconds per call.

        ``None`` if it failed, which does not concern the rounds.
        """


class StopRule(Protocol):
    """Decides whether the rounds so far answer the question."""

    def add_round(self, centres: Mapping[str, float], background: float | None) -> None:
        """Record what one round measured, by label, and of the background task if it took part."""

    def reached(self, most_rounds: float) -> str:
        """Return why to stop, such as ``"decided"``; empty to go on.

        ``most_rounds`` is about how many the time allows in all.
        """

    def leaving(self) -> Collection[str]:
        """Return the labels of members that need take no further part, after :meth:`reached`."""

    def status(self) -> str:
        """Return what is known so far, in a few words for the progress display."""


@frozen(kw_only=True)
class RoundsPlan:
    """How long the rounds of one launch go on.

    ``samples`` or ``rounds``, if set, are exact; otherwise rounds go on until the
    stop rule is satisfied, at least ``min_seconds`` and at most ``max_seconds``.
    """

    max_seconds: float
    min_seconds: float = 2.0
    samples: int | None = None
    rounds: int | None = None
    first_round: int = 0


@frozen(kw_only=True)
class RoundsOutcome:
    """How the rounds ended.

    ``stopped_because`` is what the stop rule returned, or ``"max_seconds"``,
    ``"num_iterations"``, ``"rounds"``, ``"interrupted"`` or ``"nothing left"``.
    ``orders`` has the labels of each round in the order of their blocks.
    ``looks`` is how often it was decided whether to go on; 0 if their number was fixed.
    """

    rounds: int
    seconds: float
    stopped_because: str
    orders: tuple[tuple[str, ...], ...] = ()
    looks: int = 0


def run_rounds(
    members: Sequence[RoundMember],
    plan: RoundsPlan,
    stop: StopRule,
    *,
    rng: random.Random,
    clock: Callable[[], float],
    on_round: Callable[[int, float, float], object] | None = None,
    background: BackgroundTask | None = None,
) -> RoundsOutcome:
    """Take rounds until the plan is fulfilled.

    Parameters
    ----------
    members
        Live cases; one that raises leaves the rounds.
    plan
        What is exact and what is bounded.
    stop
        Receives every round.
    rng
        Makes the order of each round.
    clock
        Seconds, monotonic.
    on_round
        Called after each round with the number of rounds, the finished share of
        the work (0 to 1), and the seconds left at most.
    background
        Takes blocks among those of the cases, at its place in the random order.

    Returns
    -------
    RoundsOutcome
        Also after Ctrl-C: what was measured is kept.
    """
    live = list(members)
    shares = _exact_shares(live, plan)
    total = len(shares) if shares is not None else plan.rounds
    start = clock()
    done = 0
    orders: list[tuple[str, ...]] = []
    reason = "nothing left"
    try:
        while live:
            centres = {}
            behind: float | None = None
            queue: list[RoundMember | None] = [*live]
            if background is not None and background.takes_part(done, clock() - start):
                queue.append(None)
            for member in rng.sample(queue, len(queue)):
                if member is None:
                    assert background is not None
                    behind = background.take(plan.first_round + done)
                    continue
                count = shares[done] if shares is not None else member.size.count
                try:
                    centres[member.label] = member.take(plan.first_round + done, count)
                except LexerError as error:
                    live.remove(member)
                    member.fail(error)
            if not live:
                break
            done += 1
            orders.append(tuple(centres))
            stop.add_round(centres, behind)
            spent = clock() - start
            if on_round is not None:
                on_round(done, *_progress(done, total, spent, plan.max_seconds))
            if total is not None:
                if done >= total:
                    reason = "num_iterations" if plan.samples is not None else "rounds"
                    break
                continue
            most_rounds = max(float(done), done * plan.max_seconds / max(spent, 1e-9))
            if spent >= min(plan.min_seconds, plan.max_seconds) and (
                reached := stop.reached(most_rounds)
            ):
                reason = reached
                break
            left = stop.leaving()
            live = [member for member in live if member.label not in left]
            # Half a round more than the budget is closer to it than half a round less.
            if spent + spent / done / 2 >= plan.max_seconds:
                reason = "max_seconds"
                break
    except KeyboardInterrupt:
        interrupt_handled()
        reason = "interrupted"
    return RoundsOutcome(
        rounds=done, seconds=clock() - start, stopped_because=reason, orders=tuple(orders)
    )


def _progress(
    done: int, total: int | None, spent: float, max_seconds: float
) -> tuple[float, float]:
    """Return the finished share of the work, and the seconds left at most."""
    if total is not None:
        return done / total, spent / done * (total - done)
    # The warm-up may have taken all of the time; one round is taken nevertheless.
    share = min(1.0, spent / max_seconds) if max_seconds > 0.0 else 1.0
    return share, max(0.0, max_seconds - spent)


def _exact_shares(members: Sequence[RoundMember], plan: RoundsPlan) -> tuple[int, ...] | None:
    """Divide an exact number of samples over rounds, the same for every case."""
    if plan.samples is None or not members:
        return None
    if plan.rounds is not None:
        return share_out(plan.samples, min(plan.rounds, plan.samples))
    smallest = min(member.size.count for member in members)
    wanted = max(FEWEST_ROUNDS_EXACT, math.ceil(plan.samples / smallest))
    return share_out(plan.samples, min(wanted, plan.samples))
