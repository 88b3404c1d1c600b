"""After how many calls has a faster engine made up for its longer set-up?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from lexer_core.results.benchmark_result import BenchmarkResult

__all__ = ["Payback", "payback"]

_MAIN_PART = 0.1
"""Share of the extra time from which a part is named."""


@frozen(kw_only=True)
class Payback:
    """How one engine's set-up compares with that of a slower one.

    Parameters
    ----------
    extra_ms
        How much longer its set-up takes; below 0 if it is shorter.
    parts
        The parts that account for the extra time: ``"export"``, ``"load"``, ``"first call"``.
    calls
        Calls after which the time saved exceeds the extra time; 0 if there is none.
    """

    extra_ms: float
    parts: tuple[str, ...]
    calls: float


def payback(row: BenchmarkResult, other: BenchmarkResult) -> Payback | None:
    """Compare the set-up of a row with that of a slower one.

    Only what one of the two needs and the other does not counts. An export that both
    use counts for neither, and of the first call only what exceeds an ordinary one.

    Returns
    -------
    Payback | None
        ``None`` if the row is not faster on average, a time is unknown, or the rows run
        different models.
    """
    if row.model != other.model:
        return None
    if row.mean_ms is None or other.mean_ms is None or row.mean_ms >= other.mean_ms:
        return None
    if row.load_ms is None or other.load_ms is None:
        return None
    extra = {"load": row.load_ms - other.load_ms}
    if not _is_shared_export(row, other):
        extra["export"] = (row.export_ms or 0.0) - (other.export_ms or 0.0)
    if row.first_call_ms is not None and other.first_call_ms is not None:
        extra["first call"] = (row.first_call_ms - row.mean_ms) - (
            other.first_call_ms - other.mean_ms
        )
    total = sum(extra.values())
    return Payback(
        extra_ms=total,
        parts=tuple(
            name
            for name in ("export", "load", "first call")
            if extra.get(name, 0.0) > max(0.0, total) * _MAIN_PART
        ),
        calls=max(0.0, total) / (other.mean_ms - row.mean_ms),
    )


def _is_shared_export(row: BenchmarkResult, other: BenchmarkResult) -> bool:
    """Whether both rows ran the same export; then its time is the same number."""
    return row.export_ms is not None and (row.format, row.exporter, row.export_ms) == (
        other.format,
        other.exporter,
        other.export_ms,
    )
