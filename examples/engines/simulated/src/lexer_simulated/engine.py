"""Which hooks make the simulated accelerator an engine? They import numpy and onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.engine_helpers import find_device, model_file, refuse_precision
from lexer_core.errors import UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import Device, EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        Call,
        CallInputs,
        Clock,
        ExportedModel,
        Placement,
        SessionConfig,
        Timings,
    )
    from lexer_simulated.session import SimulatedSession

__all__: list[str] = []

_DEVICE = Device(kind="sim", identifier="thread", description="a thread with a queue")


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe the engine. It only runs if it is named: its numbers mean nothing."""
    return EngineInfo(
        display_name="Simulated",
        runtime_modules=("onnx",),
        runtime_distributions=("onnx",),
        formats=("onnx",),
        options=(
            EngineOption(
                name="launch_us",
                type=int,
                default=0,
                help="Overhead of each launch on the device, in microseconds.",
            ),
        ),
        runs_by_default=False,
    )


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List the simulated device. This engine does not run on the CPU."""
    return (_DEVICE,)


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> SimulatedSession:
    """Read the graph and start the device."""
    from lexer_simulated.graph import read_graph  # imports onnx
    from lexer_simulated.session import SimulatedSession  # imports numpy

    find_device([_DEVICE], device, runtime="the simulation")
    refuse_precision(config, runtime="the simulated device", exported=exported)
    launch_us = int(config.options.get("launch_us", 0))
    if launch_us < 0:
        raise UnsupportedError(f"launch_us={launch_us} is not valid: it must not be negative.")
    path = model_file(exported, runtime="the simulated device")
    return SimulatedSession(read_graph(path), launch_us / 1e6)


@hookimpl
def lexer_place_inputs(session: SimulatedSession, inputs: CallInputs) -> object:
    """Copy the inputs to the device's memory."""
    return session.place(inputs)


@hookimpl
def lexer_reset_state(session: SimulatedSession) -> None:
    """Free the device's slots."""
    session.reset()


@hookimpl
def lexer_synchronize(session: SimulatedSession) -> None:
    """Wait until the device has finished all work."""
    session.synchronize()


@hookimpl
def lexer_time_calls(
    session: SimulatedSession, call: Call, count: int, loops: int, clock: Clock
) -> Timings:
    """Time calls with the host's clock and the device's clock."""
    return session.time_calls(call, count, loops, clock)


@hookimpl
def lexer_fetch_outputs(
    session: SimulatedSession, outputs: Any
) -> Mapping[str, npt.NDArray[np.generic]]:
    """Wait for the call and copy its outputs from the device's memory."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: SimulatedSession) -> Placement | None:
    """Report which operators ran on the CPU."""
    return session.describe_placement()
