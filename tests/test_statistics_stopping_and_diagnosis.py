from __future__ import annotations

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.statistics import (
    StoppingRule,
    StoppingState,
    check_stop,
    diagnose,
    order_effect,
)
from lexer_core.statistics.launch_effect import LAUNCH_SD


def medians(rounds: int, sigma: float, seed: int, factor: float = 1.0) -> np.ndarray:
    return 1e-3 * factor * np.exp(sigma * np.random.default_rng(seed).standard_normal(rounds))


def run(cases: dict[str, np.ndarray], rule: StoppingRule, seconds_per_round: float = 0.1):
    """Feed one round after the other until the rule says stop."""
    state = StoppingState()
    for rounds in range(1, len(next(iter(cases.values()))) + 1):
        state = check_stop(
            {label: values[:rounds] for label, values in cases.items()},
            seconds=rounds * seconds_per_round,
            rule=rule,
            previous=state,
        )
        if state.stop:
            return state
    return state


def test_precise_rounds_stop_at_the_second_check():
    cases = {"a": medians(100, 0.001, 1), "b": medians(100, 0.001, 2)}

    state = run(cases, StoppingRule())

    assert state.reason == "precision"
    assert state.rounds == 11
    assert state.half_width <= 0.01


def test_a_single_precise_check_is_not_enough():
    rule = StoppingRule()
    values = {"a": medians(10, 0.001, 1), "b": medians(10, 0.001, 2)}

    state = check_stop(values, seconds=1.0, rule=rule, previous=StoppingState(rounds=9))

    assert state.passed_in_a_row == 1
    assert not state.stop


def test_a_check_without_a_new_round_does_not_count():
    rule = StoppingRule()
    values = {"a": medians(10, 0.001, 1), "b": medians(10, 0.001, 2)}

    once = check_stop(values, seconds=1.0, rule=rule, previous=StoppingState(rounds=9))
    twice = check_stop(values, seconds=1.0, rule=rule, previous=once)

    assert twice.passed_in_a_row == 1
    assert not twice.stop


def test_an_imprecise_check_starts_the_count_anew():
    rule = StoppingRule()
    before = StoppingState(rounds=9, passed_in_a_row=1)

    state = check_stop(
        {"a": medians(10, 0.3, 1), "b": medians(10, 0.3, 2)},
        seconds=1.0,
        rule=rule,
        previous=before,
    )

    assert state.passed_in_a_row == 0


def test_a_precision_that_one_launch_cannot_give_stops_where_rounds_add_nothing():
    cases = {"a": medians(2000, 0.01, 1), "b": medians(2000, 0.01, 2)}

    endless = run(cases, StoppingRule(precision=0.001, max_seconds=None))
    one_launch = run(cases, StoppingRule(precision=0.001, max_seconds=None, launches=1))
    many = run(cases, StoppingRule(precision=0.001, max_seconds=None, launches=100))

    assert endless.reason == "precision"
    assert one_launch.reason == "launches"
    assert one_launch.rounds < endless.rounds
    assert one_launch.half_width == pytest.approx(1.96 * 2**0.5 * LAUNCH_SD, rel=0.1)
    assert many.reason == "precision"
    assert many.rounds > endless.rounds


def test_a_case_alone_knows_nothing_of_launches():
    alone = {"a": medians(100, 0.001, 1)}

    assert run(alone, StoppingRule(launches=1)) == run(alone, StoppingRule())


def test_noisy_rounds_stop_when_the_time_is_spent():
    cases = {"a": medians(100, 0.3, 1), "b": medians(100, 0.3, 2)}

    state = run(cases, StoppingRule(max_seconds=5.0))

    assert state.reason == "time"
    assert state.rounds == 50


def test_rounds_can_be_limited():
    cases = {"a": medians(100, 0.3, 1), "b": medians(100, 0.3, 2)}

    state = run(cases, StoppingRule(max_rounds=30, max_seconds=None))

    assert (state.reason, state.rounds) == ("rounds", 30)


def test_the_least_precise_pair_decides_and_is_named():
    cases = {
        "a": medians(30, 0.001, 1),
        "b": medians(30, 0.001, 2),
        "noisy": medians(30, 0.2, 3),
    }

    state = run(cases, StoppingRule())

    assert not state.stop
    assert "noisy" in state.widest


def test_noise_that_all_cases_share_does_not_hinder_stopping():
    shared = medians(100, 0.3, 9) / 1e-3
    cases = {"a": medians(100, 0.001, 1) * shared, "b": medians(100, 0.001, 2) * shared}

    assert run(cases, StoppingRule()).reason == "precision"


