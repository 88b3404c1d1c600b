from __future__ import annotations

import math

import numpy as np
import pytest
import sample_generators as gen
from scipy.special import stdtrit

from lexer_core.statistics import (
    RoundCentres,
    align_rounds,
    compare_cases,
    compare_launches,
    holm_adjust,
    ratio_interval,
    robust_centre,
    round_medians,
)


def case(factor: float, *, rounds: int = 40, sigma: float = 0.01, seed: int = 0) -> RoundCentres:
    """Round medians around ``factor`` ms; each seed has its own noise."""
    rng = np.random.default_rng(seed)
    values = 1e-3 * factor * np.exp(sigma * rng.standard_normal(rounds))
    return RoundCentres(rounds=np.arange(rounds), values=values)


def verdicts(comparisons) -> dict[tuple[str, str], str]:
    return {(pair.a, pair.b): pair.verdict for pair in comparisons.pairs}


def ranks(comparisons) -> dict[str, int | None]:
    return {standing.label: standing.rank for standing in comparisons.standings}


def test_a_ratio_is_the_median_of_the_rounds_between_order_statistics():
    # Spread evenly in time by the golden section: no autocorrelation by chance.
    logs = np.argsort(np.arange(41) * 0.6180339887498949 % 1.0) / 40.0 * 0.6 - 0.3

    interval = ratio_interval(np.exp(logs), np.ones(41))

    assert interval.estimate == pytest.approx(1.0)
    # Ranks 14 and 28 of 41 bound the median of independent rounds with 97 %
    # confidence, ranks 15 and 27 with 94 %: the ends are between them.
    ordered = np.exp(np.sort(logs))
    assert interval.effective_rounds == pytest.approx(41, rel=0.1)
    assert ordered[13] < interval.low < ordered[14]
    assert ordered[26] < interval.high < ordered[27]


def test_a_third_of_the_rounds_off_by_half_hardly_moves_a_ratio():
    quiet = case(1.0, rounds=60, sigma=0.005, seed=3).values
    disturbed = quiet.copy()
    disturbed[::3] *= 1.5

    interval = ratio_interval(disturbed, np.full(60, 1e-3))

    assert interval.estimate == pytest.approx(np.median(quiet) / 1e-3, rel=0.01)
    assert interval.half_width < 0.01


def test_a_ratio_turned_round_has_its_interval_turned_round():
    a, b = case(2.0, seed=1).values, case(1.0, seed=2).values

    there, back = ratio_interval(a, b), ratio_interval(b, a)

    assert back.estimate == pytest.approx(1 / there.estimate)
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
    assert back.half_width == pytest.approx(there.half_width)


def test_drift_that_both_cases_share_does_not_widen_the_ratio():
    a, b = case(2.0, seed=1).values, case(1.0, seed=2).values
    drift = np.linspace(1.0, 3.0, 40)

    assert ratio_interval(a * drift, b * drift).high == pytest.approx(ratio_interval(a, b).high)


def test_autocorrelated_rounds_count_for_fewer():
    rng = np.random.default_rng(5)
    shifts = gen.drifting_shifts(rng, (1, 64, 1), 0.05, 0.9)[0, :, 0]

    interval = ratio_interval(1e-3 * shifts, np.full(64, 1e-3))

    assert interval.autocorrelation > 0.2
    assert interval.effective_rounds < 32


def test_a_few_extreme_rounds_do_not_hide_an_autocorrelation():
    rng = np.random.default_rng(5)
    shifts = gen.drifting_shifts(rng, (1, 64, 1), 0.05, 0.9)[0, :, 0]
    shifts[[7, 30, 50]] *= 100.0

    assert ratio_interval(1e-3 * shifts, np.full(64, 1e-3)).effective_rounds < 32


def test_one_round_gives_a_ratio_without_an_interval():
    interval = ratio_interval([3.0], [2.0])

    assert interval.estimate == pytest.approx(1.5)
    assert interval.low is interval.high is interval.half_width is None
    assert interval.note == (
        "insufficient: 1 round, worth 1.0 independent ones, for an interval at 95.00%"
    )


def test_six_independent_rounds_give_an_interval_and_five_do_not():
    rounds = np.array([3.0, 3.2, 3.1, 2.9, 3.3, 2.8])

    six, five = ratio_interval(rounds, np.ones(6)), ratio_interval(rounds[:5], np.ones(5))

    assert 2.8 <= six.low < six.estimate < six.high <= 3.3
    assert not six.note
    assert five.low is five.high is None


