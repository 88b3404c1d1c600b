"""Which hooks make ``torch.compile`` an engine? Most are those of eager torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption
from lexer_torch.compiler import find_compiler
from lexer_torch.engine import (
    lexer_describe_placement,
    lexer_fetch_outputs,
    lexer_list_devices,
    lexer_place_inputs,
    lexer_synchronize,
    lexer_time_calls,
)
from lexer_torch.options import CHANNELS_LAST, MATMUL_PRECISION, PRECISIONS, TF32

if TYPE_CHECKING:
    from lexer_core.records import (
        Call,
        DeployedModel,
        Device,
        ExportedModel,
        ProfiledOperation,
        SessionConfig,
    )
    from lexer_torch.compiled import CompiledSession

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
    "lexer_time_calls",
]


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe PyTorch with ``torch.compile``, and its options."""
    missing = find_compiler()
    return EngineInfo(
        display_name="Torch compile",
        declarations="lexer_torch.declarations:TorchCompileDeclarations",
        runtime_modules=("torch",),
        runtime_distributions=("torch",),
        formats=("torch",),
        precisions=PRECISIONS,
        concurrency="per_thread",
        options=(
            EngineOption(
                name="mode",
                type=str,
                default="default",
                choices=(
                    "default",
                    "reduce-overhead",
                    "max-autotune-no-cudagraphs",
                    "max-autotune",
                ),
                help="What torch.compile optimises for, and how much time it spends.",
            ),
            EngineOption(
                name="dynamic",
                type=bool,
                default=None,
                help="Whether to compile for all shapes instead of this one. "
                "Default: torch decides.",
            ),
            EngineOption(
                name="fullgraph",
                type=bool,
                default=False,
                help="Whether to refuse a model that cannot be compiled as a whole.",
            ),
            CHANNELS_LAST,
            MATMUL_PRECISION,
            TF32,
        ),
        runs_by_default=False,
        unavailable_because=missing.reason,
        remedy=missing.fix,
    )


@hookimpl
def lexer_create_session(
    exported: ExportedModel, device: Device, config: SessionConfig
) -> CompiledSession:
    """Move the module to the device; it is compiled when inputs are placed."""
    from lexer_torch.compiled import create_compiled_session  # imports torch

    return create_compiled_session(exported, device, config)


@hookimpl
def lexer_profile_calls(
    session: CompiledSession, call: Call, count: int
) -> list[ProfiledOperation]:
    """Trace calls with torch's profiler, and find out which modules the kernels compute."""
    from lexer_torch.profiling import profile_compiled_calls  # imports torch

    return profile_compiled_calls(session, call, count)


@hookimpl
def lexer_run_script(deployed: DeployedModel) -> str:
    """Write a script that uses torch."""
    from lexer_torch.run_script import compiled_script  # imported only when it is needed

    return compiled_script(deployed)
