"""How long does a call take, on the host's clock and by the device's own events?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from lexer_core.engines.timing import sample_nanoseconds, seconds_per_call
from lexer_core.records import Timings
from lexer_torch.devices import synchronizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.records import Call, Clock, Device

__all__ = ["Event", "EventPairs", "time_calls"]


class Event(Protocol):
    """What is used of ``torch.cuda.Event``."""

    def record(self) -> None:
        """Take the device's time when the work before it is done."""

    def elapsed_time(self, end_event: Any, /) -> float:
        """Milliseconds from this event to a later one."""


class EventPairs:
    """Puts an event of the device on both sides of every sample.

    :meth:`__call__` stands in for ``synchronize`` in the core's loop, which
    calls it before the first read of the clock and again before the second. The
    first event is recorded on the idle device before the clock starts; the
    second costs the host a microsecond or two within the sample. On CUDA this
    is written from the documentation and tested with events that only count:
    no CUDA device was there to run it on.

    Parameters
    ----------
    count
        Samples.
    synchronize
        Waits for all work of the device.
    make_event
        Makes an event that takes time.
    """

    def __init__(
        self, count: int, synchronize: Callable[[], None], make_event: Callable[[], Event]
    ) -> None:
        self._events = iter([make_event() for _ in range(2 * count)])
        self._starts: list[Event] = []
        self._ends: list[Event] = []
        self._synchronize = synchronize

    def __call__(self) -> None:
        """Wait for the device, with an event on the side where the work is."""
        event = next(self._events)
        if len(self._starts) == len(self._ends):
            self._synchronize()
            event.record()
            self._starts.append(event)
        else:
            event.record()
            self._ends.append(event)
            self._synchronize()

    def seconds_per_call(self, loops: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Seconds per call by the events, float64, one for each sample."""
        pairs = zip(self._starts, self._ends, strict=True)
        milliseconds = [start.elapsed_time(end) for start, end in pairs]
        return np.array(milliseconds, dtype=np.float64) / (1e3 * loops)


def time_calls(call: Call, count: int, loops: int, device: Device, clock: Clock) -> Timings:
    """Time one block with the core's loop, waiting for the device around each sample.

    On the CPU nothing has to be waited for, and nothing is called. On CUDA,
    ``Timings.device`` holds the events' times.
    """
    wait = synchronizer(device)
    if device.kind == "cuda" and wait is not None:
        with torch.cuda.device(device.index):
            events = EventPairs(count, wait, _cuda_event)
            samples = sample_nanoseconds(
                call.run,
                count=count,
                loops=loops,
                clock=clock,
                reset=call.reset,
                synchronize=events,
            )
        return Timings(host=seconds_per_call(samples, loops), device=events.seconds_per_call(loops))
    samples = sample_nanoseconds(
        call.run, count=count, loops=loops, clock=clock, reset=call.reset, synchronize=wait
    )
    return Timings(host=seconds_per_call(samples, loops))


def _cuda_event() -> Event:
    event: Event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    return event
