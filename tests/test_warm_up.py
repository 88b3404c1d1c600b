"""The calls before the rounds, and the early rounds that still are warm-up."""

from __future__ import annotations

import numpy as np
import pytest

from lexer_core.benchmark.case_records import Block
from lexer_core.benchmark.sample_log import SampleLog
from lexer_core.benchmark.stop_rule import VerdictRule
from lexer_core.benchmark.warm_up import warm_up
from lexer_core.machine.system_counters import read_counters
from lexer_core.statistics import RoundCentres, compare_cases


class Session:
    """Calls that take the times it is given; the last one for ever after."""

    def __init__(self, *seconds: float) -> None:
        self.seconds = seconds
        self.calls = 0

    def take(self, count: int) -> np.ndarray:
        at = range(self.calls, self.calls + count)
        self.calls += count
        return np.array([self.seconds[min(each, len(self.seconds) - 1)] for each in at])


def test_a_steady_session_is_called_for_a_tenth_of_a_second():
    session = Session(0.008)
    done = warm_up(session.take, 0.009)

    assert done.calls == session.calls == len(done.latencies)
    assert 0.1 <= done.latencies.sum() <= 0.2
    assert done.typical_seconds == 0.008


def test_short_calls_are_made_in_growing_batches():
    session = Session(3e-6)
    done = warm_up(session.take, 1e-4)

    assert 0.1 <= done.latencies.sum() <= 0.25
    assert done.typical_seconds == 3e-6


def test_a_falling_latency_is_followed_until_it_is_level_or_time_is_up():
    falling = Session(*(0.005 + 0.1 * 0.85**call for call in range(500)))

    assert warm_up(falling.take, 0.1, max_seconds=5.0).typical_seconds < 0.01
    assert warm_up(falling.take, 0.1, max_seconds=0.2).latencies.sum() < 0.7


@pytest.mark.parametrize("call", [0.3, 1.0, 5.0])
def test_slow_calls_are_made_one_by_one_and_stop_at_the_limit(call):
    session = Session(call)
    done = warm_up(session.take, call, max_seconds=1.0)

    assert 1 <= done.calls <= max(5, 1 + 1 / call)
    assert done.latencies.sum() < 1.0 + call


def test_a_late_compilation_does_not_set_the_size_of_blocks():
    session = Session(0.01, 0.01, 0.9, 0.01)

    assert warm_up(session.take, 0.01, max_seconds=2.0).typical_seconds == 0.01


# --- Early rounds. ---


def rounds_of(rule: VerdictRule, series: dict[str, list[float]], reference: list[float]) -> None:
    for number, background in enumerate(reference):
        rule.add_round({label: times[number] for label, times in series.items()}, background)


def test_early_rounds_of_a_case_that_compiles_late_are_warm_up():
    rng = np.random.default_rng(1)
    noise = rng.lognormal(0.0, 0.01, (2, 60))
    slow = np.where(np.arange(60) < 5, 3.0, 1.0)
    rule = VerdictRule(["a", "b"], 0.02, 0.02, 1)
    rounds_of(rule, {"a": list(0.01 * noise[0]), "b": list(0.02 * slow * noise[1])}, [0.001] * 60)

    judged = rule.judge_warm_up()

    assert judged["b"].early_rounds.max() in (4, 5)
    assert all(each.steady for each in judged.values())


@pytest.mark.parametrize("slow_rounds", [0, 5])
def test_a_verdict_never_rests_on_fewer_than_ten_rounds_without_warm_up(slow_rounds):
    rng = np.random.default_rng(3)
    noise = rng.lognormal(0.0, 0.01, (2, 40))
    slow = np.where(np.arange(40) < slow_rounds, 3.0, 1.0)
    rule = VerdictRule(["a", "b"], 0.02, 0.02, 1)
    rounds = 0
    while not rule.reached(1000.0):
        now = slice(rounds, rounds + 1)
        rounds_of(
            rule, {"a": list(0.01 * noise[0, now]), "b": list(0.03 * (slow * noise[1])[now])}, [1.0]
        )
        rounds += 1

    assert rounds - rule.early_rounds() >= 10
    assert (rule.early_rounds() > 0) == (slow_rounds > 0)


