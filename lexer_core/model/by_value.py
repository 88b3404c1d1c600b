"""How is a live model sent to another process?

Pickled by value, so that its class need not be importable there. A
``torch.export`` program cannot be pickled (its graph consists of tensors without
data, so it would have to be traced again), and neither can a TorchScript module:
they are sent as ``torch.export.save`` and ``torch.jit.save`` write them.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

import cloudpickle

if TYPE_CHECKING:
    import torch

__all__ = ["dump_model"]


def dump_model(model: object) -> bytes:
    """Pickle a live model; ``cloudpickle.loads`` restores it."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(model)
    return buffer.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def reducer_override(self, obj: Any) -> Any:
        torch = sys.modules.get("torch")  # until it is imported, there is no model
        if torch is not None and isinstance(obj, torch.export.ExportedProgram):
            return _load_program, (_saved(obj),)
        if torch is not None and isinstance(obj, torch.jit.ScriptModule):
            return _load_scripted, (_saved_scripted(obj),)
        return super().reducer_override(obj)


def _saved(program: torch.export.ExportedProgram) -> bytes:
    import torch  # the core works without it

    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _load_program(saved: bytes) -> torch.export.ExportedProgram:
    import torch  # the core works without it

    return torch.export.load(io.BytesIO(saved))


def _saved_scripted(module: torch.jit.ScriptModule) -> bytes:
    import torch  # the core works without it

    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    return buffer.getvalue()


def _load_scripted(saved: bytes) -> torch.jit.ScriptModule:
    import torch  # the core works without it

    module: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(saved))  # type: ignore[no-untyped-call]
    return module
