"""Does each kind of invalid input raise its own error?"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from lexer_core.errors import LexerError, StatisticsError
from lexer_core.statistics import (
    RoundCentres,
    StoppingRule,
    align_rounds,
    check_stop,
    compare_cases,
    compare_launches,
    diagnose,
    holm_adjust,
    look_confidence,
    order_effect,
    percentile_intervals,
    ratio_interval,
    robust_centre,
    round_means,
    round_medians,
    smallest_effective_count,
    summarise,
    throughput,
)

BAD_SAMPLES = {
    "empty": ([], ": empty"),
    "not_a_number": ([1.0, np.nan, np.nan], "2 of 3 not a number, the first at index 1"),
    "infinite": ([1.0, 2.0, np.inf], "1 of 3 infinite, the first at index 2"),
    "not_positive": ([1.0, 0.0, 2.0], "1 of 3 not above zero, the first at index 1: 0"),
    "wrong_shape": ([[1.0, 2.0]], r"expected one dimension, got shape \(1, 2\)"),
    "not_numeric": (["fast", "slow"], "not numeric"),
}

TAKES_SAMPLES = {
    "summarise": lambda values: summarise(values, np.zeros(np.size(values), dtype=int)),
    "percentile_intervals": lambda values: percentile_intervals(
        values, np.zeros(np.size(values), dtype=int)
    ),
    "round_medians": lambda values: round_medians(values, np.zeros(np.size(values), dtype=int)),
    "round_means": lambda values: round_means(values, np.zeros(np.size(values), dtype=int)),
    "diagnose": lambda values: diagnose(values, np.zeros(np.size(values), dtype=int)),
    "throughput": throughput,
    "ratio_interval": lambda values: ratio_interval(values, np.ones(np.size(values))),
    "ratio_interval, second": lambda values: ratio_interval(np.ones(3), values),
    "compare_launches": lambda values: compare_launches(
        values, np.ones(np.size(values)), np.ones(3), np.ones(3)
    ),
}


@pytest.mark.parametrize("problem", BAD_SAMPLES)
@pytest.mark.parametrize("function", TAKES_SAMPLES)
def test_every_function_refuses_bad_samples_each_in_its_own_words(function, problem):
    values, words = BAD_SAMPLES[problem]

    with pytest.raises(StatisticsError, match=words) as caught:
        TAKES_SAMPLES[function](values)

    assert caught.value.problem == problem


def test_a_negative_latency_is_refused_with_its_place():
    with pytest.raises(StatisticsError, match=r"the first at index 2: -0\.5") as caught:
        summarise([1.0, 1.0, -0.5], [0, 0, 0])

    assert "clock" in caught.value.hint


def test_negative_infinity_is_infinite_and_not_merely_negative():
    with pytest.raises(StatisticsError) as caught:
        summarise([1.0, -np.inf], [0, 0])

    assert caught.value.problem == "infinite"


def test_unequal_counts_of_samples_and_rounds_are_refused():
    with pytest.raises(StatisticsError, match="unequal counts, 3 and 2") as caught:
        summarise([1.0, 2.0, 3.0], [0, 1])

    assert caught.value.problem == "unequal_counts"


def test_unequal_counts_of_two_cases_are_refused():
    with pytest.raises(StatisticsError, match="unequal counts, 3 and 2") as caught:
        ratio_interval([1.0, 2.0, 3.0], [1.0, 2.0])

    assert caught.value.problem == "unequal_counts"
    assert "align" in caught.value.hint


def test_no_live_case_is_refused():
    with pytest.raises(StatisticsError, match="there is no case to check") as caught:
        check_stop({}, rule=StoppingRule())

    assert caught.value.problem == "empty"


def test_a_latency_of_zero_cannot_be_checked_for_stopping():
    bad = RoundCentres(rounds=np.arange(2), values=np.array([1.0, 0.0]))

    with pytest.raises(StatisticsError, match="medians of a: 1 of 2 not above zero"):
        check_stop({"a": bad}, rule=StoppingRule())


def test_a_ratio_of_infinity_has_no_centre():
    with pytest.raises(StatisticsError) as caught:
        robust_centre([0.0, np.inf])

    assert caught.value.problem == "infinite"


def test_a_round_in_pieces_is_refused():
    with pytest.raises(StatisticsError, match="are not contiguous") as caught:
        summarise([1.0, 2.0, 3.0], [0, 1, 0])

    assert caught.value.problem == "scattered_rounds"


def test_rounds_that_are_no_whole_numbers_are_refused():
    with pytest.raises(StatisticsError, match="expected whole numbers, got float64"):
        summarise([1.0, 2.0], [0.0, 1.0])


def test_cases_without_a_common_round_are_refused():
    a = RoundCentres(rounds=np.array([0, 1]), values=np.array([1.0, 1.0]))
    b = RoundCentres(rounds=np.array([2, 3]), values=np.array([1.0, 1.0]))

    with pytest.raises(StatisticsError, match="no common round") as caught:
        align_rounds(a, b)

    assert caught.value.problem == "no_common_rounds"


def test_one_launch_is_refused():
    with pytest.raises(StatisticsError, match="baseline has 1 launch, 2 needed") as caught:
        compare_launches([1.0, 1.0], [1.0, 1.0], [1.0], [1.0])

    assert caught.value.problem == "too_few_launches"


def test_a_launch_without_its_canary_is_refused():
    with pytest.raises(StatisticsError, match="workloads of the candidate: unequal counts"):
        compare_launches([1.0, 1.0], [1.0], [1.0, 1.0], [1.0, 1.0])


def test_an_unknown_case_cannot_be_withheld():
    a = RoundCentres(rounds=np.arange(2), values=np.ones(2))

    with pytest.raises(StatisticsError, match="'z', which is not among the cases") as caught:
        compare_cases({"a": a, "b": a}, withheld={"z": "lost"})

    assert caught.value.problem == "unknown_case"


@pytest.mark.parametrize(
    "call",
    [
        lambda: summarise([1.0, 2.0], [0, 1], confidence=95),
        lambda: summarise([1.0, 2.0], [0, 1], percents=(100.0,)),
        lambda: summarise([1.0, 2.0], [0, 1], loops=0),
        lambda: summarise([1.0, 2.0], [0, 1]).percentile(42),
        lambda: throughput([1.0], items_per_call=0),
        lambda: ratio_interval([1.0], [1.0], confidence=0.0),
        lambda: compare_cases({}, delta=-0.1),
        lambda: compare_cases({}, delta=float("nan")),
        lambda: compare_launches([1.0] * 2, [1.0] * 2, [1.0] * 2, [1.0] * 2, delta=0.0),
        lambda: holm_adjust([1.5]),
        lambda: smallest_effective_count(0.0),
        lambda: StoppingRule(precision=0.0),
        lambda: StoppingRule(delta=-1.0),
        lambda: robust_centre([1.0] * 9).interval(1.0),
        lambda: look_confidence(0.95, 0),
        lambda: StoppingRule(confidence=1.0),
    ],
)
def test_settings_out_of_range_are_refused(call):
    with pytest.raises(StatisticsError) as caught:
        call()

    assert caught.value.problem == "out_of_range"


@pytest.mark.parametrize(
    ("medians", "positions", "problem"),
    [
        (np.ones((5, 2)), np.ones((4, 2)), "wrong_shape"),
        (np.ones(5), np.ones(5), "wrong_shape"),
        (np.ones((5, 1)), np.zeros((5, 1)), "too_few_cases"),
        (np.ones((2, 2)), np.tile([0, 1], (2, 1)), "too_few_rounds"),
        (np.ones((5, 2)), np.tile([0, 1], (5, 1)), "constant_order"),
        (np.zeros((5, 2)), np.tile([0, 1], (5, 1)), "not_positive"),
    ],
)
def test_an_order_effect_needs_a_table_with_a_changing_order(medians, positions, problem):
    with pytest.raises(StatisticsError) as caught:
        order_effect(medians, positions)

    assert caught.value.problem == problem


def test_refusals_are_lexer_errors():
    assert issubclass(StatisticsError, LexerError)


def test_the_room_imports_neither_scipy_stats_nor_any_runtime():
    code = (
        "import sys, lexer_core.statistics;"
        "print([m for m in ('scipy.stats', 'scipy.optimize', 'torch', 'onnx', 'onnxruntime')"
        " if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
