"""How likely is a verdict when the time is up?"""

from __future__ import annotations

import math

import numpy as np
import pytest

from lexer_core.statistics.distributions import normal_quantile
from lexer_core.statistics.prospects import chance_of_verdict

BAND = math.log(1.02)


def simulated(estimate: float, sd: float, share: float, remaining: float) -> float:
    """Draw the final estimate by drawing the true ratio and the rounds that are to come."""
    rng = np.random.default_rng(5)
    true = estimate + sd * rng.standard_normal(400_000)
    of_later_rounds = sd * math.sqrt(share / (1.0 - share))
    later = true + of_later_rounds * rng.standard_normal(true.size)
    final = share * estimate + (1.0 - share) * later
    half = normal_quantile(0.999) * sd * math.sqrt(share * remaining)
    outside = (final - half > BAND) | (final + half < -BAND)
    return float(np.mean(outside | ((final - half > -BAND) & (final + half < BAND))))


@pytest.mark.parametrize("estimate", [0.0, 0.012, 0.04, -0.06])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_it_is_the_share_of_continuations_with_a_verdict(estimate: float, share: float) -> None:
    chance = chance_of_verdict(estimate, 0.01**2, share=share, confidence=0.999, band=BAND)

    assert chance == pytest.approx(simulated(estimate, 0.01, share, 0.3), abs=0.004)


def test_at_the_end_there_is_a_verdict_or_none() -> None:
    chances = [
        chance_of_verdict(estimate, 0.005**2, share=1.0, confidence=0.95, band=BAND)
        for estimate in (0.0, 0.02, 0.1)
    ]

    assert chances == [1.0, 0.0, 1.0]
