"""Are verdicts right, however often the data are looked at?

Families of runs that stop by themselves, on simulated and recorded machines.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.statistics import (
    RoundCentres,
    StoppingRule,
    StoppingState,
    check_stop,
    next_look_rounds,
)

pytestmark = pytest.mark.simulation

TRIALS = 250
MOST = 430
RULE = StoppingRule(precision=0.01, delta=0.02)


def log_ratios(name: str, seed: int, trials: int = TRIALS) -> gen.FloatArray:
    rng = np.random.default_rng([31, seed])
    if name in gen.RECORDINGS:
        return gen.recorded_rounds(name, rng, (trials, MOST))
    rounds = gen.ROUND_GENERATORS[name](rng, (trials, MOST))
    return rounds - np.median(gen.ROUND_GENERATORS[name](np.random.default_rng(99), (400, 1000)))


def stop(
    cases: dict[str, gen.FloatArray], rule: StoppingRule = RULE, most_rounds: int | None = None
) -> StoppingState:
    """Look when the rule says so, until it says stop or the rounds are used up."""
    most = len(next(iter(cases.values())))
    rounds = next_look_rounds(0)
    while True:
        state = check_stop(
            {
                label: RoundCentres(rounds=np.arange(rounds), values=values[:rounds])
                for label, values in cases.items()
            },
            rule=rule,
            most_rounds=most_rounds,
        )
        if state.stop or state.next_rounds > most:
            return state
        rounds = state.next_rounds


def truth(ratio: float) -> set[str]:
    """The right verdicts on b, when a takes ``ratio`` times as long."""
    right = {"undecided"}
    if ratio > 1.02:
        right.add("faster")
    elif ratio < 1.0 / 1.02:
        right.add("slower")
    elif 1.0 / 1.02 < ratio < 1.02:
        right.add("tie")
    return right


def pairs(name: str, ratio: float) -> list[StoppingState]:
    return [
        stop({"a": ratio * np.exp(row), "b": np.ones(MOST)})
        for row in log_ratios(name, round(1000 * ratio))
    ]


@pytest.mark.parametrize("ratio", [1.0, 1.02, 1.05])
@pytest.mark.parametrize("name", [*gen.ROUND_GENERATORS, *gen.RECORDINGS])
def test_few_verdicts_are_wrong(name, ratio):
    verdicts = [state.comparisons.pairs[0].verdict for state in pairs(name, ratio)]

    wrong = np.mean([verdict not in truth(ratio) for verdict in verdicts])
    # 5 %, and two standard errors of 250 trials at the edge of the tie band.
    assert wrong <= 0.05 + (0.025 if ratio == 1.02 else 0.0)


@pytest.mark.parametrize("name", [*gen.ROUND_GENERATORS, *gen.RECORDINGS])
def test_intervals_shown_when_a_run_stops_by_itself_cover(name):
    covered = [
        pair.adjusted.low is None or pair.adjusted.low <= 1.05 <= pair.adjusted.high
        for state in pairs(name, 1.05)
        for pair in state.comparisons.pairs
    ]

    assert np.mean(covered) >= 0.95


def test_few_families_of_four_cases_have_a_wrong_verdict():
    # Two equal cases, one at the edge of the tie band, one clearly slower.
    factors = {"a": 1.0, "b": 1.0, "c": 1.02, "d": 1.1}
    wrong = 0
    noise = {label: log_ratios("third_off", at, 200) for at, label in enumerate(factors)}
    for trial in range(200):
        state = stop(
            {label: factor * np.exp(noise[label][trial]) for label, factor in factors.items()}
        )
        verdicts = {(pair.a, pair.b): pair.verdict for pair in state.comparisons.pairs}
        wrong += any(
            verdicts[one, other] not in truth(factors[one] / factors[other])
            for one, other in combinations(factors, 2)
        )

    assert wrong / 200 <= 0.05


def rounds_to_decision(name: str, ratio: float) -> float:
    states = pairs(name, ratio)
    assert np.mean([state.comparisons.pairs[0].verdict != "undecided" for state in states]) > 0.95
    return float(np.median([state.rounds for state in states]))


@pytest.mark.parametrize(("ratio", "most"), [(1.2, 28), (1.05, 156), (1.0, 156)])
def test_a_third_of_the_rounds_off_by_half_costs_few_rounds(ratio, most):
    assert rounds_to_decision("third_off", ratio) <= most


@pytest.mark.parametrize("name", gen.RECORDINGS)
def test_a_large_ratio_takes_the_first_looks_only(name):
    assert rounds_to_decision(name, 3.2) <= 14


def verdicts_and_rounds(name: str, ratio: float, *, prospects: bool) -> tuple[float, float]:
    """Return the share of runs with a verdict in 219 rounds, and their mean number of rounds."""
    rule = StoppingRule(precision=0.02, delta=0.02)
    states = [
        stop({"a": ratio * np.exp(row[:219]), "b": np.ones(219)}, rule, 219 if prospects else None)
        for row in log_ratios(name, round(1000 * ratio), 100)
    ]
    decided = [state.comparisons.pairs[0].verdict != "undecided" for state in states]
    return float(np.mean(decided)), float(np.mean([state.rounds for state in states]))


@pytest.mark.parametrize("ratio", [1.0, 1.05])
@pytest.mark.parametrize("name", [*gen.ROUND_GENERATORS, "linear", "busy", "2_threads_seven"])
def test_ending_without_prospect_costs_hardly_a_verdict(name, ratio):
    with_prospects, _ = verdicts_and_rounds(name, ratio, prospects=True)
    without, _ = verdicts_and_rounds(name, ratio, prospects=False)

    assert with_prospects >= without - 0.02


@pytest.mark.parametrize("name", ["busy", "2_threads_second"])
def test_a_tie_that_nobody_can_see_in_time_ends_early(name):
    decided, rounds = verdicts_and_rounds(name, 1.0, prospects=True)

    assert decided <= 0.02
    assert rounds <= 0.7 * 219


def test_looking_repeatedly_at_the_full_error_rate_would_go_wrong():
    # The mutation: a plain 95 % interval at every look.
    wrong = 0
    for row in log_ratios("third_off", 5):
        rounds, decided = 10, False
        while rounds <= MOST and not decided:
            state = check_stop(
                {
                    "a": RoundCentres(rounds=np.arange(rounds), values=1.02 * np.exp(row[:rounds])),
                    "b": RoundCentres(rounds=np.arange(rounds), values=np.ones(rounds)),
                },
                rule=RULE,
            )
            plain = state.comparisons.pairs[0].ratio
            decided = plain.low is not None and (plain.low > 1.02 or plain.high < 1.02)
            rounds = state.next_rounds
        wrong += decided

    assert wrong / TRIALS > 0.10
