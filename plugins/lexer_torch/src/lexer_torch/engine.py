"""Which hooks make PyTorch an engine? Torch is imported by the hooks that use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo
from lexer_torch.options import CHANNELS_LAST, CUDA_GRAPH, MATMUL_PRECISION, PRECISIONS, TF32

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import (
        Call,
        CallInputs,
        Clock,
        DeployedModel,
        Device,
        ExportedModel,
        ModelSource,
        Placement,
        ProfiledOperation,
        SessionConfig,
        Timings,
    )
    from lexer_torch.session import TorchSession

__all__: list[str] = []


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe eager PyTorch and its options."""
    return EngineInfo(
        display_name="Torch",
        declarations="lexer_torch.declarations:TorchDeclarations",
        runtime_modules=("torch",),
        runtime_distributions=("torch",),
        formats=("torch",),
        precisions=PRECISIONS,
        concurrency="shared",
        options=(CHANNELS_LAST, MATMUL_PRECISION, TF32, CUDA_GRAPH),
    )


@hookimpl
def lexer_list_devices() -> Sequence[Device]:
    """List the CPU and all CUDA, MPS and XPU devices."""
    from lexer_torch.devices import list_devices  # imports torch

    return list_devices()


@hookimpl
def lexer_export_model(source: ModelSource, format: str, device: Device) -> ExportedModel | None:
    """Export to the formats ``torch`` (the module itself) and ``torch_export``."""
    if format not in ("torch", "torch_export") or source.onnx_path is not None:
        return None
    from lexer_torch.export import export_module, export_program  # imports torch

    return export_module(source) if format == "torch" else export_program(source, device)


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> TorchSession:
    """Move the module to the device, in eval mode."""
    if config.options.get("cuda_graph"):
        from lexer_torch.cuda_graph import create_graph_session  # imports torch

        return create_graph_session(exported, device, config)
    from lexer_torch.session import create_session  # imports torch

    return create_session(exported, device, config)


@hookimpl
def lexer_place_inputs(session: TorchSession, inputs: CallInputs) -> object:
    """Bind the module to its arguments, as tensors on the device."""
    return session.place(inputs)


@hookimpl
def lexer_synchronize(device: Device) -> None:
    """Wait for an accelerator; calls on the CPU are synchronous."""
    from lexer_torch.devices import synchronizer  # imports torch

    wait = synchronizer(device)
    if wait is not None:
        wait()


@hookimpl
def lexer_time_calls(call: Call, count: int, loops: int, device: Device, clock: Clock) -> Timings:
    """Time calls on the host's clock and, on CUDA, with the device's events."""
    from lexer_torch.timing import time_calls  # imports torch

    return time_calls(call, count, loops, device, clock)


@hookimpl
def lexer_fetch_outputs(
    session: TorchSession, outputs: Any
) -> Mapping[str, npt.NDArray[np.generic]]:
    """Flatten the outputs and copy each to numpy, under the export's names."""
    return session.fetch(outputs)


@hookimpl
def lexer_describe_placement(session: TorchSession) -> Placement | None:
    """Make one call and count its operators by device."""
    from lexer_torch.placement import describe_placement  # imports torch

    return describe_placement(session)


@hookimpl
def lexer_profile_calls(session: TorchSession, call: Call, count: int) -> list[ProfiledOperation]:
    """Trace calls with torch's profiler, by module."""
    from lexer_torch.profiling import profile_calls  # imports torch

    return profile_calls(session, call, count)


@hookimpl
def lexer_run_script(deployed: DeployedModel) -> str:
    """Write a script that uses torch."""
    from lexer_torch.run_script import module_script  # imported only when it is needed

    return module_script(deployed)
