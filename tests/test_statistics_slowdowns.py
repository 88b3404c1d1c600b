"""Old and new that took turns: does the gate bark when it should, and only then?"""

from __future__ import annotations

import math

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.errors import StatisticsError
from lexer_core.statistics import RoundCentres, compare_cases, find_slowdowns
from lexer_core.statistics.launch_effect import LAUNCH_SD

TRIALS = 400
ROUNDS, CALLS = 120, 10
CASES = 3


def centres(values: gen.FloatArray, first: int = 0) -> RoundCentres:
    return RoundCentres(rounds=np.arange(first, first + len(values)), values=values)


def a_case(slowdown: float, spread: float = 0.01, rounds: int = 20, seed: int = 0):
    rng = np.random.default_rng(seed)
    shared = np.exp(0.1 * rng.standard_normal(rounds))
    old = 1e-3 * shared * np.exp(spread * rng.standard_normal(rounds))
    new = slowdown * 1e-3 * shared * np.exp(spread * rng.standard_normal(rounds))
    return centres(new), centres(old)


@pytest.mark.parametrize(
    ("slowdown", "verdict"),
    [(1.0, "OK"), (1.004, "OK"), (1.05, "REGRESSION"), (2.0, "REGRESSION"), (0.9, "IMPROVED")],
)
def test_a_slowdown_that_matters_is_a_regression(slowdown: float, verdict: str) -> None:
    found = find_slowdowns({"a": a_case(slowdown)}, launches=1)["a"]

    assert (found.verdict, found.reason) == (verdict, "")
    assert found.ratio.estimate == pytest.approx(slowdown, rel=0.02)


def test_what_the_rounds_do_not_tell_is_inconclusive() -> None:
    found = find_slowdowns({"a": a_case(1.02, spread=0.2)})["a"]

    assert (found.verdict, found.reason) == ("INCONCLUSIVE", "")
    assert found.ratio.low < 1.0
    assert found.ratio.high > 1.02


def test_few_rounds_give_a_ratio_and_no_verdict() -> None:
    found = find_slowdowns({"a": a_case(3.0, rounds=9), "b": a_case(3.0, rounds=1)})

    assert (found["a"].verdict, found["a"].reason) == ("INCONCLUSIVE", "9 rounds, 10 needed")
    assert found["a"].ratio.low > 2.0
    assert (found["b"].verdict, found["b"].reason) == ("INCONCLUSIVE", "1 round, 10 needed")
    assert found["b"].ratio.low is None


def test_rounds_that_were_never_shared_give_nothing() -> None:
    new, old = a_case(1.0)

    found = find_slowdowns({"a": (new, centres(old.values, first=100))})["a"]

    assert (found.ratio, found.verdict) == (None, "INCONCLUSIVE")
    assert found.reason == "never measured in the same round"


def test_the_ratio_is_that_of_the_comparison_of_engines() -> None:
    new, old = a_case(1.1)

    found = find_slowdowns({"a": (new, old)}, launches=2)["a"]

    (pair,) = compare_cases({"new": new, "old": old}, launches=2).pairs
    assert (found.ratio.estimate, found.ratio.low, found.ratio.high) == pytest.approx(
        (pair.ratio.estimate, pair.ratio.low, pair.ratio.high)
    )


def test_several_cases_are_one_family() -> None:
    alone = find_slowdowns({"a": a_case(1.0, seed=1)})["a"].ratio
    together = find_slowdowns({name: a_case(1.0, seed=at) for at, name in enumerate("bac")})

    assert alone.confidence == pytest.approx(0.95)
    assert together["a"].ratio.confidence == pytest.approx(1 - 0.05 / 3)
    assert together["a"].ratio.high > alone.high


def test_rounds_without_any_spread_still_give_a_verdict() -> None:
    same, double = centres(np.full(12, 1e-3)), centres(np.full(12, 2e-3))

    found = find_slowdowns({"same": (same, same), "slow": (double, same)})

    assert {label: each.verdict for label, each in found.items()} == {
        "same": "OK",
        "slow": "REGRESSION",
    }


def test_nothing_to_compare_is_nothing_found() -> None:
    assert find_slowdowns({}) == {}


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"delta": -0.01}, "out_of_range"),
        ({"delta": math.nan}, "out_of_range"),
        ({"confidence": 1.0}, "out_of_range"),
    ],
)
def test_what_statistics_cannot_answer_is_refused(facts: dict[str, float], problem: str) -> None:
    with pytest.raises(StatisticsError) as caught:
        find_slowdowns({"a": a_case(1.0)}, **facts)

    assert caught.value.problem == problem


@pytest.mark.parametrize("value", [0.0, -1e-3, math.nan, math.inf])
def test_medians_that_are_none_are_refused(value: float) -> None:
    new, old = a_case(1.0)
    new.values[3] = value

    with pytest.raises(StatisticsError, match="medians of the new a"):
        find_slowdowns({"a": (new, old)})


def gates(slowdown: float, seed: int) -> list[dict[str, str]]:
    """Verdicts of many reruns of three cases.

    The machine drifts by 10 %, calls take now and then twice as long, and every
    process has a luck of its own.
    """
    rng = np.random.default_rng(seed)
    shape = (TRIALS, CASES, 2, ROUNDS, CALLS)
    samples = gen.with_outliers(rng, gen.autoregressive(rng, shape, 0.5, 0.03))
    samples *= gen.drifting_shifts(rng, (TRIALS, 1, 1, ROUNDS, CALLS), 0.1, 0.8)
    samples *= np.exp(LAUNCH_SD * rng.standard_normal((TRIALS, CASES, 2, 1, 1)))
    medians = np.median(samples, axis=-1)
    medians[:, :, 0] *= slowdown
    return [
        {
            label: found.verdict
            for label, found in find_slowdowns(
                {str(at): (centres(new), centres(old)) for at, (new, old) in enumerate(trial)},
                launches=1,
            ).items()
        }
        for trial in medians
    ]


@pytest.mark.simulation
def test_a_model_against_itself_hardly_ever_fails_the_gate() -> None:
    found = gates(1.0, seed=1)

    assert np.mean(["REGRESSION" in verdicts.values() for verdicts in found]) <= 0.025
    assert np.mean(["IMPROVED" in verdicts.values() for verdicts in found]) <= 0.025
    assert np.mean([set(verdicts.values()) == {"OK"} for verdicts in found]) >= 0.9


@pytest.mark.simulation
def test_five_percent_more_time_is_caught_in_every_case() -> None:
    found = [verdict for verdicts in gates(1.05, seed=2) for verdict in verdicts.values()]

    assert np.mean([verdict == "REGRESSION" for verdict in found]) >= 0.95
    assert np.mean([verdict == "OK" for verdict in found]) <= 0.005


@pytest.mark.simulation
def test_without_what_launches_differ_by_the_interval_would_promise_too_much() -> None:
    # The mutation: the rounds of one launch alone, where a launch's luck is 1 %.
    rng = np.random.default_rng(3)
    luck = np.exp(0.01 * rng.standard_normal((TRIALS, 2, 1)))
    medians = luck * 1e-3 * np.exp(0.005 * rng.standard_normal((TRIALS, 2, ROUNDS)))

    missed = [
        not found.ratio.low <= 1.0 <= found.ratio.high
        for new, old in medians
        for found in find_slowdowns({"a": (centres(new), centres(old))}, launches=None).values()
    ]

    assert np.mean(missed) > 0.5