def test_a_known_variance_widens_each_side_by_its_square():
    logs = np.random.default_rng(1).normal(size=50) * 0.01
    centre = robust_centre(logs)
    low, high = centre.interval(0.95)

    wider_low, wider_high = centre.with_variance(0.01**2).interval(0.95)

    assert centre.estimate - wider_low == pytest.approx(
        math.hypot(centre.estimate - low, 1.96 * 0.01), rel=1e-4
    )
    assert wider_high - centre.estimate == pytest.approx(
        math.hypot(high - centre.estimate, 1.96 * 0.01), rel=1e-4
    )


def test_rounds_are_aligned_by_their_number():
    a = RoundCentres(rounds=np.array([5, 1, 3]), values=np.array([50.0, 10.0, 30.0]))
    b = RoundCentres(rounds=np.array([1, 2, 5]), values=np.array([1.0, 2.0, 5.0]))

    first, second = align_rounds(a, b)

    assert first.tolist() == [50.0, 10.0]
    assert second.tolist() == [5.0, 1.0]


def test_a_faster_case_is_called_faster_and_ranks_first():
    comparisons = compare_cases({"Torch": case(3.9, seed=1), "ONNXRuntime": case(1.0, seed=2)})

    (pair,) = comparisons.pairs
    assert pair.verdict == "faster"
    assert pair.ratio.estimate == pytest.approx(3.9, rel=0.02)
    assert ranks(comparisons) == {"Torch": 2, "ONNXRuntime": 1}


def test_the_verdict_is_of_b_against_a():
    comparisons = compare_cases({"ONNXRuntime": case(1.0, seed=2), "Torch": case(3.9, seed=1)})

    assert verdicts(comparisons) == {("ONNXRuntime", "Torch"): "slower"}
    assert ranks(comparisons) == {"ONNXRuntime": 1, "Torch": 2}


def test_a_difference_within_delta_is_a_tie_and_shares_the_rank():
    comparisons = compare_cases({"x": case(1.0, seed=1), "y": case(1.005, seed=2)})

    assert verdicts(comparisons) == {("x", "y"): "tie"}
    assert ranks(comparisons) == {"x": 1, "y": 1}


def test_an_interval_across_the_edge_of_the_band_is_undecided():
    comparisons = compare_cases({"x": case(1.02, seed=1), "y": case(1.0, seed=2)})

    assert verdicts(comparisons) == {("x", "y"): "undecided"}
    assert ranks(comparisons) == {"x": 1, "y": 1}


def test_a_wider_delta_turns_a_difference_into_a_tie():
    cases = {"x": case(1.04, seed=1), "y": case(1.0, seed=2)}

    assert verdicts(compare_cases(cases)) == {("x", "y"): "faster"}
    assert verdicts(compare_cases(cases, delta=0.10)) == {("x", "y"): "tie"}


def test_two_that_tie_share_the_first_rank_and_the_third_comes_third():
    comparisons = compare_cases(
        {"x": case(1.0, seed=1), "y": case(1.0, seed=2), "z": case(1.5, seed=3)}
    )

    assert ranks(comparisons) == {"x": 1, "y": 1, "z": 3}


def test_the_verdict_is_read_from_the_interval_that_holm_widened():
    cases = {str(seed): case(1.0 + 0.1 * seed, seed=seed) for seed in range(5)}

    comparisons = compare_cases(cases)

    widths = {pair.adjusted.confidence for pair in comparisons.pairs}
    assert max(widths) == pytest.approx(1 - 0.05 / 10)
    assert min(widths) == pytest.approx(0.95)
    for pair in comparisons.pairs:
        assert pair.verdict == "slower"
        assert pair.adjusted.high < 1 / 1.02
        assert pair.adjusted_p <= 0.05
        assert pair.adjusted.low <= pair.ratio.low


def test_verdicts_of_a_family_agree_with_its_adjusted_probabilities():
    rng = np.random.default_rng(3)
    for seed in range(30):
        cases = {
            name: case(1 + 0.05 * rng.random(), rounds=15, sigma=0.02, seed=100 * seed + index)
            for index, name in enumerate("abcd")
        }
        for pair in compare_cases(cases).pairs:
            assert (pair.verdict == "undecided") == (pair.adjusted_p > 0.05)


def test_a_case_among_equals_is_rarely_called_different():
    # Ten pairs at 95 % each would go wrong in four of ten families on the edge.
    wrong = 0
    for seed in range(400):
        cases = {
            name: case(1.02 if name == "e" else 1.0, rounds=20, seed=1000 * seed + index)
            for index, name in enumerate("abcde")
        }
        found = verdicts(compare_cases(cases)).values()
        wrong += any(verdict in ("faster", "slower") for verdict in found)

    assert wrong / 400 <= 0.05


def test_nine_rounds_give_a_ratio_but_no_verdict():
    cases = {"x": case(2.0, rounds=9, seed=3), "y": case(1.0, rounds=9, seed=4)}

    comparisons = compare_cases(cases)

    (pair,) = comparisons.pairs
    assert pair.ratio.low < 2.0 < pair.ratio.high
    assert pair.verdict == "none"
    assert pair.adjusted is pair.adjusted_p is None
    assert pair.reason == "9 rounds, 10 needed"
    assert ranks(comparisons) == {"x": None, "y": None}


