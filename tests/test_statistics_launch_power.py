"""Does the gate for saved runs keep quiet when nothing changed, and bark when it did?"""

from __future__ import annotations

import numpy as np
import pytest
import sample_generators as gen
from scipy.special import stdtrit

from lexer_core.statistics import compare_launches

pytestmark = pytest.mark.simulation


TRIALS = 2000
LAUNCHES = 5


def two_runs(slowdown: float, seed: int) -> list[tuple[gen.FloatArray, ...]]:
    rng = np.random.default_rng(seed)
    old, old_canary = gen.launch_medians(rng, TRIALS, LAUNCHES)
    new, new_canary = gen.launch_medians(rng, TRIALS, LAUNCHES)
    return list(zip(new * slowdown, new_canary, old, old_canary, strict=True))


def test_a_run_against_itself_is_hardly_ever_a_regression():
    verdicts = [compare_launches(*run).verdict for run in two_runs(1.0, seed=1)]

    assert verdicts.count("REGRESSION") / TRIALS <= 0.025
    assert verdicts.count("IMPROVED") / TRIALS <= 0.025


def test_five_percent_more_time_is_caught_with_five_launches():
    verdicts = [compare_launches(*run).verdict for run in two_runs(1.05, seed=2)]

    assert verdicts.count("REGRESSION") / TRIALS >= 0.95
    assert verdicts.count("OK") / TRIALS <= 0.005


def test_the_interval_of_the_ratio_covers_as_it_says():
    results = [compare_launches(*run) for run in two_runs(1.05, seed=3)]

    covered = np.mean([result.low <= 1.05 <= result.high for result in results])

    assert 0.93 <= covered <= 0.97


def test_without_the_canary_the_session_would_pass_for_a_regression():
    # The mutation: the same Welch interval on the bare medians.
    false_alarms = 0
    for new, _, old, _ in two_runs(1.0, seed=4):
        low = np.log(new).mean() - np.log(old).mean()
        error = np.sqrt(np.log(new).var(ddof=1) / 5 + np.log(old).var(ddof=1) / 5)
        false_alarms += low - stdtrit(8, 0.975) * error > 0.0 and low > np.log(1.02)

    assert false_alarms / TRIALS > 0.15