def test_one_case_alone_is_judged_by_its_own_median():
    assert run({"a": medians(200, 0.02, 1)}, StoppingRule()).reason == "precision"
    assert not run({"a": medians(30, 0.3, 1)}, StoppingRule()).stop


def test_a_tighter_target_takes_more_rounds():
    cases = {"a": medians(2000, 0.03, 1), "b": medians(2000, 0.03, 2)}

    loose = run(cases, StoppingRule(precision=0.02, max_seconds=None))
    tight = run(cases, StoppingRule(precision=0.005, max_seconds=None))

    assert tight.rounds > 4 * loose.rounds


def test_one_round_has_no_half_width_yet():
    state = check_stop(
        {"a": [1.0], "b": [1.0]}, seconds=0.0, rule=StoppingRule(), previous=StoppingState()
    )

    assert state.half_width is None
    assert not state.stop


def test_independent_samples_give_a_quiet_diagnosis():
    rng = np.random.default_rng(0)

    result = diagnose(gen.lognormal(rng, (40, 50), 0.02).ravel(), gen.round_ids(40, 50))

    assert abs(result.sample_autocorrelation) < 0.1
    assert result.design_effect < 2.0
    assert abs(result.drift) < 0.01
    assert result.warnings == ()


def test_samples_that_resemble_their_neighbours_are_warned_of():
    rng = np.random.default_rng(0)
    samples = gen.with_outliers(rng, gen.autoregressive(rng, (40, 50), 0.9))

    result = diagnose(samples.ravel(), gen.round_ids(40, 50))

    assert result.sample_autocorrelation > 0.6
    assert result.design_effect > 3.0
    assert any("neighbouring samples" in warning for warning in result.warnings)


def test_rounds_that_resemble_their_neighbours_are_warned_of():
    rng = np.random.default_rng(0)
    shape = (100, 10)
    samples = gen.lognormal(rng, shape, 0.01) * gen.drifting_shifts(rng, shape, 0.05, 0.9)

    result = diagnose(samples.ravel(), gen.round_ids(*shape))

    assert result.round_autocorrelation > 0.6
    assert any("neighbouring rounds" in warning for warning in result.warnings)


def test_a_drift_between_the_halves_is_put_in_words():
    rng = np.random.default_rng(0)
    samples = gen.lognormal(rng, (40, 50), 0.01)
    samples[20:] *= 1.14

    result = diagnose(samples.ravel(), gen.round_ids(40, 50))

    assert result.drift == pytest.approx(0.14, abs=0.01)
    assert "latency moved by +14% between the halves of the run" in result.warnings


def test_pairs_across_rounds_do_not_count_as_neighbours():
    # Two samples a round, far apart; rounds alternate so that only pairs
    # across a border resemble each other.
    samples = np.tile([1.0, 2.0, 2.0, 1.0], 50)

    assert diagnose(samples, gen.round_ids(100, 2)).sample_autocorrelation == pytest.approx(-1.0)


def test_one_sample_a_round_can_be_diagnosed():
    result = diagnose([0.1, 0.2, 0.1, 0.2], [0, 1, 2, 3])

    assert result.sample_autocorrelation == 0.0


def test_one_round_can_be_diagnosed():
    result = diagnose([0.1, 0.1, 0.2, 0.2], [0, 0, 0, 0])

    assert result.design_effect is None
    assert result.drift == pytest.approx(1.0)


def shuffled_positions(rng: np.random.Generator, rounds: int, cases: int) -> np.ndarray:
    return rng.permuted(np.tile(np.arange(cases), (rounds, 1)), axis=1)


def test_an_order_effect_is_found_under_drift_that_all_share():
    rng = np.random.default_rng(1)
    positions = shuffled_positions(rng, 60, 3)
    drift = gen.round_shifts(rng, (60, 3), 0.1)
    times = np.array([1e-3, 2e-3, 5e-3]) * drift * 1.03**positions

    result = order_effect(times * np.exp(0.005 * rng.standard_normal((60, 3))), positions)

    assert result.low < 0.03 < result.high
    assert result.low > 0.02
    assert "slower than the first" in result.warning


def test_no_order_effect_is_no_warning():
    rng = np.random.default_rng(2)
    positions = shuffled_positions(rng, 60, 3)

    result = order_effect(gen.lognormal(rng, (60, 3), 0.01), positions)

    assert result.low < 0.0 < result.high
    assert not result.warning
