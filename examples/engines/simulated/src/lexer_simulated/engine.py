"""What is the simulated accelerator to Lexer? The hooks; numpy and onnx are imported in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import DeviceUnavailableError, UnsupportedError
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
    """Say what the engine is. It runs when it is named: nobody wants its numbers."""
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
                help="Microseconds that each launch on the device takes beside its work.",
            ),
        ),
        runs_by_default=False,
    )


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List the one device that there is; the CPU is none of this engine's."""
    return (_DEVICE,)


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> SimulatedSession:
    """Read the graph, and start the device."""
    from lexer_simulated.graph import read_graph  # imports onnx
    from lexer_simulated.session import SimulatedSession  # imports numpy

    if device != _DEVICE:
        raise DeviceUnavailableError(
            f"there is no simulated device {device.name!r}.", hint=f"There is {_DEVICE.name}."
        )
    if config.precision:
        raise UnsupportedError("the simulated device computes in the model's own types.")
    launch_us = int(config.options.get("launch_us", 0))
    if launch_us < 0:
        raise UnsupportedError(f"launch_us={launch_us}: no launch is over before it began.")
    if exported.path is None:
        raise UnsupportedError("the simulated device loads files.")
    return SimulatedSession(read_graph(exported.path), launch_us / 1e6)


@hookimpl
def lexer_place_inputs(session: SimulatedSession, inputs: CallInputs) -> object:
    """Copy the inputs to the device's memory."""
    return session.place(inputs)


@hookimpl
def lexer_reset_state(session: SimulatedSession) -> None:
    """Make the device's slots free again."""
    session.reset()


@hookimpl
def lexer_synchronize(session: SimulatedSession) -> None:
    """Wait until the device has done everything that it was given."""
    session.synchronize()


@hookimpl
def lexer_time_calls(
    session: SimulatedSession, call: Call, count: int, loops: int, clock: Clock
) -> Timings:
    """Time by the host's clock and by the device's own."""
    return session.time_calls(call, count, loops, clock)


@hookimpl
def lexer_fetch_outputs(
    session: SimulatedSession, outputs: Any
) -> Mapping[str, npt.NDArray[np.generic]]:
    """Wait for the call, and copy its outputs from the device's memory."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: SimulatedSession) -> Placement:
    """Admit what ran on the CPU."""
    return session.describe_placement()
