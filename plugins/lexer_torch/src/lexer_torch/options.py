"""Which options do several torch engines share? Cheap to import: torch is not imported."""

from __future__ import annotations

from lexer_core.records import EngineOption

__all__ = ["CHANNELS_LAST", "MATMUL_PRECISION"]

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
