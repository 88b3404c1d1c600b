"""Which options do several torch engines share? Cheap to import: torch is not imported."""

from __future__ import annotations

from lexer_core.records import EngineOption

__all__ = ["CHANNELS_LAST", "CUDA_GRAPH", "MATMUL_PRECISION", "PRECISIONS", "TF32"]

PRECISIONS = ("float32", "float16", "bfloat16", "float64")
"""The types to which a module is cast."""

CHANNELS_LAST = EngineOption(
    name="channels_last",
    type=bool,
    default=False,
    help="Whether to store 4-dimensional weights and inputs in channels-last format.",
)

MATMUL_PRECISION = EngineOption(
    name="float32_matmul_precision",
    type=str,
    default=None,
    help="The precision of float32 matrix products; the lower ones use TF32 or bfloat16.",
    choices=("highest", "high", "medium"),
)

TF32 = EngineOption(
    name="tf32",
    type=bool,
    default=None,
    help="Whether NVIDIA GPUs compute products of float32 numbers, of matrices and of "
    "convolutions, in TF32. Default: torch's settings, TF32 for convolutions only.",
)

CUDA_GRAPH = EngineOption(
    name="cuda_graph",
    type=bool,
    default=False,
    help="Whether to capture a call as a CUDA graph and to measure its replays.",
)
