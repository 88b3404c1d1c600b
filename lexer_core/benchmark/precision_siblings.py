"""Is a row in a lower precision slower than the same engine in the model's own?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.precisions import is_lower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.results import BenchmarkResult, Comparison

__all__ = ["with_slower_precisions"]


def with_slower_precisions(
    rows: Sequence[BenchmarkResult], pairs: Sequence[Comparison]
) -> tuple[BenchmarkResult, ...]:
    """Add to each row in a lower precision whether it is slower than its sibling."""
    return tuple(
        attrs.evolve(row, warnings=(*row.warnings, warning))
        if is_lower(row.precision) and (warning := _slower(row, rows, pairs))
        else row
        for row in rows
    )


def _slower(
    row: BenchmarkResult, rows: Sequence[BenchmarkResult], pairs: Sequence[Comparison]
) -> str:
    siblings = [
        each for each in rows if not is_lower(each.precision) and _facts(each) == _facts(row)
    ]
    for sibling in siblings:
        for pair in pairs:
            if (pair.a, pair.b, pair.verdict) == (sibling.label, row.label, "slower"):
                times = 1.0 / pair.ratio.estimate
            elif (pair.a, pair.b, pair.verdict) == (row.label, sibling.label, "faster"):
                times = pair.ratio.estimate
            else:
                continue
            own = sibling.precision or "the model's own precision"
            return f"{row.precision} is {times:.3g}x slower than {own} on this machine"
    return ""


def _facts(row: BenchmarkResult) -> tuple[object, ...]:
    """Return what two rows share that differ in precision only."""
    return (
        row.model,
        row.engine_name,
        row.interpreter,
        row.device_name,
        row.threads,
        row.batch_size,
        dict(row.options),
    )
