"""What differs between the supported versions of torch, 2.8 to 2.14?

Each difference is found by what a version offers, not by its number.
"""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = [
    "CAN_ISOLATE",
    "compile_module",
    "gpu_uuid",
    "inductor_settings",
    "read_tf32",
    "set_tf32",
    "unlimited_compilations",
]

CAN_ISOLATE = "isolate_recompiles" in inspect.signature(torch.compile).parameters
"""Whether each compiled module can have its own code and limit of compilations.

Without it, modules of a class share both within a process. A worker has one model."""

_MANY = 1 << 16


def compile_module(
    module: torch.nn.Module, *, mode: str, dynamic: bool | None, fullgraph: bool
) -> torch.nn.Module:
    """Return the module in ``torch.compile``, with a limit of compilations of its own."""
    # Modules of a class share a limited number of compilations; beyond it, torch
    # silently runs eagerly. Isolation prevents that; see unlimited_compilations.
    isolation: dict[str, Any] = {"isolate_recompiles": True} if CAN_ISOLATE else {}
    compile_: Any = torch.compile  # whose type has no isolate_recompiles
    compiled: torch.nn.Module = compile_(
        module, mode=mode, dynamic=dynamic, fullgraph=fullgraph, **isolation
    )
    return compiled


def unlimited_compilations() -> AbstractContextManager[object]:
    """Return a context in which a class has any number of compilations.

    Empty if each compiled module has a limit of its own.
    """
    if CAN_ISOLATE:
        return nullcontext()
    from torch._dynamo import config  # importing dynamo takes a second

    patched: AbstractContextManager[object] = config.patch(
        recompile_limit=_MANY, accumulated_recompile_limit=_MANY
    )
    return patched


def inductor_settings(
    folder: str, see_graph: Callable[[torch.fx.Graph], None]
) -> list[AbstractContextManager[object]]:
    """Return the settings with which Inductor compiles kernels for a profile.

    The profiler then sees the kernels by name. If the version can tell which nodes they
    compute, it writes that to the folder, and ``see_graph`` is called with each graph.
    """
    from torch._functorch import config as autograd  # these take a second
    from torch._inductor import config

    settings: dict[str, Any] = {"cpp.enable_kernel_profile": True}
    if not hasattr(config.trace, "provenance_tracking_level"):
        return [config.patch(settings)]
    from torch._inductor.custom_graph_pass import CustomGraphPass

    class SeeGraph(CustomGraphPass):
        def __call__(self, graph: torch.fx.Graph) -> None:
            see_graph(graph)

        def uuid(self) -> None:
            """Nothing is taken from the cache, where the graph would not be seen."""

    settings |= {
        "trace.enabled": True,
        "trace.debug_dir": folder,
        "trace.provenance_tracking_level": 1,
        "post_grad_custom_post_pass": SeeGraph(),
        "fx_graph_cache": False,
    }
    return [config.patch(settings), autograd.patch(enable_autograd_cache=False)]


def read_tf32() -> tuple[bool, bool]:
    """Return whether CUDA computes float32 matrix products, and convolutions, in TF32."""
    backends: Any = torch.backends
    if hasattr(backends.cudnn, "conv"):  # since 2.9; the older flags may be undefined there
        precisions = backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision
        return precisions[0] == "tf32", precisions[1] == "tf32"
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32


def set_tf32(products: bool, convolutions: bool) -> None:
    """Set whether CUDA computes float32 matrix products, and convolutions, in TF32."""
    # Every version has these flags, and keeps the newer ones consistent with them.
    torch.backends.cuda.matmul.allow_tf32 = products
    torch.backends.cudnn.allow_tf32 = convolutions


def gpu_uuid(index: int) -> str:
    """Return a CUDA device's UUID as its driver writes it; empty if torch does not know it."""
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return "" if uuid is None else f"GPU-{uuid}"