def test_cases_that_never_met_have_no_ratio():
    late = RoundCentres(rounds=np.arange(100, 140), values=case(1.0).values)

    (pair,) = compare_cases({"x": case(2.0), "y": late}).pairs

    assert pair.ratio is None
    assert (pair.verdict, pair.reason) == ("none", "never measured in the same round")


def test_a_withheld_case_keeps_its_ratios_and_loses_its_rank():
    comparisons = compare_cases(
        {"x": case(1.0, seed=1), "y": case(2.0, seed=2), "z": case(3.0, seed=3)},
        withheld={"x": "outputs disagree"},
    )

    assert verdicts(comparisons) == {("x", "y"): "none", ("x", "z"): "none", ("y", "z"): "slower"}
    assert comparisons.pairs[0].ratio.high < 1.0
    assert comparisons.pairs[0].reason == "x: outputs disagree"
    assert ranks(comparisons) == {"x": None, "y": 1, "z": 2}
    # The verdict that is left is the only one in its family.
    assert comparisons.pairs[2].adjusted.confidence == pytest.approx(0.95)


def test_a_case_alone_has_no_pairs_and_no_rank():
    comparisons = compare_cases({"x": case(1.0)})

    assert comparisons.pairs == ()
    assert ranks(comparisons) == {"x": None}


def test_rounds_without_any_spread_still_give_a_verdict():
    equal = RoundCentres(rounds=np.arange(12), values=np.full(12, 1e-3))
    double = RoundCentres(rounds=np.arange(12), values=np.full(12, 2e-3))

    assert verdicts(compare_cases({"x": equal, "y": double})) == {("x", "y"): "slower"}
    assert verdicts(compare_cases({"x": equal, "y": equal})) == {("x", "y"): "tie"}


def test_samples_lead_to_verdicts_through_their_round_medians():
    rng = np.random.default_rng(6)
    shape = (30, 20)
    shared = gen.round_shifts(rng, shape, 0.1)
    ids = gen.round_ids(*shape)
    cases = {
        "slow": round_medians((gen.lognormal(rng, shape) * shared * 1.3).ravel(), ids),
        "fast": round_medians((gen.lognormal(rng, shape) * shared).ravel(), ids),
    }

    assert ranks(compare_cases(cases)) == {"slow": 2, "fast": 1}


def test_holm_multiplies_step_by_step_and_never_falls():
    assert holm_adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm_adjust([0.9, 0.8]) == (1.0, 1.0)
    assert holm_adjust([]) == ()


def test_a_regression_needs_both_a_clear_and_a_large_slowdown():
    canary = np.array([3.0, 3.03, 2.98, 3.01, 2.99])
    base = canary / 3.0

    assert compare_launches(base * 1.05, canary, base, canary).verdict == "REGRESSION"
    assert compare_launches(base * 0.90, canary, base, canary).verdict == "IMPROVED"
    assert compare_launches(base * 1.01, canary, base, canary).verdict == "OK"
    assert compare_launches(base, canary, base, canary).verdict == "OK"


def test_launches_that_scatter_are_inconclusive():
    canary = np.full(5, 3.0)
    noisy = np.array([1.0, 1.2, 0.9, 1.1, 0.95])

    result = compare_launches(noisy * 1.02, canary, noisy, canary)

    assert result.verdict == "INCONCLUSIVE"
    assert result.low < 1.0 < result.high


def test_a_slower_machine_is_taken_out_by_the_canary():
    rng = np.random.default_rng(9)
    case_times, canary = gen.launch_medians(rng, 1, 5, session_sigma=0.0)

    alone = compare_launches(case_times[0] * 1.3, canary[0] * 1.3, case_times[0], canary[0])

    assert alone.ratio == pytest.approx(1.0)
    assert alone.verdict == "OK"


def test_the_interval_of_launches_is_welchs():
    new, old = np.array([1.1, 1.2, 1.15]), np.array([1.0, 1.01, 0.99, 1.02, 0.98])

    result = compare_launches(new, np.ones(3), old, np.ones(5))

    x, y = np.log(new), np.log(old)
    parts = x.var(ddof=1) / 3, y.var(ddof=1) / 5
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 4)
    half = stdtrit(degrees, 0.975) * math.sqrt(sum(parts))
    assert result.degrees == pytest.approx(degrees)
    assert result.low == pytest.approx(math.exp(x.mean() - y.mean() - half))
    assert result.high == pytest.approx(math.exp(x.mean() - y.mean() + half))
    assert (result.candidate_launches, result.baseline_launches) == (3, 5)
