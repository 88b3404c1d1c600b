"""How is the user's model left as it was found?

A measured model is in eval mode, and may write to its buffers or draw random
numbers while it runs. These context managers put all of that back, whatever
happens in between. torch is imported inside the functions: the core works
without it.
"""

from __future__ import annotations

import random
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
    """One buffer of one submodule, and a copy of what it held."""

    path: str
    owner: torch.nn.Module
    name: str
    tensor: torch.Tensor
    content: torch.Tensor


class MeasuredState:
    """The training flags and buffers that a module had when this was made."""

    def __init__(self, module: torch.nn.Module) -> None:
        import torch  # only here: the core works without it

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
        """Put the buffers back.

        Returns
        -------
        tuple[str, ...]
            The paths of those that had changed.
        """
        import torch  # only here: the core works without it

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
        """Put the training flag of every submodule back.

        Where a flag has changed, ``train`` is called before the flag is set: a
        module of the user's own may do more there, and has to undo it. Parents
        come first, so that what they tell their children does not last.
        """
        for module, training in self._flags:
            if module.training != training:
                set_training(module, training)
        for module, training in self._flags:
            module.training = training


@contextmanager
def measured_state(module: torch.nn.Module) -> Iterator[MeasuredState]:
    """Put a module into eval mode; afterwards leave it as it was found.

    On exit, also after an error, each submodule's training flag is exactly what
    it was (a frozen BatchNorm stays frozen), and buffers that the calls replaced
    or wrote to have their contents again. State that a model keeps in plain
    attributes cannot be seen, and stays.

    Parameters
    ----------
    module
        Any module; one that ``torch.compile`` wraps or ``torch.export`` made too.

    Yields
    ------
    MeasuredState
        What was recorded, to put buffers back between calls.
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
    """Put the random states of torch (every device), numpy and Python back afterwards."""
    import torch  # only here: the core works without it

    of_python = random.getstate()
    of_numpy = np.random.get_state()
    cuda = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=cuda):
            yield
    finally:
        np.random.set_state(of_numpy)
        random.setstate(of_python)


def is_compiled(module: torch.nn.Module) -> bool:
    """Whether ``torch.compile(module)`` or ``module.compile()`` made this module."""
    return _wrapped(module) is not None or module._compiled_call_impl is not None


def eager_module(module: torch.nn.Module) -> torch.nn.Module:
    """The module within a compiled one, sharing its parameters; else the module itself."""
    inner = _wrapped(module)
    if inner is not None:
        return eager_module(inner)
    if module._compiled_call_impl is None:
        return module
    import copy

    # module.compile() keeps the compiled call in the module. A shallow copy
    # shares everything but that: torch leaves it out of a module's state.
    return copy.copy(module)


def _wrapped(module: torch.nn.Module) -> torch.nn.Module | None:
    """What ``torch.compile`` wrapped, where this module is such a wrapper."""
    import sys

    # Looked up, not imported: where nothing was compiled, dynamo (a second of
    # importing) was not imported either.
    frame = sys.modules.get("torch._dynamo.eval_frame")
    wrapper = getattr(frame, "OptimizedModule", None)
    if wrapper is None or not isinstance(module, wrapper):
        return None
    inner: torch.nn.Module = module._orig_mod
    return inner


def set_training(module: torch.nn.Module, training: bool) -> None:
    """Call ``train`` or ``eval``; set the flags alone where a module refuses that."""
    try:
        if training:
            module.train()
        else:
            module.eval()
    except NotImplementedError:  # torch.export's modules know one mode only
        for each in module.modules():
            each.training = training


def _same_values(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors hold the same values, NaN being the same as NaN."""
    import torch  # only here: the core works without it

    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.is_floating_point or left.dtype.is_complex:
        if left.element_size() == 1:  # float8 types have no comparison of their own
            return torch.equal(left.view(torch.uint8), right.view(torch.uint8))
        both_nan = left.isnan() & right.isnan()
        return bool(((left == right) | both_nan).all())
    return torch.equal(left, right)
