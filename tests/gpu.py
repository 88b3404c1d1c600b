"""Is there a GPU for the tests that need one, and if not, why?"""

from __future__ import annotations

__all__ = ["why_no_gpu"]


def why_no_gpu() -> str:
    """Return why tests on a CUDA device cannot run; empty if they can."""
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if torch.version.cuda is None:
        return f"torch {torch.__version__} was built without CUDA"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    return ""