@pytest.mark.parametrize("seed", range(12))
def test_the_verdict_is_clear_without_the_early_rounds_when_measuring_stops(seed):
    noise = np.random.default_rng(seed).lognormal(0.0, 0.03, (2, 400))
    slow = np.where(np.arange(400) < 6, 1.5, 1.0)
    rule = VerdictRule(["a", "b"], 0.02, 0.02, 1)
    cases = {"a": 0.01 * noise[0], "b": 0.01 * slow * noise[1]}
    rounds = 0
    while not (reason := rule.reached(400.0)) and rounds < 400:
        rounds_of(rule, {name: [values[rounds]] for name, values in cases.items()}, [1.0])
        rounds += 1

    early = rule.early_rounds()
    kept = {
        name: RoundCentres(rounds=np.arange(early, rounds), values=values[early:rounds])
        for name, values in cases.items()
    }
    (pair,) = compare_cases(kept, delta=0.02, launches=1, look=rule.looks).pairs
    assert early > 0
    assert pair.verdict == "tie" or reason != "precise"


def test_leaving_out_warm_up_leaves_ten_rounds_of_a_run_that_ends_early():
    rule = VerdictRule(["a", "b"], 0.02, 0.02, 1)
    noise = np.random.default_rng(4).lognormal(0.0, 0.01, (2, 14))
    slow = np.where(np.arange(14) < 5, 3.0, 1.0)
    rounds_of(rule, {"a": list(0.01 * noise[0]), "b": list(0.02 * slow * noise[1])}, [0.001] * 14)

    assert rule.judge_warm_up()["b"].early_rounds.size == 5
    assert rule.early_rounds() == 4


def test_a_drifting_machine_is_not_warm_up():
    rng = np.random.default_rng(2)
    noise = rng.lognormal(0.0, 0.01, (3, 80))
    drift = np.linspace(1.0, 1.5, 80)
    rule = VerdictRule(["a", "b"], 0.02, 0.02, 1)
    rounds_of(
        rule,
        {"a": list(0.01 * drift * noise[0]), "b": list(0.02 * drift * noise[1])},
        list(0.001 * drift * noise[2]),
    )

    judged = rule.judge_warm_up()

    assert all(each.steady for each in judged.values())
    assert all(each.early_rounds.size == 0 for each in judged.values())


def test_a_case_alone_without_a_reference_is_not_judged():
    rule = VerdictRule(["a"], 0.02, 0.02, 1)
    for _ in range(20):
        rule.add_round({"a": 0.01}, None)

    assert rule.judge_warm_up() == {}


def block(*samples: float) -> Block:
    counters = read_counters()
    return Block(
        samples=np.array(samples),
        device_samples=np.array(samples) / 2,
        loops=1,
        elapsed=sum(samples),
        before=counters,
        after=counters,
    )


def test_rounds_that_were_warm_up_leave_the_samples_but_are_kept():
    log = SampleLog()
    log.add_warm_up(np.array([9.0]))
    log.add(0, block(1.0))
    log.launch = 1
    for number, samples in ((10, (2.0, 3.0)), (11, (4.0,)), (12, (5.0, 6.0))):
        log.add(number, block(*samples))

    log.move_to_warm_up(before_round=12)

    assert log.samples.tolist() == [1.0, 5.0, 6.0]
    assert log.device_samples.tolist() == [0.5, 2.5, 3.0]
    assert log.rounds.tolist() == [0, 12, 12]
    assert log.launches.tolist() == [0, 1, 1]
    assert log.warm_up_samples.tolist() == [9.0, 2.0, 3.0, 4.0]
    assert log.warm_up_launches.tolist() == [0, 1, 1, 1]
    assert log.block_lengths.tolist() == [1, 2]
