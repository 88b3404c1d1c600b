"""Rounds, replayed on a virtual clock."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from lexer_core.benchmark.grouping import group_cases
from lexer_core.benchmark.rounds import (
    BlockSize,
    RoundsPlan,
    block_size,
    run_rounds,
    share_out,
)
from lexer_core.errors import WorkerError


class VirtualMachine:
    """A clock that moves only when somebody takes a block."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[tuple[int, str, int]] = []

    def clock(self) -> float:
        return self.now


class Case:
    def __init__(self, label: str, machine: VirtualMachine, seconds: float, **faults: int) -> None:
        self.label = label
        self.size = block_size(seconds)
        self.machine = machine
        self.seconds = seconds
        self.fails_in = faults.get("fails_in")
        self.interrupts_in = faults.get("interrupts_in")
        self.error: Exception | None = None

    def take(self, round_id: int, count: int) -> float:
        if round_id == self.fails_in:
            raise WorkerError(f"{self.label} died")
        if round_id == self.interrupts_in:
            raise KeyboardInterrupt
        self.machine.log.append((round_id, self.label, count))
        self.machine.now += count * self.size.loops * self.seconds
        return self.seconds

    def fail(self, error: Exception) -> None:
        self.error = error


class StopAfter:
    def __init__(self, rounds: float) -> None:
        self.rounds = rounds
        self.seen: list[dict[str, float]] = []
        self.background: list[float | None] = []

    def add_round(self, centres: dict[str, float], background: float | None) -> None:
        self.seen.append(dict(centres))
        self.background.append(background)

    def reached(self, most_rounds: float) -> str:
        return "precise" if len(self.seen) >= self.rounds else ""

    def leaving(self) -> list[str]:
        return []

    def status(self) -> str:
        return ""


NEVER = float("inf")


def run(cases: list[Case], plan: RoundsPlan, stop: StopAfter, seed: int = 0):
    return run_rounds(cases, plan, stop, rng=random.Random(seed), clock=cases[0].machine.clock)


def two_cases(**faults: int) -> tuple[VirtualMachine, list[Case]]:
    machine = VirtualMachine()
    return machine, [Case("a", machine, 0.001), Case("b", machine, 0.002, **faults)]


def test_every_round_gives_each_case_one_block() -> None:
    machine, cases = two_cases()
    ended = run(cases, RoundsPlan(max_seconds=1.0), StopAfter(NEVER))

    assert ended.stopped_because == "max_seconds"
    blocks = Counter((round_id, label) for round_id, label, _ in machine.log)
    assert blocks == {(index, label): 1 for index in range(ended.rounds) for label in "ab"}


def test_the_order_changes_from_round_to_round_and_follows_the_seed() -> None:
    orders = []
    for seed in (1, 1, 2):
        machine, cases = two_cases()
        run(cases, RoundsPlan(max_seconds=2.0), StopAfter(NEVER), seed)
        orders.append([label for _, label, _ in machine.log])

    assert orders[0] == orders[1] != orders[2]
    firsts = Counter(orders[0][::2])
    assert min(firsts["a"], firsts["b"]) > len(orders[0]) / 2 * 0.3


@pytest.mark.parametrize("samples", [1, 3, 19, 20, 1000, 1001])
def test_exactly_the_samples_asked_for_are_taken_in_the_same_rounds(samples: int) -> None:
    machine, cases = two_cases()
    ended = run(cases, RoundsPlan(max_seconds=0.001, samples=samples), StopAfter(1))

    assert ended.stopped_because == "num_iterations"
    for label in "ab":
        counts = [count for _, each, count in machine.log if each == label]
        assert sum(counts) == samples
        assert len(counts) == ended.rounds
        assert max(counts) - min(counts) <= 1


def test_rounds_stop_when_the_rule_is_satisfied_but_not_before_the_minimum_time() -> None:
    _, cases = two_cases()
    ended = run(cases, RoundsPlan(max_seconds=30.0), StopAfter(10))

    assert ended.stopped_because == "precise"
    assert 2.0 <= ended.seconds < 2.1

    _, cases = two_cases()
    ended = run(cases, RoundsPlan(max_seconds=30.0, min_seconds=0.0), StopAfter(10))

    assert (ended.rounds, ended.stopped_because) == (10, "precise")


@pytest.mark.parametrize("call", [1e-5, 0.003, 0.04, 0.3])
def test_the_time_limit_is_kept_within_a_tenth(call: float) -> None:
    machine = VirtualMachine()
    cases = [Case("a", machine, call), Case("b", machine, 1.7 * call)]
    ended = run(cases, RoundsPlan(max_seconds=10.0), StopAfter(NEVER))

    assert ended.stopped_because == "max_seconds"
    assert ended.seconds == pytest.approx(10.0, rel=0.1)


def test_a_round_longer_than_the_time_limit_is_still_taken() -> None:
    machine = VirtualMachine()
    ended = run([Case("a", machine, 5.0)], RoundsPlan(max_seconds=1.0), StopAfter(NEVER))

    assert (ended.rounds, ended.stopped_because) == (1, "max_seconds")


def test_a_round_is_taken_when_the_warm_up_took_all_of_the_time() -> None:
    seen = []
    _, cases = two_cases()
    ended = run_rounds(
        cases,
        RoundsPlan(max_seconds=0.0),
        StopAfter(NEVER),
        rng=random.Random(0),
        clock=cases[0].machine.clock,
        on_round=lambda *told: seen.append(told),
    )

    assert (ended.rounds, ended.stopped_because) == (1, "max_seconds")
    assert seen == [(1, 1.0, 0.0)]


