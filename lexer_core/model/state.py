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

from lexer_core.engine_helpers import error_summary
from lexer_core.model.tensors import dense_parts, is_lazy

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

__all__ = [
    "MeasuredState",
    "contains_torchscript",
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
        # A module frozen by torch.jit.freeze has no flag.
        self._flags = [
            (each, each.training) for each in module.modules() if hasattr(each, "training")
        ]
        self._buffers: list[_Buffer] = []
        self._problems: dict[str, str] = {}
        copies: dict[int, torch.Tensor] = {}
        for path, owner in module.named_modules():
            for name, buffer in owner._buffers.items():
                if buffer is None or is_lazy(buffer):
                    continue
                full_name = f"{path}.{name}" if path else name
                if id(buffer) not in copies:
                    try:
                        copies[id(buffer)] = buffer.detach().clone()
                    except Exception as error:  # a subclass of the user's may raise anything
                        self._problems[full_name] = error_summary(error)
                        continue
                self._buffers.append(
                    _Buffer(
                        path=full_name,
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

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on buffers that cannot be saved, compared or restored."""
        return tuple(
            f"buffer {path!r} cannot be saved and restored ({reason}): calls may change it"
            for path, reason in self._problems.items()
        )

    def restore_buffers(self) -> tuple[str, ...]:
        """Restore the buffers; return the paths of those that had changed."""
        changed = []
        for each in self._buffers:
            buffers = each.owner._buffers  # of a scripted module, it is not a dict
            replaced = each.name not in buffers or buffers[each.name] is not each.tensor
            if replaced:
                buffers[each.name] = each.tensor
            if self._restore_content(each) or replaced:
                changed.append(each.path)
        return tuple(changed)

    def _restore_content(self, buffer: _Buffer) -> bool:
        """Restore the content of a buffer; return whether it had changed, if known."""
        import torch  # the core works without it

        try:
            if _same_values(buffer.tensor, buffer.content):
                return False
            with torch.no_grad():
                buffer.tensor.copy_(buffer.content)
        except Exception as error:  # torch cannot compare or copy every kind of tensor
            self._problems[buffer.path] = error_summary(error)
            return False
        return True

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


def contains_torchscript(module: torch.nn.Module) -> bool:
    """Whether a module or a submodule was scripted or traced by ``torch.jit``."""
    import torch  # the core works without it

    return any(isinstance(each, torch.jit.ScriptModule) for each in module.modules())


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
            if hasattr(each, "training"):
                each.training = training


def _same_values(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors have the same values, with NaN equal to NaN."""
    if left.layout != right.layout or left.dtype != right.dtype:
        return False
    lefts, rights = dense_parts(left), dense_parts(right)
    return len(lefts) == len(rights) and all(map(_same_dense_values, lefts, rights))


def _same_dense_values(left: torch.Tensor, right: torch.Tensor) -> bool:
    import torch  # the core works without it

    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    if left.dtype.is_floating_point or left.dtype.is_complex:
        if left.element_size() == 1:  # float8 types have no comparison
            return torch.equal(left.view(torch.uint8), right.view(torch.uint8))
        both_nan = left.isnan() & right.isnan()
        return bool(((left == right) | both_nan).all())
    return torch.equal(left, right)
