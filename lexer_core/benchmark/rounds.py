"""Who measures when, how much, and when is it enough?

Every round gives each live case one block, in a fresh random order, so that the
drift of the machine is common to all. Clock, random numbers and participants
are handed in: a whole run can be replayed on a virtual clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from lexer_core.errors import LexerError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = [
    "BackgroundTask",
    "BlockSize",
    "RoundMember",
    "RoundsOutcome",
    "RoundsPlan",
    "StopRule",
    "block_size",
    "compared_by_means",
    "run_rounds",
    "share_out",
]

SHORTEST_SAMPLE = 10e-6
"""Below this a single call is too short for the clock (bias over 1 %), seconds."""

LOOPED_SAMPLE = 100e-6
"""How long a sample of several calls lasts at least, seconds."""

BLOCK_CALLS = 10
SHORTEST_BLOCK = 0.005
LONGEST_BLOCK = 0.25

FEWEST_ROUNDS = 10
ROUNDS_FOR_TAILS = 20
SAMPLES_FOR_TAILS = 368
"""An interval of p99 needs so many rounds and, in them, so many samples. The rounds
are taken where they bring the samples, unless they cost too much."""

SHORTEST_RUN = 2.0
"""Seconds of rounds at the least, so that more than one mood of the machine is seen."""

_BUDGET_FOR_TAILS = 1 / 3


@frozen(kw_only=True)
class BlockSize:
    """Samples in a block, and calls in a sample."""

    count: int
    loops: int


def block_size(call_seconds: float, *, single_calls: bool = False) -> BlockSize:
    """Choose the size of a block from how long one call takes.

    Parameters
    ----------
    call_seconds
        A typical call.
    single_calls
        Every sample must be one call, because the session keeps state.
    """
    loops = 1
    if call_seconds < SHORTEST_SAMPLE and not single_calls:
        loops = math.ceil(LOOPED_SAMPLE / max(call_seconds, 1e-9))
    sample = max(call_seconds * loops, 1e-9)
    seconds = min(max(BLOCK_CALLS * sample, SHORTEST_BLOCK), LONGEST_BLOCK)
    return BlockSize(count=max(1, round(seconds / sample)), loops=loops)


def compared_by_means(loops: Iterable[int]) -> bool:
    """Whether cases with these calls per sample are compared by means of blocks.

    A median of single calls and a median of means of calls estimate different
    centres, so where some cases loop and some do not, all use means. Otherwise
    medians serve: a stall in one call must not decide a round.
    """
    return len({count > 1 for count in loops}) > 1


def share_out(total: int, rounds: int) -> tuple[int, ...]:
    """Share ``total`` samples out over ``rounds`` as evenly as whole numbers allow."""
    base, extra = divmod(total, rounds)
    return tuple(base + (index < extra) for index in range(rounds))


class RoundMember(Protocol):
    """A live case, as the rounds see it."""

    @property
    def label(self) -> str:
        """The row's name."""

    @property
    def size(self) -> BlockSize:
        """Samples in a block, and calls in a sample."""

    def take(self, round_id: int, count: int) -> float:
        """Take one block and keep it; returns its centre, seconds per call.

        Raises
        ------
        LexerError
            The case has failed and is over.
        """

    def fail(self, error: LexerError) -> None:
        """Be told that ``take`` has failed."""


class BackgroundTask(Protocol):
    """What is measured beside the cases, and counts for nothing: the canary."""

    def takes_part(self, rounds: int, seconds: float) -> bool:
        """Whether it takes a block in the next round, after so many rounds and seconds."""

    def take(self, round_id: int) -> None:
        """Take one block and keep it; whatever goes wrong is its own affair."""


class StopRule(Protocol):
    """Decides whether the data are precise enough."""

    def add_round(self, centres: Mapping[str, float]) -> None:
        """Learn what one round measured, by label."""

    def reached(self) -> str:
        """Say why to stop; empty to go on.

        ``"precise"``: every interval is as narrow as was asked for;
        ``"launches"``: more rounds would not make them narrower.
        """


@frozen(kw_only=True)
class RoundsPlan:
    """How long the rounds of one launch go on.

    ``samples`` or ``rounds``, where set, are exact; otherwise rounds go on until
    the stop rule is satisfied or ``max_seconds`` are spent.
    """

    max_seconds: float
    samples: int | None = None
    rounds: int | None = None
    first_round: int = 0


