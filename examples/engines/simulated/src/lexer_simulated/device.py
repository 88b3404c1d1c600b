"""What is the simulated device? A thread that takes work from a queue, and memory of its own."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

__all__ = ["Event", "Queue", "Tensor"]


@frozen(eq=False)
class Tensor:
    """An array in the device's memory: it gets there, and away, as a copy only."""

    _array: npt.NDArray[Any]

    @classmethod
    def from_host(cls, array: npt.NDArray[Any]) -> Tensor:
        """Copy an array to the device."""
        return cls(np.array(array))

    def to_host(self) -> npt.NDArray[Any]:
        """Copy it back."""
        return np.array(self._array)

    def on_device(self) -> npt.NDArray[Any]:
        """The array itself; for what runs on the device."""
        return self._array


@define(eq=False)
class Event:
    """One launch: whether it is over, what became of it, and when it ran by the device's clock."""

    done: threading.Event = field(factory=threading.Event)
    error: BaseException | None = None
    nanoseconds: int = 0


class Queue:
    """A device's queue, worked off in order by a thread.

    Parameters
    ----------
    launch_seconds
        What each launch takes beside its work.
    """

    def __init__(self, launch_seconds: float = 0.0) -> None:
        self._launch_seconds = launch_seconds
        self._waiting: queue.SimpleQueue[tuple[Callable[[], object], Event] | None] = (
            queue.SimpleQueue()
        )
        self._last: Event | None = None
        self._thread = threading.Thread(target=self._work, name="simulated device", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], object]) -> Event:
        """Hand over one launch; returns at once."""
        event = Event()
        self._last = event
        self._waiting.put((work, event))
        return event

    def synchronize(self) -> None:
        """Wait until everything that was handed over is done; raises what the last of it raised."""
        if self._last is not None:
            self._last.done.wait()
            if self._last.error is not None:
                raise self._last.error

    def close(self) -> None:
        """Let the thread finish what it has, and end. May be called twice."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()
        self._last = None

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            work, event = item
            start = time.perf_counter_ns()
            try:
                if self._launch_seconds:
                    time.sleep(self._launch_seconds)
                work()
            except BaseException as error:  # whoever waits for it is told
                event.error = error
            event.nanoseconds = max(1, time.perf_counter_ns() - start)
            event.done.set()
