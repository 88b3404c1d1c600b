"""What does a progress callback receive?"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

__all__ = ["ProgressCallback", "ProgressEvent"]


@frozen(kw_only=True)
class ProgressEvent:
    """One step of a benchmark.

    Parameters
    ----------
    phase
        What is being done: ``"prepare"``, ``"reference"``, ``"export"``,
        ``"import"``, ``"load"``, ``"warm_up"``, ``"rounds"``, ``"fetch"`` or
        ``"locate"``.
    label
        The row it is done for; empty for the benchmark as a whole.
    done
        The finished share of the phase, 0 to 1, or ``None`` if that is not known.
    message
        What is known so far, such as ``"24 rounds, onnxruntime 3.1x ±8%"``.
    seconds_left
        How long the phase takes at most from now on, or ``None`` if that is not
        bounded.
    """

    phase: str
    label: str = ""
    done: float | None = None
    message: str = ""
    seconds_left: float | None = None


ProgressCallback = Callable[[ProgressEvent], object]
