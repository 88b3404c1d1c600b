"""How fast is each row, compared with the baseline?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.results import Comparison, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["baseline_of", "inverse", "with_baseline"]


def baseline_of(comparisons: Sequence[Comparison]) -> str:
    """Return the label of the baseline, the ``a`` of the first pair; empty without pairs."""
    return comparisons[0].a if comparisons else ""


def with_baseline(comparisons: Sequence[Comparison]) -> Mapping[str, Comparison]:
    """Return the comparison of each other row with the baseline, by that row's label."""
    baseline = baseline_of(comparisons)
    return {pair.b: pair for pair in comparisons if pair.a == baseline}


def inverse(ratio: Interval) -> Interval:
    """Return the ratio of b to a from that of a to b."""
    return Interval(
        estimate=1 / ratio.estimate,
        low=None if not ratio.high else 1 / ratio.high,
        high=None if not ratio.low else 1 / ratio.low,
        confidence=ratio.confidence,
    )
