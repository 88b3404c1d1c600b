"""How is a plan of a fleet executed on this machine alone, without a network?"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Self

from lexer_core.fleet.executor import Reply, Said
from lexer_core.fleet.machine import perform
from lexer_core.fleet.records import ConnectedMachine

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["THIS_MACHINE", "ThisMachine"]

THIS_MACHINE = "this-machine"


class ThisMachine:
    """An executor with one machine, this one, which takes every label."""

    is_under_nanny = False

    def __init__(self) -> None:
        self._came: queue.SimpleQueue[Reply | Said] = queue.SimpleQueue()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        if self._thread is not None:
            self._thread.join()

    def machines(self) -> Sequence[ConnectedMachine]:
        """Return this machine."""
        return (ConnectedMachine(name=THIS_MACHINE, labels=None),)

    def start(self, machine: str, action: str, arguments: str, content: bytes) -> None:
        """Perform an action in a thread."""

        def perform_and_reply() -> None:
            answer = perform(action, arguments, content, self)
            self._came.put(Reply(machine=machine, answer=answer))

        self._thread = threading.Thread(target=perform_and_reply, name="lexer-fleet-machine")
        self._thread.start()

    def wait(self, seconds: float) -> Sequence[Reply | Said]:
        """Return what has come; wait for it at most this long."""
        try:
            return [self._came.get(timeout=seconds)]
        except queue.Empty:
            return []

    def tell(self, text: str) -> None:
        """Pass on what is being done."""
        self._came.put(Said(machine=THIS_MACHINE, text=text))

    def is_stopping(self) -> bool:
        """Return whether the user interrupted."""
        return self._is_stopping.is_set()
