"""How is the state of the user's model restored after a run?

A model is measured in eval mode, and may write to its buffers or draw random
numbers while it runs. These context managers restore all of that, even after an
error. torch is imported inside functions because the core works without it.
"""

from __future__ import annotations

import copy
import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = [
    "MeasuredState",
    "eager_module",
    "is_compiled",
    "measured_state",
    "preserved_randomness",
    "set_training",
]


@frozen(kw_only=True, eq=False)
class _Buffer:
    """One buffer of one submodule, and a copy of its content."""

    path: str
    owner: torch.nn.Module
    name: str
    tensor: torch.Tensor
    content: torch.Tensor


class MeasuredState:
    """The training flags and buffers of a module at one moment."""

    def __init__(self, module: torch.nn.Module) -> None:
        import torch  # the core works without it

        self._flags = [(each, each.training) for each in module.modules()]
        self._buffers: list[_Buffer] = []
        copies: dict[int, torch.Tensor] = {}
        for path, owner in module.named_modules():
            for name, buffer in owner._buffers.items():
                if buffer is None or torch.nn.parameter.is_lazy(buffer):
                    continue
                if id(buffer) not in copies:
                    copies[id(buffer)] = buffer.detach().clone()
                self._buffers.append(
                    _Buffer(
                        path=f"{path}.{name}" if path else name,
                        owner=owner,
                        name=name,
                        tensor=buffer,
                        content=copies[id(buffer)],
                    )
                )

    @property
    def was_training(self) -> bool:
        """Whether any submodule was in training mode."""
        return any(training for _, training in self._flags)

    def restore_buffers(self) -> tuple[str, ...]:
        """Restore the buffers; return the paths of those that had changed."""
        import torch  # the core works without it

        changed = []
        for each in self._buffers:
            replaced = each.owner._buffers.get(each.name) is not each.tensor
            written = not _same_values(each.tensor, each.content)
            if replaced:
                each.owner._buffers[each.name] = each.tensor
            if written:
                with torch.no_grad():
                    each.tensor.copy_(each.content)
            if replaced or written:
                changed.append(each.path)
        return tuple(changed)

    def restore_flags(self) -> None:
        """Restore the training flag of every submodule.

        ``train`` is called on each module whose flag has changed, because a module
        may do more there and must undo it. Parents set the flags of their children,
        so all flags are set again at the end.
        """
        for module, training in self._flags:
            if module.training != training:
                set_training(module, training)
        for module, training in self._flags:
            module.training = training


@contextmanager
def measured_state(module: torch.nn.Module) -> Iterator[MeasuredState]:
    """Put a module into eval mode, and restore its state at exit.

    At exit, even after an error, every submodule has its training flag again (a
    frozen BatchNorm stays frozen), and buffers that calls replaced or wrote to have
    their content again. State in plain attributes is not restored.

    Parameters
    ----------
    module
        Any module, including those of ``torch.compile`` and ``torch.export``.

    Yields
    ------
    MeasuredState
        The recorded state, to restore buffers between calls.
    """
    state = MeasuredState(module)
    try:
        if state.was_training:
            set_training(module, False)
        yield state
    finally:
        state.restore_flags()
        state.restore_buffers()


@contextmanager
def preserved_randomness() -> Iterator[None]:
    """Restore the random states of torch (all devices), numpy and Python at exit."""
    import torch  # the core works without it

    python_state = random.getstate()
    numpy_state = np.random.get_state()
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether the module was compiled by ``torch.compile(module)`` or ``module.compile()``."""
    return _wrapped(module) is not None or module._compiled_call_impl is not None


def eager_module(module: torch.nn.Module) -> torch.nn.Module:
    """Return the module inside a compiled one, sharing its parameters, or the module itself."""
    inner = _wrapped(module)
    if inner is not None:
        return eager_module(inner)
    if module._compiled_call_impl is None:
        return module
    # module.compile() stores the compiled call in the module. A shallow copy shares
    # everything else: torch does not copy the compiled call.
    return copy.copy(module)


def _wrapped(module: torch.nn.Module) -> torch.nn.Module | None:
    """Return the module that ``torch.compile`` wrapped, if this is a wrapper."""
    # Looked up, not imported: dynamo takes a second to import, and if nothing was
    # compiled it has not been imported.
    frame = sys.modules.get("torch._dynamo.eval_frame")
    wrapper = getattr(frame, "OptimizedModule", None)
    if wrapper is None or not isinstance(module, wrapper):
        return None
    inner: torch.nn.Module = module._orig_mod
    return inner


def set_training(module: torch.nn.Module, training: bool) -> None:
    """Call ``train`` or ``eval``; if the module refuses, set the flags only."""
    try:
        if training:
            module.train()
        else:
            module.eval()
    except NotImplementedError:  # modules of torch.export have only one mode
        for each in module.modules():
            each.training = training


def _same_values(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors have the same values, with NaN equal to NaN."""
    import torch  # the core works without it

    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.is_floating_point or left.dtype.is_complex:
        if left.element_size() == 1:  # float8 types have no comparison
            return torch.equal(left.view(torch.uint8), right.view(torch.uint8))
        both_nan = left.isnan() & right.isnan()
        return bool(((left == right) | both_nan).all())
    return torch.equal(left, right)
