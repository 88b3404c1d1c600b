"""How does a call run on the simulated device?

``run`` queues the launches and returns. Before an operator that runs on the CPU,
it waits for the device. Each call writes to its own slot; there are four.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import define, field, frozen

from lexer_core.engine_helpers import count_placement, input_array
from lexer_core.errors import EngineError
from lexer_core.records import DeviceUsage, Timings
from lexer_simulated.device import Event, Queue, Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from lexer_core.records import Call, CallInputs, Clock, Placement
    from lexer_simulated.graph import Graph, Values

__all__ = ["SLOTS", "SimulatedSession"]

SLOTS = 4
"""The number of calls whose outputs fit on the device."""

PlacedInputs = dict[str, Tensor]


@frozen(eq=False)
class Running:
    """A queued call: its launches, and where its values are written."""

    values: Values
    events: tuple[Event, ...]

    @property
    def device_seconds(self) -> float:
        """Duration of the launches by the device's clock, once they are done."""
        return sum(event.nanoseconds for event in self.events) / 1e9


@define(eq=False)
class SimulatedSession:
    """A graph on the simulated device.

    Parameters
    ----------
    graph
        The graph.
    launch_seconds
        Overhead of each launch.
    """

    graph: Graph
    launch_seconds: float = 0.0
    last: Running | None = field(default=None, init=False)
    used_slots: int = field(default=0, init=False)
    _queue: Queue = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._queue = Queue(self.launch_seconds)

    def place(self, inputs: CallInputs) -> PlacedInputs:
        """Copy the inputs to the device's memory.

        Raises
        ------
        InputError
            An input is missing, or its type or shape is wrong.
        """
        return {
            spec.name: Tensor.from_host(input_array(inputs, spec)) for spec in self.graph.inputs
        }

    def run(self, placed: PlacedInputs) -> Running:
        """Queue a call and return; it is done when the device is."""
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
        """Wait for the device, then free all slots."""
        self._queue.synchronize()
        self.used_slots = 0

    def time_calls(self, call: Call, count: int, loops: int, clock: Clock) -> Timings:
        """Time calls with the host's clock and the device's events."""
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
        # A graph that runs on the CPU only has no events.
        return Timings(host=host, device=device if device.all() else None)

    def fetch(self, running: Running) -> Mapping[str, npt.NDArray[Any]]:
        """Wait for a call and copy its outputs from the device."""
        for event in running.events:
            event.done.wait()
            if event.error is not None:
                raise event.error
        return {name: Tensor(running.values[name]).to_host() for name in self.graph.outputs}

    def describe_placement(self) -> Placement | None:
        """Return which operators run on the CPU."""
        on_device, on_cpu = self.graph.count()
        return count_placement(on_device, {"CPU": on_cpu})

    def device_usage(self) -> DeviceUsage:
        """Return the size of the last call's tensors, which exist at once."""
        values = self.last.values.values() if self.last is not None else ()
        return DeviceUsage(peak_memory_bytes=sum(array.nbytes for array in values))

    def close(self) -> None:
        """End the device's thread. May be called twice."""
        self._queue.close()
        self.last = None
