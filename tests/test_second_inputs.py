"""Second inputs have other values within the range of the first, and masks stay."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from lexer_core.model.second_inputs import second_inputs

RNG = np.random.default_rng(0)
NORMAL = RNG.standard_normal((4, 8)).astype(np.float32)
MASK = np.int64([[1, 1, 1, 0]])


@pytest.mark.parametrize(
    "array",
    [
        NORMAL,
        NORMAL.astype(np.float16),
        NORMAL.astype(ml_dtypes.bfloat16),
        RNG.random((3, 5)),
        RNG.integers(5, 30000, (2, 7)),
        RNG.integers(0, 256, (2, 7), dtype=np.uint8),
        np.int8([[-128, 127, 3]]),
    ],
)
def test_values_are_others_of_the_same_type_and_range(array):
    for attempt in second_inputs({"x": array}):
        second = attempt["x"]
        assert (second.shape, second.dtype) == (array.shape, array.dtype)
        assert second.min() >= array.min()
        assert second.max() <= array.max()
        assert not np.array_equal(second, array)
    assert second_inputs({"x": array})


def test_a_sum_changes_its_sign():
    (first, *_) = second_inputs({"x": np.abs(NORMAL) - 0.5})

    assert np.sign(first["x"].sum()) == -np.sign((np.abs(NORMAL) - 0.5).sum())


@pytest.mark.parametrize(
    "mask",
    [
        np.array([[True, False]]),
        MASK,
        MASK.astype(np.float32),
        np.where(MASK, 0.0, -np.inf),
        np.where(MASK, 0.0, np.finfo(np.float32).min),
        np.int64([0, 3, 7, 7]),  # offsets
        np.int64(5),
        np.zeros((0, 3), np.float32),
    ],
)
def test_what_looks_like_a_mask_or_an_offset_stays(mask):
    for attempt in second_inputs({"x": NORMAL, "mask": mask}):
        np.testing.assert_array_equal(attempt["mask"], mask)


@pytest.mark.parametrize("array", [np.ones((3, 8), np.float32), np.zeros(3), np.arange(8)])
def test_numbers_that_look_like_a_mask_change_if_nothing_else_does(array):
    first = second_inputs({"x": array})[0]

    assert not np.array_equal(first["x"], array)
    assert np.isfinite(first["x"]).all()


def test_there_are_none_for_masks_alone():
    assert second_inputs({"mask": MASK, "flags": np.array([True, False])}) == []


def test_they_are_the_same_in_every_run_and_do_not_change_the_first():
    before = NORMAL.copy()

    one, other = (second_inputs({"x": NORMAL})[0]["x"] for _ in range(2))

    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(before, NORMAL)
    assert NORMAL.flags.writeable
    assert not one.flags.writeable


def test_gentler_inputs_keep_integers_and_signs():
    gentle = second_inputs({"x": NORMAL, "ids": np.int64([3, 9, 4])})[1]

    np.testing.assert_array_equal(np.sign(gentle["x"]), np.sign(NORMAL))
    assert gentle["ids"].tolist() == [3, 9, 4]
