"""What is ONNXRuntime to Lexer?

The hooks. This module is imported whenever engines are listed, so it is light:
the runtime, numpy and onnx are imported by the modules that the hooks call.
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
        CallInputs,
        Device,
        ExportedModel,
        ModelSource,
        OptionValue,
        Placement,
        SessionConfig,
    )
    from lexer_ort.session import OrtSession

__all__ = [
    "lexer_create_session",
    "lexer_describe_placement",
    "lexer_engine_info",
    "lexer_export_model",
    "lexer_fetch_outputs",
    "lexer_list_devices",
    "lexer_place_inputs",
    "lexer_synchronize",
]

_INFO = EngineInfo(
    display_name="ONNXRuntime",
    runtime_modules=("onnxruntime",),
    # All of them provide the module of the same name, so at most one of them
    # should be installed.
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
    options=(
        EngineOption(
            name="graph_optimization_level",
            type=str,
            default="all",
            choices=("disable", "basic", "extended", "layout", "all"),
            help="How far the graph is rewritten when it is loaded.",
        ),
        EngineOption(
            name="execution_mode",
            type=str,
            default="sequential",
            choices=("sequential", "parallel"),
            help="Whether independent nodes of the graph may run at the same time.",
        ),
        EngineOption(
            name="inter_op_threads",
            type=int,
            default=None,
            help="Nodes that may run at the same time in parallel mode; "
            "as many as there are threads unless set.",
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
            help="Whether the memory of one call is planned as one block (sequential mode); "
            "on unless set.",
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
            help="Whether freed memory on the CPU is kept for the next call.",
        ),
    ),
)


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Say what the engine is, without the runtime."""
    return _INFO


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List a device for each execution provider that can run here."""
    from lexer_ort.devices import list_devices  # imports onnxruntime

    return list_devices()


@hookimpl
def lexer_export_model(
    source: ModelSource,
    format: str,
    workdir: Path,
    options: Mapping[str, OptionValue],
) -> ExportedModel | None:
    """Make an ``.onnx`` file of a module or program, or take the one that is given.

    Options: ``exporter`` (``"dynamo"`` or ``"torchscript"``), ``opset`` (the
    exporter's own unless set) and ``checks`` (``onnx.checker``, on unless off).
    """
    if format != "onnx":
        return None
    if source.onnx_path is not None:
        from lexer_ort.given import take_given_file  # imports onnx

        return take_given_file(source.onnx_path, checks=bool(options.get("checks", True)))
    from lexer_ort.export import export_with_torch  # imports torch and onnx

    return export_with_torch(source, workdir, options)


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> OrtSession:
    """Load the file on one execution provider, with the CPU's behind it."""
    from lexer_ort.session import create_session  # imports onnxruntime

    return create_session(exported, device, config)


@hookimpl
def lexer_place_inputs(session: OrtSession, inputs: CallInputs) -> Any:
    """Bind copies of the inputs, and outputs that stay on the device."""
    return session.place(inputs)


@hookimpl
def lexer_synchronize(session: OrtSession) -> None:
    """Wait for the provider: a run on the CPU is done when it returns."""
    session.synchronize()


@hookimpl
def lexer_fetch_outputs(session: OrtSession, outputs: Any) -> Mapping[str, npt.NDArray[np.generic]]:
    """Copy the outputs out of the binding, which the next call reuses."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: OrtSession) -> Placement | None:
    """Count the nodes that the provider took, by ONNXRuntime's own assignment."""
    from lexer_ort.placement import describe_placement  # reads onnxruntime's records

    return describe_placement(session)
