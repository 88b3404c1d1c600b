"""Is warm-up found in the rounds themselves, whatever the machine does meanwhile?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from lexer_core.errors import StatisticsError
from lexer_core.statistics import RoundCentres, judge_warm_up

if TYPE_CHECKING:
    import sample_generators as gen

TRIALS = 200


def machine(rng: np.random.Generator, rounds: int) -> gen.FloatArray:
    """A drift by half up or down, a random walk and noise, common to all cases."""
    drift = rng.choice([-0.5, 0.5]) * np.arange(rounds) / rounds
    walk = 0.1 * np.cumsum(rng.standard_normal(rounds)) / np.sqrt(rounds)
    return np.exp(drift + walk + 0.05 * rng.standard_normal(rounds))


def centres(values: gen.FloatArray, first: int = 0) -> RoundCentres:
    return RoundCentres(rounds=np.arange(first, first + len(values)), values=values)


def some_cases(
    curve: gen.FloatArray, sigma: float = 0.02, seed: int = 0, others: int = 2
) -> dict[str, RoundCentres]:
    """One case that follows a curve, and others that are steady."""
    rng = np.random.default_rng([41, seed])
    rounds = len(curve)
    shared = machine(rng, rounds)
    cases = {"it": curve, **{str(at): np.full(rounds, at + 2.0) for at in range(others)}}
    return {
        label: centres(1e-3 * level * shared * np.exp(sigma * rng.standard_normal(rounds)))
        for label, level in cases.items()
    }


def test_a_drift_of_the_machine_is_not_warm_up():
    found = judge_warm_up(some_cases(np.ones(60)))

    assert [(each.steady, each.early_rounds.size) for each in found.values()] == [(True, 0)] * 3


def test_slow_first_rounds_are_named():
    curve = np.where(np.arange(60) < 10, 1.5, 1.0)

    found = judge_warm_up(some_cases(curve))

    assert found["it"].early_rounds.tolist() == list(range(10))
    assert found["it"].steady
    assert found["0"].early_rounds.size == found["1"].early_rounds.size == 0


def test_a_late_step_is_unsteady_and_says_by_how_much():
    curve = np.where(np.arange(80) < 60, 1.33, 1.0)

    found = judge_warm_up(some_cases(curve))

    assert found["it"].steady is False
    assert found["it"].drift == pytest.approx(-0.25, abs=0.05)
    assert "relative to the other cases moved by -2" in found["it"].reason
    assert found["0"].steady
    assert found["1"].steady


def test_a_case_that_grows_slower_is_unsteady():
    found = judge_warm_up(some_cases(1.0 + 0.3 * np.arange(120) / 120))

    assert found["it"].steady is False
    assert found["it"].drift > 0.05
    assert found["0"].steady


def test_of_two_cases_the_one_whose_own_time_moved_is_unsteady():
    rng = np.random.default_rng(3)
    curve = np.where(np.arange(80) < 50, 1.4, 1.0)
    it, other = (np.exp(0.01 * rng.standard_normal(80)) for _ in range(2))

    found = judge_warm_up({"other": centres(other), "it": centres(it * curve)})

    assert found["other"].steady
    assert found["it"].steady is False


def test_a_single_case_is_judged_relative_to_the_reference_workload():
    rng = np.random.default_rng(4)
    shared = machine(rng, 80)
    noise = np.exp(0.01 * rng.standard_normal(80))
    reference = RoundCentres(rounds=np.arange(0, 80, 2), values=3e-3 * shared[::2])
    steady, late = shared * noise, shared * noise * np.where(np.arange(80) < 45, 1.3, 1.0)

    assert judge_warm_up({"it": centres(steady)}, reference=reference)["it"].steady
    assert judge_warm_up({"it": centres(late)}, reference=reference)["it"].steady is False


def test_few_rounds_tell_nothing():
    (found, *_) = judge_warm_up(some_cases(np.ones(11))).values()

    assert found.steady is None
    assert found.reason == "11 rounds are too few to tell whether the latency had settled"


def test_a_single_case_needs_a_reference():
    with pytest.raises(StatisticsError, match="only be judged relative to a reference") as caught:
        judge_warm_up({"it": centres(np.ones(20))})

    assert caught.value.problem == "too_few_cases"


def test_cases_that_never_met_tell_nothing():
    found = judge_warm_up({"it": centres(np.ones(20)), "late": centres(np.ones(20), first=50)})

    assert [each.steady for each in found.values()] == [None, None]


@pytest.mark.simulation
@pytest.mark.parametrize("others", [1, 2])
@pytest.mark.parametrize("sigma", [0.02, 0.08])
@pytest.mark.parametrize("rounds", [20, 60, 120])
def test_steady_cases_are_hardly_ever_flagged_on_a_drifting_machine(rounds, sigma, others):
    flags = [
        any(each.steady is False for each in judge_warm_up(cases).values())
        for seed in range(TRIALS)
        for cases in [some_cases(np.ones(rounds), sigma, seed, others)]
    ]

    assert np.mean(flags) <= 0.02


@pytest.mark.simulation
@pytest.mark.parametrize("sigma", [0.02, 0.05])
@pytest.mark.parametrize("rounds", [60, 120])
def test_a_late_step_is_found(rounds, sigma):
    curve = np.where(np.arange(rounds) < 3 * rounds // 4, 1.33, 1.0)
    found = [
        any(each.steady is False for each in judge_warm_up(some_cases(curve, sigma, seed)).values())
        for seed in range(TRIALS)
    ]

    assert np.mean(found) >= 0.95
