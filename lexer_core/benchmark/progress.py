"""What is said while a benchmark runs?"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

__all__ = ["ProgressCallback", "ProgressEvent"]


@frozen(kw_only=True)
class ProgressEvent:
    """One step of a benchmark.

    ``phase`` is what is being done, ``label`` the row it is done for (empty for
    the benchmark as a whole), ``done`` the part that is finished, 0 to 1, or
    ``None`` where that is not known.
    """

    phase: str
    label: str = ""
    done: float | None = None
    message: str = ""


ProgressCallback = Callable[[ProgressEvent], object]
