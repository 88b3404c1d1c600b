"""What does a progress callback receive?"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

__all__ = ["ProgressCallback", "ProgressEvent"]


@frozen(kw_only=True)
class ProgressEvent:
    """One step of a benchmark.

    ``phase`` is the name of the step, ``label`` its row (empty for the whole
    benchmark), and ``done`` the finished share from 0 to 1, or ``None`` if unknown.
    """

    phase: str
    label: str = ""
    done: float | None = None
    message: str = ""


ProgressCallback = Callable[[ProgressEvent], object]
