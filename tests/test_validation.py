from __future__ import annotations

import warnings

import ml_dtypes
import numpy as np
import pytest

from lexer_core.errors import UsageError
from lexer_core.validation import Float64Outputs, judge

RNG = np.random.default_rng(0)


def verdict(output, reference, **settings):
    return judge(
        {"y": np.asarray(output)},
        {"y": np.asarray(reference)},
        reference_name="Net (eager)",
        **settings,
    )


def in_float64(true):
    return lambda: Float64Outputs(outputs={"y": true})


def float32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_equal_outputs_pass_by_tolerance():
    y = float32(3, 4)

    parity = verdict(y, y.copy())

    assert parity.status == "pass"
    assert parity.rule == "tolerance"
    assert parity.reference == "Net (eager)"
    assert parity.max_abs_error == parity.rmse == parity.mismatched_share == 0.0
    assert parity.cosine == pytest.approx(1.0)


def test_the_errors_are_those_of_the_elements():
    parity = verdict(np.float32([1, 2, 3, 4.5]), np.float32([1, 2, 3, 4]))

    assert parity.status == "fail"
    assert parity.max_abs_error == 0.5
    assert parity.rmse == 0.25
    assert parity.mismatched_share == 0.25
    assert parity.reason == "y: 1 of 4 elements is outside the tolerance"


def test_the_top_level_errors_are_those_of_the_worst_output():
    good, bad = np.float32([1, 0]), np.float32([0, 1])

    parity = judge({"a": good, "b": bad}, {"a": good, "b": good}, reference_name="Net")

    assert [each.passed for each in parity.outputs] == [True, False]
    assert parity.max_abs_error == 1.0
    assert parity.cosine == 0.0
    assert parity.mismatched_share == 1.0


@pytest.mark.parametrize(
    ("dtype", "within", "beyond"),
    [
        ("float16", 1e-3, 4e-3),
        ("float32", 1e-6, 3e-5),
        ("float64", 1e-8, 1e-6),
        (ml_dtypes.bfloat16, 1.6e-2, 8e-2),
        (ml_dtypes.float8_e4m3fn, 0.12, 0.5),
        ("complex64", 1e-6, 3e-5),
    ],
)
def test_tolerances_are_those_of_the_element_type(dtype, within, beyond):
    y = np.ones(64).astype(dtype)

    assert verdict((np.ones(64) * (1 + within)).astype(dtype), y).status == "pass"
    assert verdict((np.ones(64) * (1 + beyond)).astype(dtype), y).status == "fail"


def test_zeros_do_not_pass_for_a_softmax_over_a_large_vocabulary():
    logits = float32(128_000)
    softmax = np.exp(logits) / np.exp(logits).sum()

    assert verdict(np.zeros_like(softmax), softmax).status == "fail"


def test_near_zero_elements_of_large_outputs_may_be_off_by_their_rounding():
    y = np.float32([0.0, 1000.0, -2000.0])

    assert verdict(y + np.float32([1e-4, 0, 0]), y).status == "pass"


def test_a_reference_of_zeros_allows_the_absolute_tolerance():
    zeros = np.zeros(4, np.float32)

    assert verdict(zeros + np.float32(9e-6), zeros).status == "pass"
    assert verdict(zeros + np.float32(2e-5), zeros).status == "fail"


@pytest.mark.parametrize("fill", [-1e9, np.finfo(np.float32).min, -1e4])
def test_the_fill_value_of_a_mask_widens_no_tolerance(fill):
    y = float32(100)
    y[50:] = fill
    wrong = y.copy()
    wrong[0] += 0.01

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verdict(y.copy(), y).status == "pass"
        assert verdict(wrong, y).status == "fail"


def test_a_single_fill_value_among_zeros_widens_no_tolerance():
    y = np.float32([0, 0, 0, -1e9])

    assert verdict(np.float32([0, 1, 0, -1e9]), y).status == "fail"


