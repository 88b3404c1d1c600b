"""What differs between the supported versions of ONNXRuntime and torch's exporter?

ONNXRuntime 1.20 to 1.32, and the exporter of torch 2.8 to 2.14. Each difference is
found by what a version offers, not by its number.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["optimization_level", "tensor_copier", "without_draft_export"]


def optimization_level(name: str) -> Any:
    """Return ONNXRuntime's constant, such as ``ORT_ENABLE_LAYOUT``; ``None`` if it has none."""
    import onnxruntime  # the export works without it

    return getattr(onnxruntime.GraphOptimizationLevel, name, None)


def tensor_copier() -> Any:
    """Return the function that copies tensors between devices; ``None`` before 1.23."""
    import onnxruntime  # the export works without it

    return getattr(onnxruntime, "copy_tensors", None)


@contextmanager
def without_draft_export() -> Iterator[None]:
    """Keep the exporter of torch from draft export, unless the user asked for it.

    Where ``torch.export`` refuses a model, draft export fixes the branches and shapes of
    the example inputs. Torch 2.8 tries it without being asked.
    """
    from torch.onnx._internal.exporter import _capture_strategies as capture

    strategies: Any = capture.CAPTURE_STRATEGIES
    flags = getattr(capture, "_flags", None)
    if not getattr(flags, "ENABLE_DRAFT_EXPORT", False):
        capture.CAPTURE_STRATEGIES = tuple(
            each for each in strategies if each.__name__ != "TorchExportDraftExportStrategy"
        )
    try:
        yield
    finally:
        capture.CAPTURE_STRATEGIES = strategies
