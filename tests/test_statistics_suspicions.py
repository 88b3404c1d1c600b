"""Does a suspicion change a verdict only if the verdict depends on it?"""

from __future__ import annotations

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.statistics import (
    Comparisons,
    RoundCentres,
    Suspicion,
    compare_cases,
    weigh_suspicions,
)

ROUNDS = 60


def two_cases(ratio: gen.FloatArray | float, seed: int = 0) -> dict[str, RoundCentres]:
    rng = np.random.default_rng([51, seed])
    noise = np.exp(0.005 * rng.standard_normal((2, ROUNDS)))
    return {
        label: RoundCentres(rounds=np.arange(ROUNDS), values=values)
        for label, values in (("a", ratio * noise[0]), ("b", noise[1]))
    }


def weigh(cases: dict[str, RoundCentres], *suspicions: Suspicion) -> Comparisons:
    return weigh_suspicions(compare_cases(cases), cases, suspicions)


def test_without_a_suspicion_nothing_changes():
    cases = two_cases(1.3)

    assert weigh(cases) == compare_cases(cases)


def test_a_verdict_that_the_suspect_rounds_do_not_change_stands_with_a_caveat():
    cases = two_cases(np.where(np.arange(ROUNDS) < 12, 2.0, 1.3))

    weighed = weigh(cases, Suspicion(label="a", reason="CPU quota used up", rounds=range(12)))

    (pair,) = weighed.pairs
    assert (pair.verdict, pair.reason) == ("faster", "")
    assert pair.caveats == ("a: CPU quota used up",)
    assert pair.adjusted == compare_cases(cases).pairs[0].adjusted
    assert [standing.rank for standing in weighed.standings] == [2, 1]


def test_a_verdict_that_rests_on_the_suspect_rounds_is_dropped():
    # In turns, so that both halves say the same.
    suspect = [number for number in range(ROUNDS) if number % 4]
    cases = two_cases(np.where(np.arange(ROUNDS) % 4, 1.3, 1.0))

    weighed = weigh(cases, Suspicion(label="b", reason="CPU quota used up", rounds=suspect))

    (pair,) = weighed.pairs
    assert pair.verdict == "none"
    assert pair.reason == (
        "without the suspect rounds the verdict would be: tie; b: CPU quota used up"
    )
    assert [standing.rank for standing in weighed.standings] == [None, None]


def test_halves_that_contradict_each_other_give_no_verdict():
    cases = two_cases(np.where(np.arange(ROUNDS) < 28, 1.3, 1.0))

    weighed = weigh(cases, Suspicion(label="a", reason="its latency never settled"))

    (pair,) = weighed.pairs
    assert compare_cases(cases).pairs[0].verdict != "none"
    assert pair.verdict == "none"
    assert pair.reason.startswith("the halves of the run contradict each other (faster, then tie)")


def test_a_ratio_that_moves_far_from_one_keeps_its_verdict():
    cases = two_cases(np.linspace(3.0, 3.6, ROUNDS))

    (pair,) = weigh(cases, Suspicion(label="a", reason="latency moved by 20 %")).pairs

    assert (pair.verdict, pair.caveats) == ("faster", ("a: latency moved by 20 %",))


def test_a_suspicion_of_every_round_leaves_the_verdict_to_the_halves():
    (pair,) = weigh(
        two_cases(1.3), Suspicion(label="a", reason="throttled", rounds=range(ROUNDS))
    ).pairs

    assert pair.verdict == "faster"


def test_a_suspicion_of_another_case_is_no_caveat():
    cases = {**two_cases(1.3), "c": RoundCentres(rounds=np.arange(ROUNDS), values=np.ones(ROUNDS))}

    weighed = weigh(cases, Suspicion(label="c", reason="throttled"))

    assert [bool(pair.caveats) for pair in weighed.pairs] == [False, True, True]


def test_a_pair_without_a_verdict_keeps_its_reason():
    cases = two_cases(1.3)
    comparisons = compare_cases(cases, withheld={"a": "outputs disagree"})

    weighed = weigh_suspicions(comparisons, cases, [Suspicion(label="a", reason="throttled")])

    assert weighed == comparisons


@pytest.mark.simulation
@pytest.mark.parametrize("name", gen.RECORDINGS)
@pytest.mark.parametrize("ratio", [1.0, 1.2])
def test_halves_hardly_ever_contradict_each_other_by_chance(name, ratio):
    rng = np.random.default_rng(52)
    dropped = 0
    for row in gen.recorded_rounds(name, rng, (200, 80)):
        cases = {
            "a": RoundCentres(rounds=np.arange(80), values=ratio * np.exp(row)),
            "b": RoundCentres(rounds=np.arange(80), values=np.ones(80)),
        }
        (pair,) = weigh(cases, Suspicion(label="a", reason="moved", rounds=range(20))).pairs
        dropped += pair.verdict == "none"

    assert dropped / 200 <= 0.02
