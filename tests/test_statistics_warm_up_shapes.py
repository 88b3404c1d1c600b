"""Is warm-up cut off where it ends, over many simulated starts?

Six shapes with 2 % outliers, in windows as long calls (few, quiet) and short
calls (many, noisy) give them.
"""

from __future__ import annotations

import numpy as np
import pytest
import sample_generators as gen

from lexer_core.statistics import SteadyState, find_steady_state

pytestmark = pytest.mark.simulation


TRIALS = 600
WINDOWS = [(60, 0.03), (200, 0.05), (1000, 0.10)]


def noise(calls: int, sigma: float, seed: int = 5) -> gen.FloatArray:
    rng = np.random.default_rng(seed)
    return gen.with_outliers(rng, gen.lognormal(rng, (TRIALS, 1, 4 * calls), sigma))[:, 0]


def grow_window(latencies: gen.FloatArray, calls: int) -> SteadyState:
    """Double the window while the rule asks for it, up to four times the first."""
    while True:
        state = find_steady_state(latencies[:calls])
        if not state.needs_more or 2 * calls > latencies.size:
            return state
        calls *= 2


@pytest.mark.parametrize(("calls", "sigma"), WINDOWS)
@pytest.mark.parametrize("shape", ["none", "step", "decay", "spikes"])
def test_what_is_kept_has_the_steady_tail_and_no_false_flag(shape, calls, sigma):
    steady = noise(calls, sigma)
    curve = gen.warm_up_curve(shape, calls)
    ratios = np.empty(TRIALS)
    flags = 0
    for index, clean in enumerate(steady):
        latencies = clean * curve
        state = grow_window(latencies, calls)
        kept = slice(state.drop, state.calls)
        # The same calls without the warm-up: what is left is the rule's own doing.
        ratios[index] = np.percentile(latencies[kept], 95) / np.percentile(clean[kept], 95)
        flags += not state.steady

    assert abs(ratios.mean() - 1.0) <= 0.01
    assert flags / TRIALS <= 0.02


@pytest.mark.parametrize(("calls", "sigma"), WINDOWS[1:])
def test_a_fixed_ten_calls_would_bias_the_tail(calls, sigma):
    clean = noise(calls, sigma)[:, :calls]
    latencies = clean * gen.warm_up_curve("decay", calls)[:calls]

    kept = np.percentile(latencies[:, 10:], 95, axis=1)
    bias = (kept / np.percentile(clean[:, 10:], 95, axis=1)).mean() - 1.0

    assert bias > 0.01


@pytest.mark.parametrize(("calls", "sigma"), WINDOWS)
def test_a_slow_drift_is_flagged(calls, sigma):
    latencies = noise(calls, sigma) * gen.warm_up_curve("drift", calls)

    flagged = sum(not grow_window(row, calls).steady for row in latencies)

    assert flagged / TRIALS >= 0.85


@pytest.mark.parametrize(("calls", "sigma"), WINDOWS)
def test_a_late_step_is_flagged_or_cut_off_in_a_longer_window(calls, sigma):
    latencies = noise(calls, sigma) * gen.warm_up_curve("late_step", calls)
    step = 3 * calls // 4

    states = [grow_window(row, calls) for row in latencies]
    # A batch that straddles the step may leave fewer than five slow calls.
    noticed = sum(not state.steady or state.drop > step - 5 for state in states)

    assert noticed / TRIALS >= 0.95
