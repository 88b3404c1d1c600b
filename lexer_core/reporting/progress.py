"""How does a person see what a running benchmark does?

A bar in a terminal or notebook; elsewhere, such as in CI, a line of text every
few seconds. Always on standard error.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Protocol, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.benchmark.progress import ProgressEvent

__all__ = ["ProgressDisplay"]

_SECONDS_BETWEEN_DRAWINGS = 0.1
_SECONDS_BETWEEN_LINES = 3.0

_WORDS = {
    "prepare": "starting the model process",
    "reference": "running the model for reference outputs",
    "export": "exporting",
    "import": "importing",
    "load": "loading",
    "warm_up": "warming up",
    "rounds": "measuring",
    "fetch": "checking the outputs of",
    "locate": "locating the difference of",
    "load_test": "serving requests with",
}

_UNMEASURED = {"prepare", "reference", "export", "locate"}
"""Phases in which a thread may redraw the elapsed time without disturbing a measurement."""


class _View(Protocol):
    """Where progress is shown."""

    pause: float
    """Seconds between two looks at the elapsed time."""

    def show(self, event: ProgressEvent, text: str) -> None:
        """Show an event, described by ``text``."""

    def close(self) -> None:
        """Remove what must not stay."""


class ProgressDisplay:
    """Shows progress events on standard error while it is entered.

    Parameters
    ----------
    stream
        Where to write; default: standard error.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._started = clock()
        self._view: _View | None = None
        self._event: ProgressEvent | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self._started = self._clock()
        self._view = _view_for(self._stream, self._clock)
        threading.Thread(target=self._redraw, name="lexer-progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        with self._lock:
            if self._view is not None:
                self._view.close()
                self._view = None

    def __call__(self, event: ProgressEvent) -> None:
        """Show an event; the view decides how often it draws."""
        with self._lock:
            self._event = event
            self._show()

    def _redraw(self) -> None:
        """Show that time passes in phases that are not measured and say nothing for long."""
        while (view := self._view) is not None and not self._closed.wait(view.pause):
            with self._lock:
                if self._event is not None and self._event.phase in _UNMEASURED:
                    self._show()

    def _show(self) -> None:
        if self._view is None or self._event is None:
            return
        self._view.show(self._event, described(self._event, self._clock() - self._started))


def described(event: ProgressEvent, elapsed: float) -> str:
    """Describe an event in one line: what is done, what is known, elapsed and left."""
    what = _WORDS.get(event.phase, event.phase.replace("_", " "))
    text = " ".join(part for part in (what, event.label) if part)
    if event.message:
        text += f": {event.message}"
    times = f"{elapsed:.0f} s"
    if event.seconds_left is not None:
        times += f", at most {max(event.seconds_left, 0.0):.0f} s left"
    text = f"{text} ({times})"
    return "".join(character for character in text if character.isprintable())


def _view_for(stream: TextIO, clock: Callable[[], float]) -> _View:
    if _in_notebook() or stream.isatty():
        return _Bar(stream, clock)
    return _Lines(stream, clock)


def _in_notebook() -> bool:
    """Whether this is a notebook that can show a widget."""
    if "ipykernel" not in sys.modules:
        return False
    from importlib.util import find_spec  # in notebooks alone

    from rich.console import Console

    # A script may import ipykernel, too.
    return Console().is_jupyter and find_spec("ipywidgets") is not None


class _Lines:
    """A line of text every few seconds."""

    pause = _SECONDS_BETWEEN_LINES

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._written_at: float | None = None

    def show(self, event: ProgressEvent, text: str) -> None:
        del event
        now = self._clock()
        # A little less than the pause, so that the thread's own beat is not missed.
        if self._written_at is not None and now - self._written_at < 0.9 * self.pause:
            return
        self._written_at = now
        try:
            self._stream.write(f"lexer: {text}\n")
            self._stream.flush()
        except (OSError, ValueError):  # closed: nobody reads it, and results matter more
            self._written_at = float("inf")

    def close(self) -> None:
        """Leave the lines."""


class _Bar:
    """A bar that is redrawn in place and removed at the end."""

    pause = 0.5

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        # Not for --help.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self._clock = clock
        self._drawn_at = float("-inf")
        self._shown = ""
        console = Console() if _in_notebook() else Console(file=stream, force_jupyter=False)
        self._progress = Progress(
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.start()
        self._task = self._progress.add_task("starting", total=None)

    def show(self, event: ProgressEvent, text: str) -> None:
        now = self._clock()
        key = f"{event.phase} {event.label}"
        if key == self._shown and now - self._drawn_at < _SECONDS_BETWEEN_DRAWINGS:
            return
        self._shown, self._drawn_at = key, now
        if event.done is None:
            self._progress.update(self._task, description=text, total=None)
        else:
            done = min(max(event.done, 0.0), 1.0)
            self._progress.update(self._task, description=text, total=1.0, completed=done)
        self._progress.refresh()

    def close(self) -> None:
        self._progress.stop()
