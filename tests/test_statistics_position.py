"""Are the first calls of a block slower?"""

from __future__ import annotations

import numpy as np
import pytest

from lexer_core.statistics import position_effect


def blocks(slow_first: float, count: int, size: int = 4) -> np.ndarray:
    samples = np.random.default_rng(5).lognormal(0.0, 0.02, (count, size))
    samples[:, 0] *= slow_first
    return samples.ravel()


@pytest.mark.parametrize("effect", [-0.05, 0.0, 0.03, 0.5])
def test_a_slower_first_sample_is_measured(effect):
    found = position_effect(blocks(1.0 + effect, 400), [4] * 400)

    assert found == pytest.approx(effect, abs=0.006)


def test_blocks_of_one_sample_say_nothing():
    assert position_effect(np.ones(30), [1] * 30) is None


def test_a_few_stalled_blocks_do_not_matter():
    samples = blocks(1.0, 100)
    samples[:40:4] *= 10.0

    assert position_effect(samples, [4] * 100) == pytest.approx(0.0, abs=0.02)


def test_ten_blocks_are_needed():
    assert position_effect(blocks(1.0, 9), [4] * 9) is None
    assert position_effect(blocks(1.0, 10), [4] * 10) is not None
