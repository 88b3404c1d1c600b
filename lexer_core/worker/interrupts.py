"""What may Ctrl-C break off, and what not?

The first one ends the run: its rows are then collected and its workers stopped.
A key that bounces, or a person who presses it again at once, must neither lose
the rows nor leave a worker behind.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["interrupts_apart", "without_interrupts"]

SAME_INTERRUPT_SECONDS = 1.0


@contextmanager
def interrupts_apart(seconds: float = SAME_INTERRUPT_SECONDS) -> Iterator[None]:
    """Take interrupts that follow each other within so many seconds for one.

    A later one counts again: what follows an interruption may itself hang.
    """
    last = -float("inf")

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            if callable(before):
                before(number, frame)

    before = signal.getsignal(signal.SIGINT)
    with _handler(handle):
        yield


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Let interrupts pass unheard while something short is brought to its end."""
    with _handler(lambda _number, _frame: None):
        yield


@contextmanager
def _handler(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Set a handler for a while, where one that Python knows is set now.

    Off the main thread, which Python never interrupts, there is nothing to do;
    and a handler of somebody's C code could not be put back.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