def test_integers_and_booleans_must_be_equal():
    big = np.int64([2**60, 1])

    assert verdict(big.copy(), big).status == "pass"
    assert verdict(big + np.int64([1, 0]), big).status == "fail"
    assert verdict([True, False], [True, True]).mismatched_share == 0.5
    assert verdict(np.uint8([3]), np.uint8([5])).max_abs_error == 2.0


def test_nan_and_infinity_in_the_same_places_agree():
    y = np.float32([np.nan, np.inf, -np.inf, 1.0])

    parity = verdict(y.copy(), y)

    assert parity.status == "pass"
    assert parity.max_abs_error == 0.0


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        ([np.nan, 1], [0, 1]),
        ([0, 1], [np.nan, 1]),
        ([np.inf, 1], [-np.inf, 1]),
        ([np.inf, 1], [3, 1]),
    ],
)
def test_nan_or_infinity_on_one_side_is_a_mismatch(output, reference):
    parity = verdict(
        np.float32(output), np.float32(reference), float64=in_float64(np.float64(reference))
    )

    assert parity.status == "fail"
    assert parity.mismatched_share == 0.5
    assert "NaN or infinite" in parity.reason


def test_only_nan_leaves_no_error_to_report():
    parity = verdict(np.float32([np.nan]), np.float32([1]))

    assert parity.status == "fail"
    assert parity.max_abs_error is None


def test_zero_size_and_scalar_outputs_are_judged():
    assert verdict(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).status == "pass"
    assert verdict(np.float32(2.0), np.float32(2.0)).status == "pass"
    assert verdict(np.float32(2.1), np.float32(2.0)).status == "fail"


def test_the_cosine_of_a_zero_vector_is_undefined():
    assert verdict(np.zeros(3, np.float32), np.zeros(3, np.float32)).cosine is None


# -- against float64 -----------------------------------------------------------


def rounded(true, size):
    """What a computation with errors of that size would give."""
    return (true + size * RNG.standard_normal(true.shape)).astype(np.float32)


def test_an_output_as_close_to_float64_as_the_reference_passes():
    true = RNG.standard_normal(10_000)

    parity = verdict(rounded(true, 1e-3), rounded(true, 1e-3), float64=in_float64(true))

    assert parity.status == "pass"
    assert parity.rule == "float64"
    assert parity.mismatched_share > 0.9


def test_an_output_with_three_times_the_references_error_fails():
    true = RNG.standard_normal(10_000)

    parity = verdict(rounded(true, 3e-3), rounded(true, 1e-3), float64=in_float64(true))

    assert parity.status == "fail"
    assert "the reference's is 0.001, and 2 times that is allowed" in parity.reason


def test_half_types_may_have_three_times_the_references_error():
    true = RNG.standard_normal(10_000)
    reference = (true + 0.05 * RNG.standard_normal(true.shape)).astype(np.float16)
    output = (true + 0.14 * RNG.standard_normal(true.shape)).astype(np.float16)

    assert verdict(output, reference, float64=in_float64(true)).status == "pass"


def test_float64_is_asked_for_only_when_an_output_misses_its_tolerance():
    y = float32(8)

    parity = verdict(y, y, float64=lambda: pytest.fail("was asked for"))

    assert parity.rule == "tolerance"


def test_float64_is_asked_for_once_for_all_outputs():
    asked = []
    true = {"a": RNG.standard_normal(8), "b": RNG.standard_normal(8)}

    judge(
        {name: rounded(each, 0.1) for name, each in true.items()},
        {name: rounded(each, 0.1) for name, each in true.items()},
        reference_name="Net",
        float64=lambda: asked.append(1) or Float64Outputs(outputs=true),
    )

    assert asked == [1]


def test_without_float64_outputs_the_tolerance_decides_and_the_reason_says_so():
    none = Float64Outputs(outputs=None, reason="no double kernel")

    parity = verdict(np.float32([1.1]), np.float32([1]), float64=lambda: none)

    assert parity.status == "fail"
    assert parity.rule == "tolerance"
    assert "without float64 outputs: no double kernel" in parity.reason


