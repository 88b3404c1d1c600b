"""How fast is each row, compared with the baseline?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.results import Comparison, Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import Verdict

__all__ = ["baseline_of", "inverse", "reversed_comparison", "with_baseline"]

_REVERSED: Mapping[Verdict, Verdict] = {"faster": "slower", "slower": "faster"}


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


def reversed_comparison(pair: Comparison) -> Comparison:
    """Return the comparison of a with b from that of b with a."""
    return attrs.evolve(
        pair,
        a=pair.b,
        b=pair.a,
        ratio=inverse(pair.ratio),
        verdict=_REVERSED.get(pair.verdict, pair.verdict),
    )
