"""Which options do several of torch's engines take? Light: torch is not imported."""

from __future__ import annotations

from lexer_core.records import EngineOption

__all__ = ["CHANNELS_LAST", "MATMUL_PRECISION"]

CHANNELS_LAST = EngineOption(
    name="channels_last",
    type=bool,
    default=False,
    help="Keep 4-dimensional weights and inputs in channels-last memory format.",
)

MATMUL_PRECISION = EngineOption(
    name="float32_matmul_precision",
    type=str,
    default=None,
    help="Let float32 matrix products be computed in TF32 or bfloat16.",
    choices=("highest", "high", "medium"),
)