def test_a_mask_that_is_wider_in_float64_excuses_no_error():
    true = RNG.standard_normal(100)
    reference = rounded(true, 1e-7)
    reference[90:] = np.finfo(np.float32).min
    output = reference.copy()
    output[:10] += 0.1
    true[90:] = np.finfo(np.float64).min

    assert verdict(output, reference, float64=in_float64(true)).status == "fail"


# -- what cannot be compared ---------------------------------------------------


def test_a_different_shape_fails_and_is_named():
    parity = verdict(np.zeros((1, 3), np.float32), np.zeros(3, np.float32))

    assert parity.status == "fail"
    assert parity.reason == "y: shape [1, 3] instead of [3]"


def test_a_different_element_type_with_equal_values_passes_with_a_note():
    parity = verdict(np.float64([1, 2]), np.float32([1, 2]))

    assert parity.status == "pass"
    assert parity.outputs[0].note == "float64 instead of float32"


def test_missing_and_surplus_outputs_fail_by_name():
    y = float32(2)

    parity = judge({"a": y, "z": y}, {"a": y, "b": y}, reference_name="Net")

    assert parity.status == "fail"
    assert parity.reason == "output 'b' is missing; 'z' is not an output of the reference"


def test_a_reason_not_to_judge_keeps_the_errors():
    parity = verdict(np.float32([2]), np.float32([1]), not_judged="the model is not deterministic")

    assert parity.status == "not_judged"
    assert parity.reason == "the model is not deterministic"
    assert parity.max_abs_error == 1.0
    assert parity.rule == ""


# -- the user's own rules ------------------------------------------------------


def test_the_users_tolerance_is_absolute_and_is_reported():
    y = np.float32([1000.0, 1.0])

    assert verdict(y + np.float32(0.01), y, atol=0.02, rtol=0.0).status == "pass"
    parity = verdict(y + np.float32(0.05), y, atol=0.02, rtol=0.0)
    assert parity.status == "fail"
    assert (parity.rtol, parity.atol) == (0.0, 0.02)


def test_the_users_tolerance_rules_out_the_float64_rule():
    parity = verdict(
        np.float32([1.1]), np.float32([1]), rtol=0.0, float64=lambda: pytest.fail("was asked for")
    )

    assert parity.status == "fail"


@pytest.mark.parametrize("settings", [{"rtol": -1.0}, {"atol": float("nan")}])
def test_invalid_tolerances_are_refused(settings):
    with pytest.raises(UsageError):
        verdict([1.0], [1.0], **settings)


# -- other types, complex numbers, ties ----------------------------------------


@pytest.mark.parametrize(
    ("output", "reference", "change"),
    [
        (np.int32([1, 2]), np.int64([1, 2]), "int32 instead of int64"),
        (np.float32([1, 2]), np.float64([1, 2]), "float32 instead of float64"),
    ],
)
def test_a_type_of_the_same_kind_is_noted(output, reference, change):
    parity = verdict(output, reference)

    assert parity.status == "pass"
    assert parity.notes == (f"output 'y' is {change}",)


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        (np.float32([1, 2]), np.int64([1, 2])),
        (np.int64([1, 2]), np.float32([1, 2])),
        (np.uint8([1, 0]), np.array([True, False])),
        (np.float32([1, 2]), np.complex64([1, 2])),
    ],
)
def test_another_kind_of_number_is_wrong(output, reference):
    parity = verdict(output, reference)

    assert parity.status == "fail"
    assert parity.reason == (
        f"y: {output.dtype.name} instead of {reference.dtype.name}: another kind of number"
    )


def test_complex_numbers_may_be_pairs_of_real_and_imaginary_parts():
    reference = (float32(2, 9) + 1j * float32(2, 9)).astype(np.complex64)
    pairs = np.stack([reference.real, reference.imag], axis=-1)

    parity = verdict(pairs, reference)

    assert parity.status == "pass"
    assert parity.notes == ("output 'y' is complex, returned as pairs of real and imaginary parts",)
    assert verdict(pairs[..., ::-1], reference).status == "fail"


