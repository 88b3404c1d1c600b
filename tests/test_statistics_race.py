"""Does a race drop what is slower, soon, and never the best?

The truth is known: every configuration has a cost, and noise is added to it.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from lexer_core.errors import StatisticsError
from lexer_core.statistics.race import RaceRule, judge_race, next_race_rounds
from lexer_core.statistics.round_centres import RoundCentres

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    Noise = Callable[[np.random.Generator, int, int], npt.NDArray[np.float64]]

RULE = RaceRule()
MOST_ROUNDS = 400


def centres(values: npt.ArrayLike) -> RoundCentres:
    array = np.asarray(values, dtype=np.float64)
    return RoundCentres(rounds=np.arange(array.size), values=array)


def noisy(cost: float, rounds: int, seed: int, spread: float = 0.01) -> RoundCentres:
    rng = np.random.default_rng(seed)
    return centres(cost * np.exp(spread * rng.standard_normal(rounds)))


def test_what_is_slower_leaves_and_says_by_what_it_is_beaten() -> None:
    state = judge_race({"a": noisy(1.0, 12, 1), "b": noisy(1.5, 12, 2)}, rule=RULE, look=1)

    assert state.leader == "a"
    assert state.beaten["b"].by == "a"
    assert state.beaten["b"].ratio.estimate == pytest.approx(1.5, rel=0.02)
    assert state.is_over


def test_nothing_leaves_before_the_fifth_round() -> None:
    state = judge_race({"a": noisy(1.0, 4, 1), "b": noisy(9.0, 4, 2)}, rule=RULE, look=1)

    assert not state.beaten
    assert not state.is_over


def test_equal_ones_tie_and_end_the_race() -> None:
    cases = {"a": noisy(1.0, 200, 1), "b": noisy(1.001, 200, 2), "c": noisy(2.0, 200, 3)}

    state = judge_race(cases, rule=RULE, look=3)

    assert set(state.beaten) == {"c"}
    assert {state.leader, *state.tied} == {"a", "b"}
    assert state.is_over


def test_one_that_may_not_lead_makes_nothing_leave() -> None:
    cases = {"fast": noisy(1.0, 20, 1), "slow": noisy(2.0, 20, 2)}

    state = judge_race(cases, rule=RULE, look=1, may_lead=["slow"])

    assert state.leader == "slow"
    assert not state.beaten


def test_a_margin_must_be_exceeded() -> None:
    cases = {"a": noisy(1.0, 20, 1), "b": noisy(1.5, 20, 2)}

    beaten = judge_race(cases, rule=RULE, look=1, margin=lambda case, rival: math.log(1.2)).beaten
    kept = judge_race(cases, rule=RULE, look=1, margin=lambda case, rival: math.log(1.8)).beaten

    assert set(beaten) == {"b"}
    assert not kept


def test_without_a_single_winner_anyone_may_beat_anyone() -> None:
    # Nothing may be beaten by the fastest, and "c" by "b".
    cases = {"a": noisy(1.0, 30, 1), "b": noisy(2.0, 30, 2), "c": noisy(3.0, 30, 3)}

    def margin(case: str, rival: str) -> float | None:
        return 0.0 if (case, rival) == ("c", "b") else None

    state = judge_race(cases, rule=RaceRule(single_winner=False), look=1, margin=margin)

    assert {label: beaten.by for label, beaten in state.beaten.items()} == {"c": "b"}
    assert state.is_over


def test_a_race_needs_a_case() -> None:
    with pytest.raises(StatisticsError, match="at least one"):
        judge_race({}, rule=RULE, look=1)


def test_looks_become_rarer() -> None:
    looks = [next_race_rounds(0)]
    while looks[-1] < 50:
        looks.append(next_race_rounds(looks[-1]))

    assert looks[:4] == [5, 7, 10, 14]
    assert all(later > earlier for earlier, later in itertools.pairwise(looks))


# -- known truth ---------------------------------------------------------------------


def student(spread: float) -> Noise:
    def draw(rng: np.random.Generator, cases: int, rounds: int) -> npt.NDArray[np.float64]:
        return spread * rng.standard_t(4, (cases, rounds)) / math.sqrt(2.0)

    return draw


def contaminated(rng: np.random.Generator, cases: int, rounds: int) -> npt.NDArray[np.float64]:
    """A third of the rounds is off by up to half."""
    noise = 0.02 * rng.standard_normal((cases, rounds))
    off = rng.random((cases, rounds)) < 1.0 / 3.0
    return noise + off * np.log1p(rng.uniform(-0.5, 0.5, (cases, rounds)))


def autocorrelated(rng: np.random.Generator, cases: int, rounds: int) -> npt.NDArray[np.float64]:
    steps = rng.standard_normal((cases, rounds))
    for at in range(1, rounds):
        steps[:, at] = 0.6 * steps[:, at - 1] + 0.8 * steps[:, at]
    return 0.03 * steps


def race(rng: np.random.Generator, costs: npt.NDArray[np.float64], noise: Noise) -> tuple[int, int]:
    """Return which configuration is picked, and the blocks that the race took."""
    times = costs[:, None] * np.exp(noise(rng, len(costs), MOST_ROUNDS))
    left = list(range(len(costs)))
    blocks = rounds = look = 0
    due = next_race_rounds(0)

    def seen(labels: list[int]) -> Mapping[str, RoundCentres]:
        return {str(label): centres(times[label, :rounds]) for label in labels}

    while rounds < MOST_ROUNDS and len(left) > 1:
        rounds += 1
        blocks += len(left)
        if rounds < due:
            continue
        look += 1
        state = judge_race(seen(left), rule=RULE, look=look)
        due = state.next_rounds
        left = [label for label in left if str(label) not in state.beaten]
        if state.is_over:
            break
    return min(left, key=lambda label: float(np.median(times[label, :rounds]))), blocks


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("noise", "share"),
    [
        pytest.param(student(0.03), 0.05, id="3 % noise"),
        pytest.param(student(0.10), 0.1, id="10 % noise"),
        pytest.param(contaminated, 0.1, id="a third of the rounds off"),
        pytest.param(autocorrelated, 0.05, id="autocorrelated rounds"),
    ],
)
def test_the_pick_is_right_and_takes_a_tenth_of_a_full_sweep(noise: Noise, share: float) -> None:
    rng = np.random.default_rng(2026)
    good = blocks = 0
    for _ in range(100):
        costs = np.exp(np.append(rng.uniform(math.log(1.02), math.log(4.0), 47), 0.0))
        picked, taken = race(rng, costs, noise)
        good += costs[picked] <= 1.02 * costs.min()
        blocks += taken

    assert good >= 95
    assert blocks <= share * 100 * 48 * MOST_ROUNDS
