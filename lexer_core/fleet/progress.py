"""How does a person see what the machines do?

A table in a terminal; elsewhere, a line for each run that begins or ends. Always on
standard error.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.live import Live
    from rich.table import Table

    from lexer_core.fleet.records import FleetEvent

__all__ = ["FleetDisplay"]

_MOST_MACHINES = 20
_SECONDS_BETWEEN_DRAWINGS = 0.5
_LINES_FOR = {"waiting", "measuring", "done", "failed", "finished"}


class FleetDisplay:
    """Shows the events of a fleet while it is entered.

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
        self._stream, self._clock = stream or sys.stderr, clock
        self._now: dict[str, FleetEvent] = {}
        self._counts = {"done": 0, "failed": 0, "finished": 0}
        self._drawn_at = float("-inf")
        self._live: Live | None = None
        self._last = ""

    def __enter__(self) -> Self:
        if self._stream.isatty():
            from rich.console import Console  # not for --help
            from rich.live import Live

            console = Console(file=self._stream)
            self._live = Live(
                console=console, auto_refresh=False, transient=True, redirect_stdout=False
            )
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: FleetEvent) -> None:
        """Show an event."""
        if event.state in self._counts:
            self._counts[event.state] += 1
        if event.machine:
            self._now[event.machine] = event
        if self._live is None:
            self._write(event)
        elif self._clock() - self._drawn_at >= _SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = self._clock()
            self._live.update(self._table(event), refresh=True)

    def _write(self, event: FleetEvent) -> None:
        # What a machine says while it measures would fill the log of a job.
        is_news = event.state in _LINES_FOR or (event.state == "checking" and event.text)
        if not is_news or (event.state == "measuring" and event.text):
            return
        line = f"lexer: {_described(event)}"
        if line != self._last:
            self._last = line
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def _table(self, event: FleetEvent) -> Table:
        from rich.table import Table  # as above
        from rich.text import Text

        table = Table(box=None, show_header=False, pad_edge=False)
        at_work = [each for each in self._now.values() if each.state != "finished"]
        for each in at_work[:_MOST_MACHINES]:
            table.add_row(Text(each.machine), Text(_doing(each), no_wrap=True))
        counts = (
            f"{self._counts['finished']} of {len(self._now)} machines finished; "
            f"runs measured: {self._counts['done']}, failed: {self._counts['failed']}"
        )
        table.add_row(Text("") if event.machine else Text(_described(event)), Text(counts))
        return table


def _described(event: FleetEvent) -> str:
    if not event.machine:
        return _printable(f"waiting for machines: {event.text}")
    return _printable(f"{event.machine}: {_doing(event)}")


def _doing(event: FleetEvent) -> str:
    if event.state == "finished":
        return "finished"
    words = {"done": "measured", "failed": "did not measure"}
    text = " ".join(part for part in (words.get(event.state, event.state), event.run) if part)
    first = event.text.splitlines()[0] if event.text else ""
    return _printable(f"{text}: {first}" if first else text)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())
