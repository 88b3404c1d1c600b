"""Do the intervals cover as often as they say?

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


def covered_share(a: gen.FloatArray, b: gen.FloatArray, truth: float = TRUE_RATIO) -> float:
    intervals = [ratio_interval(one, other) for one, other in zip(a, b, strict=True)]
    # Too few effective rounds for an interval: nobody is misled.
    return float(np.mean([i.low is None or i.low <= truth <= i.high for i in intervals]))


def covered_by_rounds(log_ratios: gen.FloatArray, centre: float = 0.0) -> float:
    ratios = TRUE_RATIO * np.exp(log_ratios - centre)
    return covered_share(ratios, np.ones_like(ratios))


@pytest.mark.parametrize("rounds", [10, 14, 20, 40])
def test_ratio_intervals_cover_as_they_say_from_ten_rounds_on(rounds):
    # 50 calls of a millisecond: the middle of the range of block lengths.
    covered = {
        (name, shift): covered_share(*pair_of_medians(name, rounds, 50, shift))
        for name in GENERATORS
        for shift in (0.03, 0.10)
    }

    # A cell of 2000 trials has a standard error of 0.4 points; all twelve
    # together have one of 0.1. With 10 or 14 rounds, an autocorrelation that is
    # only apparent costs width.
    assert 0.95 <= np.mean(list(covered.values())) <= (0.97 if rounds >= 20 else 0.9755)
    assert min(covered.values()) >= 0.945, covered
    assert max(covered.values()) <= 0.98, covered


def centre_of(name: str) -> float:
    """The median of all rounds of a generator: what an interval is of."""
    return float(np.median(gen.ROUND_GENERATORS[name](np.random.default_rng(99), (400, 1000))))


@pytest.mark.parametrize("rounds", [10, 14, 20, 40, 160])
@pytest.mark.parametrize("name", gen.ROUND_GENERATORS)
def test_ratio_intervals_cover_on_disturbed_machines(name, rounds):
    rng = np.random.default_rng([21, rounds])
    log_ratios = gen.ROUND_GENERATORS[name](rng, (TRIALS, rounds))

    assert 0.93 <= covered_by_rounds(log_ratios, centre_of(name)) <= 0.985


@pytest.mark.parametrize("rounds", [10, 14, 20, 40, 160])
@pytest.mark.parametrize("name", gen.RECORDINGS)
def test_ratio_intervals_cover_on_recorded_rounds(name, rounds):
    rng = np.random.default_rng([22, rounds])
    # These two recordings are autocorrelated over up to eight rounds; no
    # estimate from few rounds shows all of it.
    least = 0.90 if name == "2_threads_first" else 0.91 if name == "1_thread_second" else 0.93

    assert least <= covered_by_rounds(gen.recorded_rounds(name, rng, (TRIALS, rounds))) <= 0.99


@pytest.mark.parametrize("name", ["linear", "third_off"])
def test_a_mean_of_the_rounds_would_be_far_less_precise(name):
    rng = np.random.default_rng(23)
    log_ratios = (
        gen.recorded_rounds(name, rng, (50, 160))
        if name in gen.RECORDINGS
        else gen.ROUND_GENERATORS[name](rng, (50, 160))
    )

    by_mean = log_ratios.std(axis=1, ddof=1) / np.sqrt(160) * stdtrit(159, 0.975)
    by_median = [ratio_interval(np.exp(row), np.ones(160)).half_width for row in log_ratios]

    assert np.median(by_median) < np.median(by_mean) / 4


def covered_over_launches(spread: float, launches: int | None) -> float:
    """Share of trials whose interval for two freshly started cases covers their ratio."""
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
    assert 0.93 <= covered_over_launches(spread, 1) <= 0.975


def test_without_the_launches_part_an_interval_covers_too_little():
    assert covered_over_launches(0.002, None) < 0.5


@pytest.mark.parametrize("rounds", [10, 20, 40])
@pytest.mark.parametrize("name", ["lognormal", "outliers", "bimodal"])
def test_ratio_intervals_cover_when_a_round_has_one_call(name, rounds):
    a, b = pair_of_medians(name, rounds, 1, 0.10)

    assert 0.94 <= covered_share(a, b) <= 0.98


@pytest.mark.parametrize("rounds", [10, 20, 40])
@pytest.mark.parametrize("name", ["stalls", "bimodal"])
def test_ratio_intervals_cover_where_the_medians_of_rounds_jump(name, rounds):
    # Short blocks: a burst or the second mode sometimes takes a whole round.
    a, b = pair_of_medians(name, rounds, 12, 0.03)

    assert 0.94 <= covered_share(a, b) <= 0.98


@pytest.mark.parametrize("rho", [0.3, 0.5])
def test_ratio_intervals_allow_for_a_drift_that_only_one_case_has(rho):
    rng = np.random.default_rng(3)
    shape = (600, 60, 20)
    a = gen.lognormal(rng, shape) * gen.drifting_shifts(rng, shape, 0.05, rho) * TRUE_RATIO
    b = gen.lognormal(rng, shape)
    a, b = np.median(a, axis=-1), np.median(b, axis=-1)
    ordered = np.sort(np.log(a / b / TRUE_RATIO), axis=1)

    # Ranks 23 and 38 of 60 have 95 % if the rounds are independent.
    independent = np.mean((ordered[:, 22] <= 0.0) & (ordered[:, 37] >= 0.0))

    assert independent < {0.3: 0.93, 0.5: 0.87}[rho]
    assert covered_share(a, b) >= {0.3: 0.93, 0.5: 0.92}[rho]


def test_pooling_samples_as_if_independent_fails_the_gate():
    # The mutation that must not survive: each sample counts as a round.
    rng = np.random.default_rng(5)
    shape = (500, 10, 50)
    a = gen.lognormal(rng, shape) * gen.round_shifts(rng, shape, 0.05) * TRUE_RATIO
    b = gen.lognormal(rng, shape) * gen.round_shifts(rng, shape, 0.05)
    ratios = rng.permuted((a / b).reshape(500, -1), axis=1)

    pooled = covered_share(ratios, np.ones_like(ratios))
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
