"""What is the simulated device? A thread that processes a queue, with its own memory."""

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
    """An array in the device's memory; only copies get in and out."""

    _array: npt.NDArray[Any]

    @classmethod
    def from_host(cls, array: npt.NDArray[Any]) -> Tensor:
        """Copy an array to the device."""
        return cls(np.array(array))

    def to_host(self) -> npt.NDArray[Any]:
        """Copy the array from the device."""
        return np.array(self._array)

    def on_device(self) -> npt.NDArray[Any]:
        """Return the array itself, for work on the device."""
        return self._array


@define(eq=False)
class Event:
    """A launch: whether it is done, its error, and its duration by the device's clock."""

    done: threading.Event = field(factory=threading.Event)
    error: BaseException | None = None
    nanoseconds: int = 0


class Queue:
    """A device's queue, which a thread processes in order.

    Parameters
    ----------
    launch_seconds
        Overhead of each launch.
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
        """Queue a launch; return immediately."""
        event = Event()
        self._last = event
        self._waiting.put((work, event))
        return event

    def synchronize(self) -> None:
        """Wait until the queue is empty; raise the error of the last launch, if any."""
        if self._last is not None:
            self._last.done.wait()
            if self._last.error is not None:
                raise self._last.error

    def close(self) -> None:
        """End the thread after the queued work. May be called twice."""
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
            except BaseException as error:  # raised where the launch is waited for
                event.error = error
            event.nanoseconds = max(1, time.perf_counter_ns() - start)
            event.done.set()
