"""What is removed if this process is told to end while it writes something?

SIGTERM and SIGHUP end a process at once, so that no ``finally`` is reached.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["removed_on_termination"]

_NAMES = ("SIGTERM", "SIGHUP")


@contextmanager
def removed_on_termination(remove: Callable[[], object]) -> Iterator[None]:
    """Call a function if SIGTERM or SIGHUP ends this process during the ``with`` block.

    The process then ends by the signal, as without this. Signals that the program handles
    or ignores are left to it, and so are those of a thread other than the main one, where
    handlers cannot be set.

    Parameters
    ----------
    remove
        Removes what is unfinished. Raises nothing.
    """

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        remove()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    numbers = []
    if threading.current_thread() is threading.main_thread():
        known = (getattr(signal, name, None) for name in _NAMES)  # Windows has no SIGHUP
        numbers = [
            number
            for number in known
            if number is not None and signal.getsignal(number) is signal.SIG_DFL
        ]
    try:
        for number in numbers:
            signal.signal(number, end)
        yield
    finally:
        for number in numbers:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)
