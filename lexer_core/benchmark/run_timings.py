"""How long does each phase of a run take, and how is progress reported?"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lexer_core.benchmark.progress import ProgressCallback, ProgressEvent
from lexer_core.worker.interrupts import raise_lost_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RunTimings"]


class RunTimings:
    """The time of each phase in seconds, and notes for the reader of the report.

    Parameters
    ----------
    progress
        Called with every step; may be ``None``.
    """

    def __init__(self, progress: ProgressCallback | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []
        self._progress = progress

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the time of the block to a phase, even if it raises."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

    def report(
        self,
        phase: str,
        label: str = "",
        *,
        done: float | None = None,
        message: str = "",
        seconds_left: float | None = None,
    ) -> None:
        """Report progress."""
        raise_lost_interrupt()
        if self._progress is not None:
            self._progress(
                ProgressEvent(
                    phase=phase, label=label, done=done, message=message, seconds_left=seconds_left
                )
            )
