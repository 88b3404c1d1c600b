"""Which interrupts (Ctrl-C) take effect, and when?

The first interrupt ends the run: the finished rows are collected and the workers
stopped. A repeated one, from a bouncing key or an impatient user, must neither lose
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

__all__ = [
    "a_run_has_begun",
    "interrupt_handled",
    "interrupts_apart",
    "interrupts_end_run",
    "raise_lost_interrupt",
    "without_interrupts",
]

_SAME_INTERRUPT_SECONDS = 1.0


_begun = False
_unhandled = False


def raise_lost_interrupt() -> None:
    """Raise ``KeyboardInterrupt`` for an interrupt that Python has dropped.

    Python prints and drops an exception in a finalizer or a callback of the garbage
    collector, also that of Ctrl-C.
    """
    if _unhandled:
        raise KeyboardInterrupt


def interrupt_handled() -> None:
    """Note that the run has caught an interrupt and is ending."""
    global _unhandled  # noqa: PLW0603
    _unhandled = False


def a_run_has_begun() -> bool:
    """Whether a benchmark has begun in this process, so that an interrupt is reported."""
    return _begun


@contextmanager
def interrupts_end_run() -> Iterator[None]:
    """Let an interrupt end the run in the ``with`` block, as :func:`interrupts_apart` does."""
    global _begun  # noqa: PLW0603
    with interrupts_apart():
        _begun = True
        interrupt_handled()
        yield


@contextmanager
def interrupts_apart() -> Iterator[None]:
    """Ignore an interrupt that follows another one within a second.

    Later ones take effect: handling the first one may itself hang.
    """
    last = -float("inf")

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last
        global _unhandled  # noqa: PLW0603
        now = time.monotonic()
        if now - last >= _SAME_INTERRUPT_SECONDS:
            last = now
            _unhandled = True
            if callable(before):
                before(number, frame)

    before = signal.getsignal(signal.SIGINT)
    with _handler(handle):
        yield


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Ignore interrupts while something short is completed."""
    with _handler(lambda _number, _frame: None):
        yield


@contextmanager
def _handler(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Set a SIGINT handler temporarily, if possible and needed.

    Python interrupts only the main thread; and a handler installed by C code, which
    Python reports as ``None``, could not be restored.
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
