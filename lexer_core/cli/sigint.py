"""What does Ctrl-C do, whenever it is pressed?

Before and after a command, and before a run begins, it ends the process at once.
Otherwise it raises KeyboardInterrupt, but not again within a second: a bouncing key
or an impatient user must not interrupt what the first press has started, such as
writing the results.

An interrupted import may raise something other than KeyboardInterrupt (numpy's
raises RecursionError), or crash. An error after Ctrl-C is not a bug in Lexer.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lexer_core.worker.interrupts import a_run_has_begun, interrupts_apart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = [
    "INTERRUPTED",
    "exit_at_once_when_interrupted",
    "exits_at_once_until_a_run_begins",
    "recorded_interrupts",
]

INTERRUPTED = 130
"""The exit status after Ctrl-C."""


def exit_at_once_when_interrupted() -> None:
    """Let Ctrl-C end this process, unless it is ignored or handled otherwise.

    To be called when there is nothing yet to report or to clean up.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit_at_once)
        # When Python has ended, the signal would end the process with another status.
        # Registered first, so called last.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


_start_up = False


@contextmanager
def exits_at_once_until_a_run_begins() -> Iterator[None]:
    """Let Ctrl-C end this process in the ``with`` block as long as nothing is measured.

    Much is imported there, and an exception in the import of an extension module may
    crash the process.
    """
    global _start_up  # noqa: PLW0603
    _start_up = True
    try:
        yield
    finally:
        _start_up = False


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    del number, frame
    # Not imported yet if there are no temporary files.
    folders = sys.modules.get("lexer_core.temporary_folders")
    if folders is not None and hasattr(folders, "remove_all"):
        folders.remove_all()
    os._exit(INTERRUPTED)


@contextmanager
def recorded_interrupts() -> Iterator[list[int]]:
    """Record each Ctrl-C in a list, and raise KeyboardInterrupt, at most once a second.

    The list stays empty outside the main thread, or if another handler is
    installed.
    """
    recorded: list[int] = []

    def record(number: int, frame: FrameType | None) -> None:
        if _start_up and not a_run_has_begun():
            os.write(2, b"Interrupted.\n")
            _exit_at_once(number, frame)
        recorded.append(number)
        signal.default_int_handler(number, frame)

    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or before not in (signal.default_int_handler, _exit_at_once):
        yield recorded
        return
    signal.signal(signal.SIGINT, record)
    try:
        with interrupts_apart():
            yield recorded
    finally:
        signal.signal(signal.SIGINT, before)
