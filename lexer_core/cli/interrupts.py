"""Was Ctrl-C pressed, whatever became of it?

An import that is broken off may raise anything in place of KeyboardInterrupt:
numpy's ends in a RecursionError. What follows a Ctrl-C is no defect.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["noted_interrupts"]


@contextmanager
def noted_interrupts() -> Iterator[list[int]]:
    """Note each Ctrl-C in a list, and let it do what it does.

    Where somebody else handles it, or this is not the main thread, the list
    stays empty.
    """
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        signal.default_int_handler(number, frame)

    own = threading.current_thread() is threading.main_thread()
    if not own or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield noted
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
