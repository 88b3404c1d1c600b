"""Do the intervals cover what they say they cover?

Seeded simulations: each trial calls the public functions as a run would. With
2000 trials, an interval that covers 95 % scores between 94 and 96 %.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sample_generators as gen
from scipy.special import stdtrit

from lexer_core.statistics import (
    RoundCentres,
    StoppingRule,
    StoppingState,
    check_stop,
    compare_cases,
    percentile_intervals,
    ratio_interval,
)
from lexer_core.statistics.launch_effect import LAUNCH_SD

pytestmark = pytest.mark.simulation


TRIALS = 2000
TRUE_RATIO = 1.3
PERCENTS = (50.0, 90.0, 95.0, 99.0)

Generator = Callable[[np.random.Generator, gen.Shape], gen.FloatArray]

GENERATORS: dict[str, Generator] = {
    "lognormal": gen.lognormal,
    "ar_0.5": lambda rng, shape: gen.autoregressive(rng, shape, 0.5),
    "ar_0.9": lambda rng, shape: gen.autoregressive(rng, shape, 0.9),
    "outliers": lambda rng, shape: gen.with_outliers(rng, gen.lognormal(rng, shape)),
    "stalls": lambda rng, shape: gen.with_stalls(rng, gen.lognormal(rng, shape)),
    "bimodal": gen.bimodal,
}


def draw(name: str, shape: gen.Shape, shift: float, seed: int = 1) -> gen.FloatArray:
    rng = np.random.default_rng(seed)
    return GENERATORS[name](rng, shape) * gen.round_shifts(rng, shape, shift)


def pair_of_medians(
    name: str, rounds: int, per_round: int, shift: float, trials: int = TRIALS
) -> tuple[gen.FloatArray, gen.FloatArray]:
    """Round medians of two cases whose ratio is known, under shifts that both share."""
    # A seed of its own for each cell: their luck is independent.
    rng = np.random.default_rng([7, *name.encode(), rounds, per_round, round(1000 * shift)])
    shape = (trials, rounds, per_round)
    shared = gen.round_shifts(rng, shape, shift)
    a = GENERATORS[name](rng, shape) * shared * TRUE_RATIO
    b = GENERATORS[name](rng, shape) * shared
    return np.median(a, axis=-1), np.median(b, axis=-1)


def covered_share(a: gen.FloatArray, b: gen.FloatArray) -> float:
    intervals = [ratio_interval(one, other) for one, other in zip(a, b, strict=True)]
    return float(np.mean([i.low <= TRUE_RATIO <= i.high for i in intervals]))


@pytest.mark.parametrize("rounds", [5, 10, 20, 40])
def test_ratio_intervals_cover_as_they_say_from_five_rounds_on(rounds):
    # 50 calls of a millisecond: the middle of the range of block lengths.
    covered = {
        (name, shift): covered_share(*pair_of_medians(name, rounds, 50, shift))
        for name in GENERATORS
        for shift in (0.03, 0.10)
    }

    # The gate is 93 to 97 %. A cell of 2000 trials has a standard error of
    # 0.4 points; all twelve together have one of 0.1.
    assert 0.94 <= np.mean(list(covered.values())) <= 0.97
    assert min(covered.values()) >= 0.93, covered
    assert max(covered.values()) <= 0.98, covered


def covered_over_launches(spread: float, launches: int | None) -> float:
    """Share of trials whose ratio of two freshly started cases covers the true one."""
    rng = np.random.default_rng([11, round(1e4 * spread)])
    shape = (TRIALS, 40)
    lives = np.exp(LAUNCH_SD * rng.standard_normal((2, TRIALS, 1)))
    rounds = np.exp(spread * rng.standard_normal((2, *shape)))
    a, b = lives * rounds * 1e-3
    verdicts = [
        compare_cases({"a": centres(one), "b": centres(other)}, launches=launches).pairs[0]
        for one, other in zip(a, b, strict=True)
    ]
    return float(np.mean([v.ratio.low <= 1.0 <= v.ratio.high for v in verdicts]))


def centres(values: gen.FloatArray) -> RoundCentres:
    return RoundCentres(rounds=np.arange(len(values)), values=values)


@pytest.mark.parametrize("spread", [0.002, 0.01, 0.05])
def test_ratio_intervals_of_one_launch_cover_what_launches_differ_by(spread):
    assert 0.93 <= covered_over_launches(spread, 1) <= 0.97


def test_without_the_launches_part_an_interval_covers_too_little():
    assert covered_over_launches(0.002, None) < 0.5


def test_ratio_intervals_cover_when_a_round_holds_one_call():
    a, b = pair_of_medians("lognormal", 5, 1, 0.10)

    assert 0.93 <= covered_share(a, b) <= 0.97


@pytest.mark.parametrize("name", ["stalls", "bimodal"])
def test_ratio_intervals_err_on_the_wide_side_where_medians_jump(name):
    # Short blocks let a burst or the second mode take a whole round's median
    # now and then: the t interval is then too wide, never too narrow.
    a, b = pair_of_medians(name, 10, 12, 0.03)

    assert 0.94 <= covered_share(a, b) <= 0.995


def test_rounds_that_resemble_each_other_are_batched():
    rng = np.random.default_rng(3)
    shape = (600, 60, 20)
    a = gen.lognormal(rng, shape) * gen.drifting_shifts(rng, shape, 0.05, 0.5) * TRUE_RATIO
    b = gen.lognormal(rng, shape)
    a, b = np.median(a, axis=-1), np.median(b, axis=-1)

    naive = np.log(a / b / TRUE_RATIO)
    half = naive.std(axis=1, ddof=1) / np.sqrt(60) * stdtrit(59, 0.975)
    unbatched = np.mean(np.abs(naive.mean(axis=1)) <= half)

    assert unbatched < 0.80
    assert covered_share(a, b) >= 0.90


def test_pooling_samples_as_if_independent_fails_the_gate():
    # The mutation that must not survive: inference from samples, not rounds.
    rng = np.random.default_rng(5)
    shape = (500, 10, 50)
    a = gen.lognormal(rng, shape) * gen.round_shifts(rng, shape, 0.03) * TRUE_RATIO
    b = gen.lognormal(rng, shape) * gen.round_shifts(rng, shape, 0.03)

    logs = (np.log(a) - np.log(b)).reshape(500, -1)
    half = logs.std(axis=1, ddof=1) / np.sqrt(logs.shape[1]) * stdtrit(logs.shape[1] - 1, 0.975)
    pooled = np.mean(np.abs(logs.mean(axis=1) - np.log(TRUE_RATIO)) <= half)
    by_round = covered_share(np.median(a, axis=-1), np.median(b, axis=-1))

    assert pooled < 0.70
    assert by_round >= 0.93


def true_percentiles(name: str, shift: float) -> gen.FloatArray:
    return np.percentile(draw(name, (60000, 1, 50), shift, seed=99), PERCENTS)


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.10])
@pytest.mark.parametrize("name", GENERATORS)
def test_percentile_intervals_cover_or_say_that_they_cannot(name, shift):
    trials, rounds, per_round = 400, 20, 200
    truth = true_percentiles(name, shift)
    ids = gen.round_ids(rounds, per_round)
    shown = np.zeros(len(PERCENTS))
    missed = np.zeros(len(PERCENTS))
    for samples in draw(name, (trials, rounds, per_round), shift):
        for index, entry in enumerate(percentile_intervals(samples.ravel(), ids, PERCENTS)):
            if entry.sufficient:
                shown[index] += 1
                missed[index] += not entry.low <= truth[index] <= entry.high

    # Misses per run: an interval that is not shown misleads nobody.
    assert shown[0] == trials
    assert (missed[:3] / trials <= 0.08).all()
    assert missed[3] / trials <= 0.10
    # Where most runs show an interval, those shown must cover as well.
    often = shown >= 0.5 * trials
    assert (missed[often] / shown[often] <= np.array([0.08, 0.08, 0.08, 0.10])[often]).all()


@pytest.mark.parametrize("shift", [0.0, 0.03, 0.10])
@pytest.mark.parametrize("name", [name for name in GENERATORS if name != "stalls"])
def test_percentile_intervals_of_short_blocks_cover_or_say_that_they_cannot(name, shift):
    # 25 calls a round, 500 in all. Stalls are left out: one burst is expected
    # in such a run, and a run that met none cannot know of them.
    trials, rounds, per_round = 400, 20, 25
    truth = true_percentiles(name, shift)
    ids = gen.round_ids(rounds, per_round)
    missed = np.zeros(len(PERCENTS))
    for samples in draw(name, (trials, rounds, per_round), shift):
        for index, entry in enumerate(percentile_intervals(samples.ravel(), ids, PERCENTS)):
            if entry.sufficient:
                missed[index] += not entry.low <= truth[index] <= entry.high

    assert (missed[:3] / trials <= 0.08).all()
    assert missed[3] / trials <= 0.10


def test_order_statistics_that_ignore_rounds_fail_the_percentile_gate():
    # The mutation: every sample gets a round of its own.
    trials, rounds, per_round = 300, 20, 50
    truth = true_percentiles("lognormal", 0.10)
    pooled_ids = np.arange(rounds * per_round)
    hits = {"rounds": 0, "pooled": 0}
    rng = np.random.default_rng(11)
    for samples in draw("lognormal", (trials, rounds, per_round), 0.10, seed=12):
        flat = samples.ravel()
        (kept,) = percentile_intervals(flat, gen.round_ids(rounds, per_round), (50.0,))
        (pooled,) = percentile_intervals(rng.permutation(flat), pooled_ids, (50.0,))
        hits["rounds"] += kept.low <= truth[0] <= kept.high
        hits["pooled"] += pooled.low <= truth[0] <= pooled.high

    assert hits["pooled"] / trials < 0.65
    assert hits["rounds"] / trials >= 0.92


@pytest.mark.parametrize("name", ["lognormal", "outliers", "stalls", "bimodal", "ar_0.9"])
def test_a_run_that_stops_by_itself_still_covers(name):
    precision, trials, most = 0.03, 800, 300
    a, b = pair_of_medians(name, most, 20, 0.10, trials)
    rule = StoppingRule(precision=precision, max_rounds=most)
    covered = 0
    stopped_by_precision = 0
    for medians_a, medians_b in zip(a, b, strict=True):
        state = StoppingState()
        rounds = rule.min_rounds - 1
        while not state.stop:
            rounds += 1
            medians = {"a": medians_a[:rounds], "b": medians_b[:rounds]}
            state = check_stop(medians, seconds=0.0, rule=rule, previous=state)
        interval = ratio_interval(medians_a[:rounds], medians_b[:rounds])
        covered += interval.low <= TRUE_RATIO <= interval.high
        stopped_by_precision += state.reason == "precision"

    assert stopped_by_precision > 0.9 * trials
    assert covered / trials >= 0.93
