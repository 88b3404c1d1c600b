from __future__ import annotations

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.statistics import (
    RoundCentres,
    StoppingRule,
    StoppingState,
    check_stop,
    diagnose,
    look_confidence,
    look_index,
    next_look_rounds,
    order_effect,
)
from lexer_core.statistics.launch_effect import LAUNCH_SD

ROUNDS = 2000


def rounds_of(sigma: float, seed: int, factor: float = 1.0, rounds: int = ROUNDS) -> RoundCentres:
    noise = np.random.default_rng(seed).standard_normal(rounds)
    return RoundCentres(rounds=np.arange(rounds), values=1e-3 * factor * np.exp(sigma * noise))


def first(case: RoundCentres, rounds: int) -> RoundCentres:
    return RoundCentres(rounds=case.rounds[:rounds], values=case.values[:rounds])


def run(
    cases: dict[str, RoundCentres],
    rule: StoppingRule,
    reference: RoundCentres | None = None,
    most: int = ROUNDS,
) -> StoppingState:
    """Look at the rounds when the rule says so, until it says stop."""
    rounds = next_look_rounds(0)
    while True:
        state = check_stop(
            {label: first(case, rounds) for label, case in cases.items()},
            rule=rule,
            reference=reference and first(reference, rounds),
        )
        if state.stop or state.next_rounds > most:
            return state
        rounds = state.next_rounds


def verdict(state: StoppingState) -> str:
    return state.comparisons.pairs[0].verdict


def test_looks_are_at_ten_rounds_and_then_each_time_at_two_fifths_more():
    looks = [0]
    while looks[-1] < 800:
        looks.append(next_look_rounds(looks[-1]))

    assert looks[1:] == [10, 14, 20, 28, 40, 56, 79, 111, 156, 219, 307, 430, 602, 843]
    assert [look_index(rounds) for rounds in looks[1:]] == list(range(1, 15))


def test_rounds_between_two_looks_are_the_later_one():
    assert look_index(35) == look_index(40) == 5
    assert look_index(3) == 1


def test_all_looks_together_stay_within_the_error_rate():
    spent = sum(1 - look_confidence(0.95, look) for look in range(1, 10_000))

    assert spent == pytest.approx(0.05, rel=1e-3)
    assert spent < 0.05


def test_a_look_between_two_scheduled_ones_takes_the_place_of_the_later_one():
    cases = {"a": rounds_of(0.3, 1, rounds=35), "b": rounds_of(0.3, 2, rounds=35)}

    state = check_stop(cases, rule=StoppingRule())

    assert (state.rounds, state.look, state.next_rounds) == (35, 5, 56)


def test_a_ratio_far_from_one_stops_at_the_first_look_although_it_is_imprecise():
    cases = {"a": rounds_of(0.05, 3, factor=3.2), "b": rounds_of(0.05, 4)}

    state = run(cases, StoppingRule())

    assert (state.reason, state.rounds, verdict(state)) == ("precision", 10, "faster")
    assert state.comparisons.pairs[0].ratio.half_width > 0.03


def test_a_tie_stops_when_it_is_precise_enough():
    state = run({"a": rounds_of(0.02, 1), "b": rounds_of(0.02, 2)}, StoppingRule())

    assert (state.reason, verdict(state)) == ("precision", "tie")
    assert state.comparisons.pairs[0].ratio.half_width <= 0.01
    assert state.rounds > 10


def test_the_verdict_is_read_from_the_interval_of_its_look():
    state = run({"a": rounds_of(0.02, 1), "b": rounds_of(0.02, 2)}, StoppingRule())

    (pair,) = state.comparisons.pairs
    assert pair.adjusted.confidence == pytest.approx(look_confidence(0.95, state.look))
    assert 1 / 1.02 < pair.adjusted.low < pair.ratio.low
    assert pair.ratio.high < pair.adjusted.high < 1.02


def test_an_undecided_pair_keeps_the_rounds_going_however_precise():
    cases = {"a": rounds_of(0.002, 1, factor=1.02), "b": rounds_of(0.002, 2)}

    state = run(cases, StoppingRule(), most=100)

    assert not state.stop
    assert verdict(state) == "undecided"
    assert state.comparisons.pairs[0].ratio.half_width < 0.01


def test_every_pair_has_to_be_decided():
    cases = {"a": rounds_of(0.001, 1), "b": rounds_of(0.001, 2), "noisy": rounds_of(0.5, 3)}

    assert not run(cases, StoppingRule(), most=100).stop


