"""Which hooks make OpenVINO an engine?

This module is imported whenever engines are listed, so it must be cheap to
import: the modules that the hooks call import the runtime and numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        Call,
        CallInputs,
        DeployedModel,
        Device,
        ExportedModel,
        Placement,
        ProfiledOperation,
        SessionConfig,
    )
    from lexer_openvino.session import OpenVinoSession

__all__ = [
    "lexer_create_session",
    "lexer_describe_placement",
    "lexer_engine_info",
    "lexer_fetch_outputs",
    "lexer_list_devices",
    "lexer_place_inputs",
    "lexer_profile_calls",
    "lexer_run_script",
    "lexer_synchronize",
]

_INFO = EngineInfo(
    display_name="OpenVINO",
    declarations="lexer_openvino.declarations:OpenVinoDeclarations",
    # Imported in this order: the first prevents the second from sending telemetry.
    runtime_modules=("lexer_openvino_runtime", "openvino"),
    runtime_distributions=("openvino",),
    formats=("onnx",),
    precisions=("float32", "bfloat16", "float16"),
    concurrency="shared",
    options=(
        EngineOption(
            name="performance_hint",
            type=str,
            default="latency",
            choices=("latency", "throughput"),
            help="What OpenVINO optimises the device for; Lexer makes one call at a time.",
        ),
        EngineOption(
            name="num_streams",
            type=int,
            default=None,
            help="How many calls may run at once and share the threads. "
            "Default: the performance hint decides.",
        ),
        EngineOption(
            name="execution_mode",
            type=str,
            default="accuracy",
            choices=("accuracy", "performance"),
            help="Whether to compute in the model's own types, or in narrower ones if the "
            "device supports them.",
        ),
        EngineOption(
            name="inference_precision",
            type=str,
            default=None,
            choices=("float32", "bfloat16", "float16"),
            help="The type of floating-point operations. Default: the execution mode decides.",
        ),
        EngineOption(
            name="cpu_pinning",
            type=bool,
            default=False,
            help="Whether OpenVINO pins its threads to CPUs that it chooses.",
        ),
    ),
)


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe the engine without importing the runtime."""
    return _INFO


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List the devices whose plugins and drivers are installed."""
    from lexer_openvino.devices import list_devices  # imports openvino

    return list_devices()


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> OpenVinoSession:
    """Read the file and compile it for one device."""
    from lexer_openvino.session import create_session  # imports openvino

    return create_session(exported, device, config)


@hookimpl
def lexer_place_inputs(session: OpenVinoSession, inputs: CallInputs) -> Any:
    """Create an inference request with copies of the inputs."""
    return session.place(inputs)


@hookimpl
def lexer_synchronize() -> None:
    """Do nothing: a call waits for its request on every device."""


@hookimpl
def lexer_fetch_outputs(
    session: OpenVinoSession, outputs: Any
) -> Mapping[str, npt.NDArray[np.generic]]:
    """Copy the outputs of the request, which the next call reuses."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: OpenVinoSession) -> Placement | None:
    """Count the nodes of the compiled model by device."""
    from lexer_openvino.placement import describe_placement  # imported only when it is needed

    return describe_placement(session)


@hookimpl
def lexer_profile_calls(
    session: OpenVinoSession, call: Call, count: int
) -> list[ProfiledOperation]:
    """Read the performance counters of a request."""
    from lexer_openvino.profiling import profile_calls  # imported only when it is needed

    return profile_calls(session, call, count)


@hookimpl
def lexer_run_script(deployed: DeployedModel) -> str:
    """Write a script with ``openvino.compile_model``."""
    from lexer_openvino.run_script import run_script  # imported only when it is needed

    return run_script(deployed)
