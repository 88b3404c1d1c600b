from __future__ import annotations

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.statistics import (
    percentile_intervals,
    round_means,
    round_medians,
    smallest_effective_count,
    summarise,
    throughput,
)


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return gen.lognormal(rng, (30, 40)).ravel()


IDS = gen.round_ids(30, 40)


def test_the_summary_agrees_with_numpy(samples):
    summary = summarise(samples, IDS)

    assert (summary.count, summary.rounds, summary.loops) == (1200, 30, 1)
    assert summary.mean == pytest.approx(samples.mean())
    assert summary.variance == pytest.approx(samples.var(ddof=1))
    assert summary.std == pytest.approx(samples.std(ddof=1))
    assert (summary.min, summary.max) == (samples.min(), samples.max())
    for percent in (50, 90, 95, 99):
        assert summary.percentile(percent).estimate == pytest.approx(
            np.percentile(samples, percent), rel=1e-12
        )


def test_intervals_of_quiet_samples_enclose_their_estimates(samples):
    summary = summarise(samples, IDS)

    assert summary.mean_low < summary.mean < summary.mean_high
    for entry in summary.percentiles:
        assert entry.sufficient
        assert not entry.note
        assert entry.low <= entry.estimate <= entry.high


def test_a_higher_confidence_gives_wider_intervals(samples):
    usual = summarise(samples, IDS, confidence=0.95)
    surer = summarise(samples, IDS, confidence=0.99)

    assert surer.mean_high - surer.mean_low > usual.mean_high - usual.mean_low
    assert surer.percentile(50).low < usual.percentile(50).low
    assert surer.percentile(50).high > usual.percentile(50).high


def test_a_summary_scales_with_its_unit(samples):
    seconds = summarise(samples, IDS)
    milliseconds = summarise(samples * 1e3, IDS)

    assert milliseconds.variance == pytest.approx(seconds.variance * 1e6)
    assert milliseconds.percentile(95).high == pytest.approx(seconds.percentile(95).high * 1e3)


def test_outliers_are_counted_by_tukeys_fences_and_kept():
    # Quartiles 2 and 4 (of 1..5 many times): fences at -1 and 7, outer at -4 and 10.
    bulk = np.tile([1.0, 2.0, 3.0, 4.0, 5.0], 40)
    samples = np.concatenate([bulk, [7.0, 8.0, 10.0, 11.0]])

    summary = summarise(samples, np.zeros(samples.size, dtype=int))

    assert (summary.outliers_mild, summary.outliers_severe) == (2, 1)
    assert summary.count == samples.size
    assert summary.max == 11.0


def test_throughput_is_items_over_time_and_not_the_mean_of_rates():
    samples = np.array([0.001] * 98 + [0.050] * 2)

    assert throughput(samples) == pytest.approx(100 / samples.sum())
    assert throughput(samples) < np.mean(1 / samples)
    assert throughput(samples, loops=64, items_per_call=8) == pytest.approx(800 / samples.sum())


def test_loops_withhold_the_tails_and_label_the_median(samples):
    summary = summarise(samples, IDS, loops=64)

    median, *tails = summary.percentiles
    assert median.note == "of means of 64 calls"
    assert median.sufficient
    for tail in tails:
        assert tail.estimate is None
        assert tail.low is tail.high is None
        assert tail.note.startswith("withheld: samples are means of 64 calls")
    assert summary.calls_per_second == pytest.approx(1 / samples.mean())


def test_a_single_round_has_percentiles_without_intervals():
    summary = summarise(np.array([0.1, 0.2, 0.3]), [4, 4, 4])

    assert summary.percentile(50).estimate == pytest.approx(0.2)
    assert summary.percentile(50).note == "insufficient: 1 round, 2 needed"
    assert summary.mean_low is summary.mean_high is None
    assert summary.effective_count is None


def test_a_single_sample_has_no_variance():
    summary = summarise([0.1], [0])

    assert summary.mean == summary.min == summary.max == 0.1
    assert summary.variance is summary.std is None


@pytest.mark.parametrize(
    ("percent", "least"), [(50, 6), (90, 36), (95, 72), (99, 368), (99.9, 3688), (10, 36)]
)
def test_the_smallest_effective_count_follows_from_the_confidence(percent, least):
    assert smallest_effective_count(percent) == least


@pytest.mark.parametrize(("percent", "least"), [(50.0, 6), (90.0, 36), (95.0, 72), (99.0, 368)])
def test_independent_samples_suffice_from_exactly_that_count_on(percent, least):
    # Spread evenly in time by the golden section: no luck, good or bad.
    samples = 1.0 + (np.arange(least) * 0.6180339887498949) % 1.0

    (enough,) = percentile_intervals(samples, np.arange(least), (percent,))
    (short,) = percentile_intervals(samples[:-1], np.arange(least - 1), (percent,))

    assert enough.sufficient
    assert enough.effective_count == pytest.approx(least)
    assert not short.sufficient
    assert short.note == f"insufficient: {least - 1} effective samples, {least} needed"
    assert short.estimate is not None


def test_p99_needs_twenty_rounds_however_many_samples():
    rng = np.random.default_rng(4)
    samples = gen.lognormal(rng, (19, 1000)).ravel()

    p95, p99 = percentile_intervals(samples, gen.round_ids(19, 1000), (95.0, 99.0))

    assert p95.sufficient
    assert p99.note == "insufficient: 19 rounds, 20 needed"


def test_shifts_between_rounds_cost_effective_samples():
    rng = np.random.default_rng(8)
    shape = (30, 40)
    noise = gen.lognormal(rng, shape, 0.02)
    shifted = noise * gen.round_shifts(rng, shape, 0.10)

    quiet = summarise(noise.ravel(), IDS)
    noisy = summarise(shifted.ravel(), IDS)

    assert quiet.effective_count > 600
    assert noisy.effective_count < 60
    assert noisy.percentile(99).note.startswith("insufficient: ")


def test_equal_samples_have_an_interval_of_no_width():
    (median,) = percentile_intervals(np.full(100, 2.0), gen.round_ids(10, 10), (50.0,))

    assert median.low == median.estimate == median.high == 2.0


def test_effective_samples_never_exceed_the_samples():
    # Each round holds the same values: less variable than independent samples.
    samples = np.tile(np.linspace(1.0, 2.0, 20), 30)

    (median,) = percentile_intervals(samples, gen.round_ids(30, 20), (50.0,))

    assert median.design_effect == 1.0
    assert median.effective_count == 600


def test_round_medians_are_those_of_numpy_for_rounds_of_any_size():
    rng = np.random.default_rng(2)
    sizes = [1, 2, 5, 8, 3]
    samples = rng.random(sum(sizes)) + 0.1
    ids = np.repeat([7, 3, 9, 11, 4], sizes)

    medians = round_medians(samples, ids)
    means = round_means(samples, ids)

    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    assert medians.rounds.tolist() == [7, 3, 9, 11, 4]
    assert medians.values == pytest.approx([np.median(piece) for piece in pieces])
    assert means.values == pytest.approx([np.mean(piece) for piece in pieces])


def test_round_medians_of_equal_rounds_are_those_of_numpy(samples):
    assert round_medians(samples, IDS).values == pytest.approx(
        np.median(samples.reshape(30, 40), axis=1)
    )


def test_inputs_are_left_as_they_were(samples):
    before = samples.copy()

    summarise(samples, IDS)
    round_medians(samples, IDS)

    assert (samples == before).all()
