"""Was Ctrl-C pressed, whatever exception followed?

An interrupted import may raise something other than KeyboardInterrupt (numpy's
raises RecursionError). An error after Ctrl-C is not a bug in Lexer.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["recorded_interrupts"]


@contextmanager
def recorded_interrupts() -> Iterator[list[int]]:
    """Record each Ctrl-C in a list, and handle it as usual.

    The list stays empty outside the main thread, or if another handler is
    installed.
    """
    recorded: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        recorded.append(number)
        signal.default_int_handler(number, frame)

    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield recorded
        return
    signal.signal(signal.SIGINT, record)
    try:
        yield recorded
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
