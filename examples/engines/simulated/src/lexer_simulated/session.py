"""How does a call run on the simulated device?

``run`` hands the launches over and returns. Where an operator has to run on
the CPU, it waits for the device first. Each call writes to a slot of its own,
and there are four.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field, frozen

from lexer_core.errors import EngineError, InputError
from lexer_core.records import Placement, Timings
from lexer_simulated.device import Event, Queue, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from lexer_core.records import Call, CallInputs, Clock
    from lexer_simulated.graph import Graph, Values

__all__ = ["SLOTS", "SimulatedSession"]

SLOTS = 4
"""Calls whose outputs the device can hold."""

SettingValue = dict[str, Tensor]


@frozen(eq=False)
class Running:
    """A call that was handed over: its launches, and where its values are written."""

    values: Values
    events: tuple[Event, ...]

    @property
    def device_seconds(self) -> float:
        """What the device says that its launches took; once they are over."""
        return sum(event.nanoseconds for event in self.events) / 1e9


@define(eq=False)
class SimulatedSession:
    """A graph on the simulated device.

    Parameters
    ----------
    graph
        What to compute.
    launch_seconds
        What each launch takes beside its work.
    """

    graph: Graph
    launch_seconds: float = 0.0
    last: Running | None = field(default=None, init=False)
    used_slots: int = field(default=0, init=False)
    _queue: Queue = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._queue = Queue(self.launch_seconds)

    def place(self, inputs: CallInputs) -> SettingValue:
        """Copy the inputs to the device's memory.

        Raises
        ------
        InputError
            One is missing, or of another type or shape than the graph's.
        """
        for name, (dtype, shape) in self.graph.inputs.items():
            array = inputs.arrays.get(name)
            if array is None:
                raise InputError(f"the graph needs input {name!r}, which was not given.")
            fits = len(shape) == array.ndim and all(
                size in (None, given) for size, given in zip(shape, array.shape, strict=True)
            )
            if array.dtype != dtype or not fits:
                raise InputError(f"input {name!r} is not the {dtype}{list(shape)} of the graph.")
        return {name: Tensor.from_host(inputs.arrays[name]) for name in self.graph.inputs}

    def run(self, placed: SettingValue) -> Running:
        """Hand one call over; it is done when the device is."""
        if self.used_slots == SLOTS:
            raise EngineError(
                f"all {SLOTS} slots of the device are in use.", hint="Reset the session's state."
            )
        self.used_slots += 1
        values: Values = {
            **self.graph.weights,
            **{name: tensor.on_device() for name, tensor in placed.items()},
        }
        events = []
        for launch in self.graph.launches:
            if launch.on_device:
                events.append(self._queue.submit(partial(launch.compute, values)))
            else:
                self._queue.synchronize()
                launch.compute(values)
        self.last = Running(values, tuple(events))
        return self.last

    def synchronize(self) -> None:
        """Wait for the device."""
        self._queue.synchronize()

    def reset(self) -> None:
        """Make all slots free again: nobody may be writing to one."""
        self._queue.synchronize()
        self.used_slots = 0

    def time_calls(self, call: Call, count: int, loops: int, clock: Clock) -> Timings:
        """Time calls on the host's clock, and by the events of the device."""
        host, device = np.empty(count), np.empty(count)
        for sample in range(count):
            on_device = 0.0
            start = elapsed = 0
            for _ in range(loops):
                if call.reset is not None:
                    call.reset()
                start = clock()
                running = call.run()
                self._queue.synchronize()
                elapsed += clock() - start
                on_device += running.device_seconds
            host[sample] = elapsed / 1e9 / loops
            device[sample] = on_device / loops
        # A graph that the CPU computes alone has no event.
        return Timings(host=host, device=device if device.all() else None)

    def fetch(self, running: Running) -> Mapping[str, npt.NDArray[Any]]:
        """Wait for a call, and copy its outputs from the device."""
        for event in running.events:
            event.done.wait()
            if event.error is not None:
                raise event.error
        return {name: Tensor(running.values[name]).to_host() for name in self.graph.outputs}

    def describe_placement(self) -> Placement:
        """Say which operators the device left to the CPU."""
        on_device, on_cpu = self.graph.count()
        total = on_device + on_cpu.total()
        if not total:
            return Placement(share=None, method="unknown")
        named = ", ".join(f"{count} {operator}" for operator, count in sorted(on_cpu.items()))
        return Placement(
            share=on_device / total,
            method="nodes",
            fallbacks=(f"CPU: {on_cpu.total()} of {total} operators ({named})",) if on_cpu else (),
        )

    def close(self) -> None:
        """End the device's thread. May be called twice."""
        self._queue.close()
        self.last = None
