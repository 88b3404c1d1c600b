"""How does a live model travel to another process?

Pickled by value, so that its class need not be importable there. A program of
``torch.export`` cannot be pickled (its graph is made of tensors without data,
which pickling it would have to trace again), so it travels as what
``torch.export.save`` writes.
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
    """Pickle a live model; ``cloudpickle.loads`` makes it again, in a process that it trusts."""
    buffer = io.BytesIO()
    _Pickler(buffer).dump(model)
    return buffer.getvalue()


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def reducer_override(self, obj: Any) -> Any:
        torch = sys.modules.get("torch")  # where it is not imported, nothing is made of it
        if torch is not None and isinstance(obj, torch.export.ExportedProgram):
            return _load_program, (_saved(obj),)
        return super().reducer_override(obj)


def _saved(program: torch.export.ExportedProgram) -> bytes:
    import torch  # only here: the core works without it

    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _load_program(saved: bytes) -> torch.export.ExportedProgram:
    import torch  # only here: the core works without it

    return torch.export.load(io.BytesIO(saved))
