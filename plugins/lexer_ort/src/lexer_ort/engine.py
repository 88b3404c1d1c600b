"""Which hooks make ONNXRuntime an engine?

This module is imported whenever engines are listed, so it must be cheap to
import: the modules that the hooks call import the runtime, numpy and onnx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        Call,
        CallInputs,
        DeployedModel,
        Device,
        ExportedModel,
        ModelSource,
        OptionValue,
        Placement,
        ProfiledOperation,
        SessionConfig,
    )
    from lexer_ort.session import OrtSession

__all__ = [
    "lexer_convert_model",
    "lexer_create_session",
    "lexer_describe_placement",
    "lexer_engine_info",
    "lexer_export_model",
    "lexer_fetch_outputs",
    "lexer_list_devices",
    "lexer_place_inputs",
    "lexer_profile_calls",
    "lexer_run_script",
    "lexer_synchronize",
]

_INFO = EngineInfo(
    display_name="ONNXRuntime",
    declarations="lexer_ort.declarations:OnnxRuntimeDeclarations",
    runtime_modules=("onnxruntime",),
    # All of these provide the module onnxruntime, so at most one should be installed.
    runtime_distributions=(
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxruntime-openvino",
        "onnxruntime-directml",
        "onnxruntime-qnn",
        "onnxruntime-migraphx",
        "onnxruntime-rocm",
        "onnxruntime-training",
    ),
    formats=("onnx",),
    precisions=("float32", "float16", "int8-dynamic"),
    concurrency="shared",
    options=(
        EngineOption(
            name="graph_optimization_level",
            type=str,
            default="all",
            choices=("disable", "basic", "extended", "layout", "all"),
            help="How far the graph is optimised when it is loaded.",
        ),
        EngineOption(
            name="execution_mode",
            type=str,
            default="sequential",
            choices=("sequential", "parallel"),
            help="Whether independent nodes of the graph may run in parallel.",
        ),
        EngineOption(
            name="inter_op_threads",
            type=int,
            default=None,
            help="How many nodes may run at once in parallel mode. Default: the number of threads.",
        ),
        EngineOption(
            name="allow_spinning",
            type=bool,
            default=True,
            help="Whether idle threads of the pool spin before they sleep.",
        ),
        EngineOption(
            name="enable_mem_pattern",
            type=bool,
            default=None,
            help="Whether the memory of a call is planned as one block. "
            "Default: on in sequential mode; parallel mode does not support it.",
        ),
        EngineOption(
            name="enable_mem_reuse",
            type=bool,
            default=True,
            help="Whether intermediate results share memory.",
        ),
        EngineOption(
            name="enable_cpu_mem_arena",
            type=bool,
            default=True,
            help="Whether freed CPU memory is kept for the next call.",
        ),
    ),
)


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe the engine without importing the runtime."""
    return _INFO


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List a device for each execution provider that can run on this machine."""
    from lexer_ort.devices import list_devices  # imports onnxruntime

    return list_devices()


@hookimpl
def lexer_export_model(
    source: ModelSource,
    format: str,
    workdir: Path,
    options: Mapping[str, OptionValue],
) -> ExportedModel | None:
    """Export a module or program to an ``.onnx`` file, or accept the user's file.

    Options: ``exporter`` (``"dynamo"`` or ``"torchscript"``), ``opset`` (default:
    the exporter's) and ``checks`` (whether to run ``onnx.checker``; default: on).
    """
    if format != "onnx":
        return None
    if source.onnx_path is not None:
        from lexer_ort.user_file import accept_user_file  # imports onnx

        return accept_user_file(source.onnx_path, checks=bool(options.get("checks", True)))
    from lexer_ort.export import export_with_torch  # imports torch and onnx

    return export_with_torch(source, workdir, options)


@hookimpl
def lexer_convert_model(
    exported: ExportedModel, precision: str, workdir: Path
) -> ExportedModel | None:
    """Convert a model to float16, or quantise its MatMul and Gemm to int8."""
    from lexer_ort.converted import convert_model  # imports onnx and onnxruntime

    return convert_model(exported, precision, workdir)


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> OrtSession:
    """Load the file with one execution provider, and the CPU's for the rest."""
    from lexer_ort.session import create_session  # imports onnxruntime

    return create_session(exported, device, config)


@hookimpl
def lexer_place_inputs(session: OrtSession, inputs: CallInputs) -> Any:
    """Bind copies of the inputs, and outputs that stay on the device."""
    return session.place(inputs)


@hookimpl
def lexer_synchronize(session: OrtSession) -> None:
    """Wait for the provider; calls on the CPU are synchronous."""
    session.synchronize()


@hookimpl
def lexer_fetch_outputs(session: OrtSession, outputs: Any) -> Mapping[str, npt.NDArray[np.generic]]:
    """Copy the outputs of the binding, which the next call reuses."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: OrtSession) -> Placement | None:
    """Count the nodes that ONNXRuntime assigned to the provider."""
    from lexer_ort.placement import describe_placement  # imported only when it is needed

    return describe_placement(session)


@hookimpl
def lexer_profile_calls(session: OrtSession, call: Call, count: int) -> list[ProfiledOperation]:
    """Read ONNXRuntime's profile, and find the nodes of the file in its optimized graph."""
    from lexer_ort.profiling import profile_calls  # imports onnx

    return profile_calls(session, call, count)


@hookimpl
def lexer_run_script(deployed: DeployedModel) -> str:
    """Write a script with ``onnxruntime.InferenceSession``."""
    from lexer_ort.run_script import run_script  # imported only when it is needed

    return run_script(deployed)
