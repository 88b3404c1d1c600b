"""How does the user see progress?

On one line of standard error, if that is a terminal.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID

    from lexer_core.benchmark.progress import ProgressEvent

__all__ = ["ProgressLine"]

_MIN_REDRAW_SECONDS = 0.1


class ProgressLine:
    """A context manager that shows progress events on one line, and removes it on exit.

    It draws only when an event arrives, never from its own thread, which would
    compete with the measurement.

    Parameters
    ----------
    stream
        Where to draw. Default: standard error. Nothing is drawn if it is not a
        terminal.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._drawn_at = 0.0
        self._shown = ""

    def __enter__(self) -> Self:
        if not self._stream.isatty():
            return self
        from rich.console import Console  # slow to import, and only for terminals
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            console=Console(file=self._stream, force_jupyter=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.start()
        self._task = self._progress.add_task("starting", total=None)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def __call__(self, event: ProgressEvent) -> None:
        """Show an event; redraws at most ten times a second within one phase."""
        if self._progress is None or self._task is None:
            return
        description = _described(event)
        now = time.monotonic()
        if description == self._shown and now - self._drawn_at < _MIN_REDRAW_SECONDS:
            return
        self._shown, self._drawn_at = description, now
        if event.done is None:
            self._progress.update(self._task, description=description, total=None)
        else:
            done = min(max(event.done, 0.0), 1.0)
            self._progress.update(self._task, description=description, total=1.0, completed=done)
        self._progress.refresh()


def _described(event: ProgressEvent) -> str:
    what = event.phase.replace("_", " ")
    parts = [f"{what} {event.label}".strip(), event.message]
    text = ": ".join(part for part in parts if part)
    return "".join(character for character in text if character.isprintable())
