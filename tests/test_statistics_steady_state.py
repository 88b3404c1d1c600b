from __future__ import annotations

import numpy as np

from lexer_core.statistics import find_steady_state, plan_warm_up


def quiet(calls: int, seed: int = 0, typical: float = 1e-3) -> np.ndarray:
    return typical * np.exp(0.02 * np.random.default_rng(seed).standard_normal(calls))


def play(latency_of_call, **limits):
    """Make the calls that the plan asks for until it is content."""
    latencies: list[float] = []
    asked: list[int] = []
    while True:
        plan = plan_warm_up(np.array(latencies), **limits)
        if plan.calls == 0:
            return plan, np.array(latencies), asked
        asked.append(plan.calls)
        latencies += [latency_of_call(len(latencies) + i) for i in range(plan.calls)]
        assert len(asked) < 200


def test_a_steady_window_drops_five_calls_at_least():
    state = find_steady_state(quiet(200, seed=3))

    assert state.steady
    assert not state.needs_more
    assert 5 <= state.drop < 100
    assert not state.reason


def test_slow_first_calls_are_cut_off_to_the_batch():
    latencies = quiet(200)
    latencies[:23] *= 2.0

    state = find_steady_state(latencies)

    assert 23 <= state.drop <= 40
    assert state.steady


def test_spikes_that_no_median_of_five_shows_are_cut_off_too():
    latencies = quiet(400)
    latencies[:48:4] *= 3.0

    assert find_steady_state(latencies).drop >= 45


def test_a_single_stall_does_not_move_the_cut():
    latencies = quiet(400, seed=2)
    before = find_steady_state(latencies).drop
    latencies[390] *= 500.0

    state = find_steady_state(latencies)

    assert abs(state.drop - before) <= 10
    assert state.steady


def test_warm_up_past_half_of_the_window_asks_for_more():
    latencies = quiet(100)
    latencies[:50] *= 2.0

    assert find_steady_state(latencies).needs_more


def test_a_step_late_in_the_window_is_not_steady_and_says_by_how_much():
    latencies = quiet(200)
    latencies[:150] *= 1.5

    state = find_steady_state(latencies)

    assert state.steady is False
    assert state.drift < -0.1
    assert "between the halves of the warm-up" in state.reason


def test_a_step_between_two_quiet_levels_is_not_steady():
    # As quiet as a pinned core: the fence around the fast level must not hide
    # the slow one.
    latencies = quiet(600)
    latencies = 1e-3 * (latencies / 1e-3) ** 0.01
    latencies[:400] *= 1.5

    state = find_steady_state(latencies)

    assert state.steady is False
    assert state.drift < -0.2


def test_a_significant_but_tiny_move_is_steady():
    latencies = quiet(4000)
    latencies[2000:] *= 1.01

    assert find_steady_state(latencies).steady


def test_equal_latencies_of_a_coarse_clock_are_steady():
    state = find_steady_state(np.full(100, 1e-3))

    assert state.steady
    assert state.drop == 5


def test_a_coarse_clock_does_not_hide_warm_up():
    latencies = np.full(100, 1e-3)
    latencies[:20] = 2e-3

    assert find_steady_state(latencies).drop == 20


def test_eleven_calls_cannot_tell():
    state = find_steady_state(quiet(11))

    assert state.steady is None
    assert state.drop == 5
    assert state.reason == "too few calls to tell whether the latency is steady: 11, 12 needed"


def test_few_long_calls_are_judged_in_smaller_batches():
    latencies = quiet(24, typical=0.9)
    latencies[:6] *= 3.0

    assert 6 <= find_steady_state(latencies).drop <= 8


def test_a_plan_starts_with_one_call():
    assert plan_warm_up([]).calls == 1


def test_a_plan_ends_with_sixty_calls_and_one_second():
    rng = np.random.default_rng(1)
    plan, latencies, asked = play(lambda _: 1e-3 * np.exp(0.02 * rng.standard_normal()))

    assert plan.state.steady
    assert not plan.few_calls
    assert latencies.size >= 60
    assert 1.0 <= latencies.sum() <= 1.2
    assert len(asked) < 10


def test_long_calls_reach_sixty_calls_past_one_second():
    plan, latencies, _ = play(lambda _: 0.1)

    assert latencies.size == 60
    assert plan.state.steady


def test_calls_longer_than_half_a_second_are_fewer_and_the_plan_says_so():
    plan, latencies, _ = play(lambda _: 2.0)

    assert plan.few_calls
    assert 12 <= latencies.size < 60
    assert latencies.sum() <= 30.0
    assert plan.state.steady


def test_a_call_longer_than_the_limit_is_made_once():
    plan, latencies, _ = play(lambda _: 45.0)

    assert latencies.size == 1
    assert plan.few_calls
    assert plan.state.drop == 1
    assert plan.state.steady is None


def test_a_first_call_of_ten_seconds_does_not_shorten_what_follows():
    plan, latencies, _ = play(lambda index: 10.0 if index == 0 else 0.01)

    assert latencies.size >= 60
    assert plan.state.drop >= 5
    assert plan.state.steady


def test_a_window_is_doubled_until_warm_up_lies_in_its_first_half():
    # The first window of one second ends 200 calls after the step.
    plan, latencies, _ = play(lambda index: 2e-3 if index < 400 else 1e-3)

    assert plan.state.drop >= 400
    assert latencies.size >= 1000
    assert plan.state.steady


def test_a_latency_that_never_settles_ends_at_the_limit_with_a_flag():
    plan, latencies, _ = play(lambda index: 1e-2 * 0.9998**index, max_seconds=20.0)

    assert latencies.sum() <= 20.5
    assert plan.state.steady is False
