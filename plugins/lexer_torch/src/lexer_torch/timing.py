"""How long does a call take, by the host's clock and by the device's events?"""

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
    """The part of ``torch.cuda.Event`` that is used."""

    def record(self) -> None:
        """Record the device's time after all preceding work."""

    def elapsed_time(self, end_event: Any, /) -> float:
        """Return the milliseconds from this event to a later one."""


class EventPairs:
    """Records a device event before and after every sample.

    :meth:`__call__` takes the place of ``synchronize`` in the core's loop, which
    calls it before the first read of the clock and again before the second. The
    first event is recorded on the idle device before the clock starts; the
    second costs the host a microsecond or two within the sample.

    Parameters
    ----------
    count
        Number of samples.
    synchronize
        Waits for all work of the device.
    make_event
        Creates an event that records time.
    """

    def __init__(
        self, count: int, synchronize: Callable[[], None], make_event: Callable[[], Event]
    ) -> None:
        self._events = iter([make_event() for _ in range(2 * count)])
        self._starts: list[Event] = []
        self._ends: list[Event] = []
        self._synchronize = synchronize

    def __call__(self) -> None:
        """Record an event and wait for the device."""
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
        """Return the seconds per call, float64, one value per sample."""
        pairs = zip(self._starts, self._ends, strict=True)
        milliseconds = [start.elapsed_time(end) for start, end in pairs]
        return np.array(milliseconds, dtype=np.float64) / (1e3 * loops)


def time_calls(call: Call, count: int, loops: int, device: Device, clock: Clock) -> Timings:
    """Time one block with the core's loop, synchronizing around each sample.

    On the CPU, no synchronization is needed. On CUDA, ``Timings.device`` has the
    times of the events.
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
