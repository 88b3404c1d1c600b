"""Which hooks make AOTInductor an engine? Some are those of eager torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption
from lexer_torch.compiler import find_compiler
from lexer_torch.engine import (
    lexer_fetch_outputs,
    lexer_list_devices,
    lexer_place_inputs,
    lexer_synchronize,
    lexer_time_calls,
)
from lexer_torch.options import MATMUL_PRECISION, TF32

if TYPE_CHECKING:
    from lexer_core.records import DeployedModel, Device, ExportedModel, Placement, SessionConfig
    from lexer_torch.packaged import PackagedSession

__all__ = [
    "lexer_create_session",
    "lexer_describe_placement",
    "lexer_engine_info",
    "lexer_fetch_outputs",
    "lexer_list_devices",
    "lexer_place_inputs",
    "lexer_run_script",
    "lexer_synchronize",
    "lexer_time_calls",
]


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe exported programs compiled ahead of time by AOTInductor."""
    missing = find_compiler()
    return EngineInfo(
        display_name="Torch export",
        declarations="lexer_torch.declarations:TorchExportDeclarations",
        runtime_modules=("torch",),
        runtime_distributions=("torch",),
        formats=("torch_export",),
        precisions=("float32",),
        concurrency="per_thread",
        options=(
            EngineOption(
                name="mode",
                type=str,
                default="default",
                choices=("default", "max-autotune"),
                help="Whether to choose kernels by measuring them, which takes longer.",
            ),
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
) -> PackagedSession:
    """Compile the program to a package and load it."""
    from lexer_torch.packaged import create_packaged_session  # imports torch

    return create_packaged_session(exported, device, config)


@hookimpl
def lexer_describe_placement(session: PackagedSession) -> Placement | None:
    """Return the devices of the program's operators."""
    return session.placement


@hookimpl
def lexer_run_script(deployed: DeployedModel) -> str:
    """Write a script that uses torch."""
    from lexer_torch.run_script import program_script  # imported only when it is needed

    return program_script(deployed)