@frozen(kw_only=True)
class RoundsOutcome:
    """How the rounds ended.

    ``stopped_because`` is one of ``"precise"``, ``"launches"``,
    ``"max_seconds"``, ``"num_iterations"``, ``"rounds"``, ``"interrupted"``,
    ``"nothing left"``. ``orders`` holds the labels of each
    round in the order in which they took their blocks.
    """

    rounds: int
    seconds: float
    stopped_because: str
    orders: tuple[tuple[str, ...], ...] = ()


def run_rounds(
    participants: Sequence[RoundMember],
    plan: RoundsPlan,
    stop: StopRule,
    *,
    rng: random.Random,
    clock: Callable[[], float],
    on_round: Callable[[int, float], object] | None = None,
    companion: BackgroundTask | None = None,
) -> RoundsOutcome:
    """Take rounds until the plan says that it is enough.

    Parameters
    ----------
    participants
        Live cases; one that raises is told so and leaves the rounds.
    plan
        What is exact and what is bounded.
    stop
        Told of every round.
    rng
        Makes the order of each round.
    clock
        Seconds, monotonic.
    on_round
        Called after each round with the number of rounds done and the share of
        the work that is done, as far as it can be foretold.
    companion
        Takes blocks among those of the cases, at its place in the random order.

    Returns
    -------
    RoundsOutcome
        Also after Ctrl-C: what was measured is kept.
    """
    live = list(participants)
    shares = _exact_shares(live, plan)
    total = len(shares) if shares is not None else plan.rounds
    start = clock()
    done = 0
    orders: list[tuple[str, ...]] = []
    reason = "nothing left"
    try:
        while live:
            centres = {}
            members: list[RoundMember | None] = [*live]
            if companion is not None and companion.takes_part(done, clock() - start):
                members.append(None)
            for participant in rng.sample(members, len(members)):
                if participant is None:
                    assert companion is not None
                    companion.take(plan.first_round + done)
                    continue
                count = shares[done] if shares is not None else participant.size.count
                try:
                    centres[participant.label] = participant.take(plan.first_round + done, count)
                except LexerError as error:
                    live.remove(participant)
                    participant.fail(error)
            if not live:
                break
            done += 1
            orders.append(tuple(centres))
            stop.add_round(centres)
            spent = clock() - start
            if on_round is not None:
                on_round(done, done / total if total else min(1.0, spent / plan.max_seconds))
            if total is not None:
                if done >= total:
                    reason = "num_iterations" if plan.samples is not None else "rounds"
                    break
                continue
            if spent >= plan.max_seconds:
                reason = "max_seconds"
                break
            if _enough_rounds(live, done, spent, plan) and (reached := stop.reached()):
                reason = reached
                break
    except KeyboardInterrupt:
        reason = "interrupted"
    return RoundsOutcome(
        rounds=done, seconds=clock() - start, stopped_because=reason, orders=tuple(orders)
    )


def _enough_rounds(live: Sequence[RoundMember], done: int, spent: float, plan: RoundsPlan) -> bool:
    if done < FEWEST_ROUNDS or spent < min(SHORTEST_RUN, plan.max_seconds):
        return False
    if done >= ROUNDS_FOR_TAILS or spent > _BUDGET_FOR_TAILS * plan.max_seconds:
        return True
    # Rounds that would still leave too few samples for p99 are not taken for its sake.
    most = max(participant.size.count for participant in live)
    return most * ROUNDS_FOR_TAILS < SAMPLES_FOR_TAILS


def _exact_shares(participants: Sequence[RoundMember], plan: RoundsPlan) -> tuple[int, ...] | None:
    """Share an exact number of samples out over rounds, the same for every case."""
    if plan.samples is None or not participants:
        return None
    if plan.rounds is not None:
        return share_out(plan.samples, min(plan.rounds, plan.samples))
    smallest = min(participant.size.count for participant in participants)
    wanted = max(ROUNDS_FOR_TAILS, math.ceil(plan.samples / smallest))
    return share_out(plan.samples, min(wanted, plan.samples))
