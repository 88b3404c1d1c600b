"""What is OpenVINO to Lexer?

The hooks. This module is imported whenever engines are listed, so it is light:
the runtime and numpy are imported by the modules that the hooks call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import CallInputs, Device, ExportedModel, Placement, SessionConfig
    from lexer_openvino.session import OpenVinoSession

__all__ = [
    "lexer_create_session",
    "lexer_describe_placement",
    "lexer_engine_info",
    "lexer_fetch_outputs",
    "lexer_list_devices",
    "lexer_place_inputs",
    "lexer_synchronize",
]

_INFO = EngineInfo(
    display_name="OpenVINO",
    # Imported in this order: the first keeps the second from sending statistics.
    runtime_modules=("lexer_openvino_runtime", "openvino"),
    runtime_distributions=("openvino",),
    formats=("onnx",),
    options=(
        EngineOption(
            name="performance_hint",
            type=str,
            default="latency",
            choices=("latency", "throughput"),
            help="What OpenVINO sets the device up for; Lexer makes one call at a time.",
        ),
        EngineOption(
            name="num_streams",
            type=int,
            default=None,
            help="Calls that the device may work on at the same time, and share its threads among; "
            "as the hint has it unless set.",
        ),
        EngineOption(
            name="execution_mode",
            type=str,
            default="accuracy",
            choices=("accuracy", "performance"),
            help="Whether the model is computed in its own types, or in narrower ones where the "
            "device has them.",
        ),
        EngineOption(
            name="inference_precision",
            type=str,
            default=None,
            choices=("float32", "bfloat16", "float16"),
            help="The type in which floating-point operations are computed; "
            "as the execution mode has it unless set.",
        ),
        EngineOption(
            name="cpu_pinning",
            type=bool,
            default=False,
            help="Whether OpenVINO ties its threads to processors of its own choice.",
        ),
    ),
)


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Say what the engine is, without the runtime."""
    return _INFO


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List the devices whose plugins and drivers are there."""
    from lexer_openvino.devices import list_devices  # imports openvino

    return list_devices()


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> OpenVinoSession:
    """Read the file and compile it for exactly one device."""
    from lexer_openvino.session import create_session  # imports openvino

    return create_session(exported, device, config)


@hookimpl
def lexer_place_inputs(session: OpenVinoSession, inputs: CallInputs) -> Any:
    """Make a request, with copies of the inputs as its tensors."""
    return session.place(inputs)


@hookimpl
def lexer_synchronize() -> None:
    """Do nothing: a call waits for its request, on every device."""


@hookimpl
def lexer_fetch_outputs(
    session: OpenVinoSession, outputs: Any
) -> Mapping[str, npt.NDArray[np.generic]]:
    """Copy the outputs out of the request, which the next call reuses."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: OpenVinoSession) -> Placement | None:
    """Count the nodes of the compiled model by where they run."""
    from lexer_openvino.placement import describe_placement  # reads openvino's compiled model

    return describe_placement(session)