def test_an_output_that_is_neither_complex_nor_pairs_is_told_both_shapes():
    reference = np.ones((1, 9), np.complex64)

    parity = verdict(np.ones((1, 9, 1, 2), np.float32), reference)

    assert parity.reason == (
        "y: shape [1, 9, 1, 2] instead of [1, 9] or [1, 9, 2] (real and imaginary parts)"
    )


def ranked(values, indices, reference_indices, reference_values=None):
    values = np.float32(values)
    reference_values = values if reference_values is None else np.float32(reference_values)
    return judge(
        {"values": values, "indices": np.int64(indices)},
        {"values": reference_values, "indices": np.int64(reference_indices)},
        reference_name="Net",
    )


@pytest.mark.parametrize(
    ("values", "indices", "reference"),
    [
        ([[3, 2, 2, 1]], [[0, 2, 1, 3]], [[0, 1, 2, 3]]),
        ([[3, 2, 2]], [[0, 7, 8]], [[0, 1, 2]]),  # of more than k equal values
        ([[3, 2, 1]], [[0, 1, 7]], [[0, 1, 2]]),
        ([[1, 1, 2], [0, 4, 4]], [[1, 0, 2], [0, 2, 1]], [[0, 1, 2], [0, 1, 2]]),
        ([[3], [2], [2]], [[0], [2], [1]], [[0], [1], [2]]),  # along the first axis
    ],
)
def test_indices_may_differ_where_the_values_are_equal(values, indices, reference):
    parity = ranked(values, indices, reference)

    assert parity.status == "pass"
    assert "indices differ, only where the values in output 'values' are equal" in parity.notes[0]
    assert parity.max_abs_error == 0.0


def test_values_within_the_tolerance_are_equal():
    assert ranked([[2.000001, 2.0]], [[1, 0]], [[0, 1]], [[2.000001, 2.0]]).status == "pass"


@pytest.mark.parametrize(
    ("values", "indices", "reference"),
    [
        ([[3, 2, 1]], [[1, 0, 2]], [[0, 1, 2]]),  # values differ
        ([[3]], [[7]], [[2]]),  # a single value does not show a tie
        ([[3, 2]], [[7, 8]], [[0, 1]]),
        ([[3, 2, 2]], [[7, 1, 2]], [[0, 1, 2]]),  # not the last value
        ([[2, 2, 2]], [[0, 0, 1]], [[0, 1, 2]]),  # an index twice
        ([[2, 2, 2]], [[-1, 0, 1]], [[0, 1, 2]]),
    ],
)
def test_other_indices_are_wrong(values, indices, reference):
    parity = ranked(values, indices, reference)

    assert parity.status == "fail"
    assert parity.reason.endswith("if these are indices of tied values, both are right")


def test_a_lone_index_is_wrong_but_may_be_a_tie():
    parity = verdict(np.int64([3]), np.int64([5]))

    assert parity.status == "fail"
    assert "if these are indices of tied values, both are right" in parity.reason


def test_outputs_of_products_in_tf32_have_its_tolerance():
    y = float32(64)
    rounded = y * np.float32(1 + 5e-4)

    assert verdict(rounded, y).status == "fail"
    parity = verdict(rounded, y, computed="tf32")
    assert (parity.status, parity.rtol, parity.atol) == ("pass", 1e-3, 1e-2)
    assert verdict(y * np.float32(1.05), y, computed="tf32").status == "fail"


def test_tf32_is_about_float32_only():
    y = float32(64).astype(np.float64)

    assert verdict(y * (1 + 5e-4), y, computed="tf32").status == "fail"


def test_the_user_s_own_tolerance_counts_with_tf32_too():
    y = float32(64)

    assert verdict(y * np.float32(1 + 5e-4), y, computed="tf32", rtol=1e-6).status == "fail"