def test_a_wider_tie_band_decides_sooner():
    cases = {"a": rounds_of(0.05, 1), "b": rounds_of(0.05, 2)}

    narrow = run(cases, StoppingRule(precision=0.5))
    wide = run(cases, StoppingRule(precision=0.5, delta=0.1))

    assert verdict(narrow) == verdict(wide) == "tie"
    assert wide.rounds < narrow.rounds / 4


def test_noise_that_all_cases_share_does_not_hinder_stopping():
    shared = rounds_of(0.3, 9).values / 1e-3
    cases = {
        label: RoundCentres(rounds=np.arange(ROUNDS), values=case.values * shared)
        for label, case in (("a", rounds_of(0.001, 3)), ("b", rounds_of(0.001, 4)))
    }

    assert (run(cases, StoppingRule()).reason, run(cases, StoppingRule()).rounds) == (
        "precision",
        10,
    )


def test_a_precision_that_one_launch_cannot_give_stops_where_rounds_add_nothing():
    cases = {"a": rounds_of(0.01, 1), "b": rounds_of(0.01, 2)}

    endless = run(cases, StoppingRule(precision=0.001))
    one_launch = run(cases, StoppingRule(precision=0.001, launches=1))
    many = run(cases, StoppingRule(precision=0.001, launches=100_000))

    assert endless.reason == "precision"
    assert one_launch.reason == "launches"
    assert one_launch.rounds < endless.rounds
    assert one_launch.comparisons.pairs[0].ratio.half_width == pytest.approx(
        1.96 * 2**0.5 * LAUNCH_SD, rel=0.1
    )
    assert many.reason == "precision"


def test_one_case_alone_is_judged_by_the_precision_of_its_own_latency():
    assert run({"a": rounds_of(0.02, 1)}, StoppingRule()).reason == "precision"
    assert not run({"a": rounds_of(0.3, 1)}, StoppingRule(), most=100).stop


def test_one_case_alone_is_judged_relative_to_the_reference_workload():
    drift = np.exp(np.linspace(0.0, 2.0, ROUNDS))
    alone = rounds_of(0.001, 1)
    alone = RoundCentres(rounds=alone.rounds, values=alone.values * drift)
    reference = RoundCentres(rounds=alone.rounds, values=3e-3 * drift)

    assert run({"a": alone}, StoppingRule(), reference).rounds == 10
    assert run({"a": alone}, StoppingRule()).rounds > 10


def test_cases_that_never_met_never_stop():
    late = RoundCentres(rounds=np.arange(50, 100), values=rounds_of(0.1, 1, rounds=50).values)

    assert not check_stop({"a": rounds_of(0.1, 2, rounds=50), "b": late}, rule=StoppingRule()).stop


def test_independent_samples_give_a_quiet_diagnosis():
    rng = np.random.default_rng(0)

    result = diagnose(gen.lognormal(rng, (40, 50), 0.02).ravel(), gen.round_ids(40, 50))

    assert abs(result.sample_autocorrelation) < 0.1
    assert result.design_effect < 2.0
    assert abs(result.drift) < 0.01
    assert result.warnings == ()


def test_autocorrelated_samples_cause_a_warning():
    rng = np.random.default_rng(0)
    samples = gen.with_outliers(rng, gen.autoregressive(rng, (40, 50), 0.9))

    result = diagnose(samples.ravel(), gen.round_ids(40, 50))

    assert result.sample_autocorrelation > 0.6
    assert result.design_effect > 3.0
    assert any("samples are autocorrelated" in warning for warning in result.warnings)


def test_autocorrelated_rounds_cause_a_warning():
    rng = np.random.default_rng(0)
    shape = (100, 10)
    samples = gen.lognormal(rng, shape, 0.01) * gen.drifting_shifts(rng, shape, 0.05, 0.9)

    result = diagnose(samples.ravel(), gen.round_ids(*shape))

    assert result.round_autocorrelation > 0.6
    assert any("rounds are autocorrelated" in warning for warning in result.warnings)


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


def test_a_pair_that_more_launches_may_decide_has_prospects():
    cases = {"a": rounds_of(0.01, 1, factor=1.03, rounds=40), "b": rounds_of(0.01, 2, rounds=40)}

    state = check_stop(cases, rule=StoppingRule(precision=0.02, launches=1), most_rounds=400)

    assert verdict(state) == "undecided"
    assert state.reason in ("", "launches")