def test_progress_reports_the_share_done_and_the_seconds_left() -> None:
    seen = []
    _, cases = two_cases()
    run_rounds(
        cases,
        RoundsPlan(max_seconds=1.0),
        StopAfter(NEVER),
        rng=random.Random(0),
        clock=cases[0].machine.clock,
        on_round=lambda *told: seen.append(told),
    )

    assert [done for done, _, _ in seen] == list(range(1, len(seen) + 1))
    assert all(share == pytest.approx(1.0 - left) for _, share, left in seen)
    assert seen[-1][1] == pytest.approx(1.0, abs=0.02)


def test_a_number_of_rounds_is_exact() -> None:
    _, cases = two_cases()
    ended = run(cases, RoundsPlan(max_seconds=60.0, rounds=7), StopAfter(1))

    assert (ended.rounds, ended.stopped_because) == (7, "rounds")


def test_a_case_that_fails_leaves_and_the_others_go_on() -> None:
    _, cases = two_cases(fails_in=4)
    stop = StopAfter(NEVER)
    ended = run(cases, RoundsPlan(max_seconds=60.0, rounds=9), stop)

    assert ended.rounds == 9
    assert str(cases[1].error) == "b died"
    assert [set(centres) for centres in stop.seen] == [{"a", "b"}] * 4 + [{"a"}] * 5


def test_ctrl_c_ends_the_rounds_and_keeps_what_was_taken() -> None:
    machine, cases = two_cases(interrupts_in=3)
    ended = run(cases, RoundsPlan(max_seconds=60.0), StopAfter(NEVER))

    assert (ended.rounds, ended.stopped_because) == (3, "interrupted")
    assert len(machine.log) >= 6


def test_rounds_of_a_later_launch_have_numbers_of_their_own() -> None:
    machine, cases = two_cases()
    run(cases, RoundsPlan(max_seconds=1.0, rounds=2, first_round=10), StopAfter(NEVER))

    assert {round_id for round_id, _, _ in machine.log} == {10, 11}


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (3e-6, BlockSize(count=49, loops=34, discard=334)),
        (10e-6, BlockSize(count=500, loops=1, discard=101)),
        (1e-3, BlockSize(count=5, loops=1, discard=3)),
        (8e-3, BlockSize(count=3, loops=1, discard=1)),
        (40e-3, BlockSize(count=1, loops=1, discard=1)),
        (2.0, BlockSize(count=1, loops=1, discard=0)),
    ],
)
def test_blocks_are_short_and_discard_what_a_switch_slows_down(
    call: float, size: BlockSize
) -> None:
    assert block_size(call).count == size.count
    assert block_size(call).loops == size.loops
    assert block_size(call).discard == pytest.approx(size.discard, abs=1)


def test_a_session_that_keeps_state_is_never_looped() -> None:
    assert block_size(1e-6, single_calls=True).loops == 1


@pytest.mark.parametrize(("total", "parts"), [(10, 3), (3, 5), (7, 7), (0, 2)])
def test_sharing_out_loses_nothing(total: int, parts: int) -> None:
    shares = share_out(total, parts)

    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_cases_that_do_not_fit_together_share_the_baseline() -> None:
    cases = [("base", 3), ("a", 3), ("b", 3), ("c", 9)]

    assert group_cases(cases, 100) == [["base", "a", "b", "c"]]
    assert group_cases(cases, 10) == [["base", "a", "b"], ["base", "c"]]
    assert group_cases(cases, 1) == [["base", "a"], ["base", "b"], ["base", "c"]]
    assert group_cases([], 10) == []


class Beside:
    """A reference workload: takes part in some of the rounds."""

    def __init__(self, machine: VirtualMachine, last_round: float = NEVER) -> None:
        self.machine = machine
        self.last_round = last_round

    def takes_part(self, rounds: int, seconds: float) -> bool:
        return rounds <= self.last_round

    def take(self, round_id: int) -> float:
        self.machine.log.append((round_id, "canary", 1))
        self.machine.now += 0.001
        return 0.001


def run_beside(last_round: float = NEVER, **plan: float) -> tuple[VirtualMachine, StopAfter]:
    machine, cases = two_cases()
    stop = StopAfter(NEVER)
    run_rounds(
        cases,
        RoundsPlan(**{"max_seconds": 2.0, **plan}),
        stop,
        rng=random.Random(3),
        clock=machine.clock,
        background=Beside(machine, last_round),
    )
    return machine, stop


def test_a_background_task_has_its_place_in_the_random_order_and_counts_for_nothing() -> None:
    machine, stop = run_beside()

    places = Counter(at % 3 for at, (_, label, _) in enumerate(machine.log) if label == "canary")
    assert min(places.values()) > sum(places.values()) / 3 * 0.5
    assert {frozenset(centres) for centres in stop.seen} == {frozenset("ab")}


def test_a_background_task_sits_out_the_rounds_that_it_does_not_want() -> None:
    machine, stop = run_beside(last_round=4)

    assert [number for number, label, _ in machine.log if label == "canary"] == list(range(5))
    assert stop.background[:6] == [0.001] * 5 + [None]


def test_a_background_task_changes_no_exact_number_of_samples() -> None:
    machine, _ = run_beside(samples=101)

    for label in "ab":
        assert sum(count for _, each, count in machine.log if each == label) == 101


def test_a_background_task_does_not_keep_rounds_going() -> None:
    machine = VirtualMachine()
    cases = [Case("a", machine, 0.001, fails_in=2)]
    ended = run_rounds(
        cases,
        RoundsPlan(max_seconds=1.0),
        StopAfter(NEVER),
        rng=random.Random(0),
        clock=machine.clock,
        background=Beside(machine),
    )

    assert (ended.rounds, ended.stopped_because) == (2, "nothing left")
