"""How is the state of the user's model restored after a run?

A model is measured in eval mode, and may write to its tensors and attributes or draw
random numbers while it runs. These context managers restore all of that, even after an
error. torch is imported inside functions because the core works without it.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import random
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.engine_helpers import error_summary
from lexer_core.machine.memory import available_memory_bytes
from lexer_core.model.structure import is_tensor
from lexer_core.model.tensors import dense_parts, is_lazy, storage_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, MutableMapping

    import torch

__all__ = [
    "MeasuredState",
    "contains_torchscript",
    "eager_module",
    "is_compiled",
    "make_normal",
    "measured_state",
    "preserved_randomness",
    "set_training",
]


@frozen(kw_only=True, eq=False)
class _Saved:
    """A tensor and a copy of its content; no copy if there is no memory or no content."""

    tensor: torch.Tensor
    data: torch.Tensor
    """The same tensor with the memory that it had, in case it gets other memory."""
    content: torch.Tensor | None

    def has_changed(self) -> bool:
        """Whether the content or the memory is another one; unknown is taken for changed."""
        try:
            return not _same_memory(self.tensor, self.data) or (
                self.content is not None and not _same_bits(self.tensor, self.content)
            )
        except Exception:  # torch cannot compare every kind of tensor
            return True

    def restore(self) -> bool:
        """Restore the content; return whether it had changed."""
        import torch  # the core works without it

        if not _same_memory(self.tensor, self.data):
            changed = self.content is None or not _same_bits(self.tensor, self.content)
            self.tensor.data = self.data
        else:
            changed = False
        if self.content is not None and not _same_bits(self.tensor, self.content):
            changed = True
            with torch.no_grad():
                self.tensor.copy_(self.content)
        return changed


@frozen(kw_only=True, eq=False)
class _Entry:
    """A parameter or buffer of a submodule."""

    path: str
    kind: str
    registry: MutableMapping[str, Any]
    name: str
    saved: _Saved

    def restore(self) -> bool:
        """Restore the tensor; return whether it was replaced or written to."""
        registry = self.registry  # of a scripted module, it is not a dict
        replaced = self.name not in registry or registry[self.name] is not self.saved.tensor
        if replaced:
            registry[self.name] = self.saved.tensor
        return self.saved.restore() or replaced


class MeasuredState:
    """The training flags, tensors and attributes of a module at one moment.

    Parameters
    ----------
    module
        The module.
    attributes
        Whether to record the attributes that are neither parameters, buffers nor
        submodules.
    """

    def __init__(self, module: torch.nn.Module, *, attributes: bool = True) -> None:
        self._module = module
        # A module frozen by torch.jit.freeze has no flag.
        self._flags = [
            (each, each.training) for each in module.modules() if hasattr(each, "training")
        ]
        self._problems: dict[str, str] = {}
        self._copies = copies = _Copies(module)
        self._entries = self._record_entries()
        self._running = self._entries
        self._gradients = [
            (each, each.requires_grad, each.grad, each.grad is not None and copies.of(each.grad))
            for each in module.parameters()
            if not is_lazy(each) and each.is_leaf
        ]
        self._attributes = (
            [_Attributes(each, copies) for each in module.modules() if _has_attributes(each)]
            if attributes
            else []
        )

    @property
    def was_training(self) -> bool:
        """Whether any submodule was in training mode."""
        return any(training for _, training in self._flags)

    def enter_eval_mode(self) -> None:
        """Put the module into eval mode, which may change its tensors."""
        if not self.was_training:
            return
        set_training(self._module, False)
        if _overrides_train(self._module):
            self._copies.forget_changed()
            self._running = self._record_entries()

    def restore_tensors(self) -> tuple[str, ...]:
        """Restore parameters and buffers as they were in eval mode; return what had changed.

        Returns
        -------
        tuple[str, ...]
            The paths of the tensors that were replaced or written to.
        """
        return tuple(each.path for each in self._running if self._restore(each))

    def kinds_of(self, paths: Collection[str]) -> str:
        """Return what these tensors are: ``"buffers"``, ``"buffers and parameters"``."""
        return " and ".join(sorted({each.kind for each in self._running if each.path in paths}))

    def restore(self) -> None:
        """Restore everything.

        ``train`` is called on each module whose flag has changed, because a module
        may do more there and must undo it. Parents set the flags of their children,
        so all flags are set again at the end.
        """
        for module, training in self._flags:
            if module.training != training:
                set_training(module, training)
        for module, training in self._flags:
            module.training = training
        for attributes in self._attributes:
            attributes.restore()
        self._remove_new_entries()
        for entry in self._entries:
            self._restore(entry)
        for tensor, requires_grad, grad, saved in self._gradients:
            if tensor.requires_grad != requires_grad:
                tensor.requires_grad_(requires_grad)
            if tensor.grad is not grad:
                tensor.grad = grad
            if saved:
                saved.restore()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on tensors that cannot be saved, compared or restored."""
        return tuple(
            f"{path} cannot be saved and restored ({reason}): calls may change it"
            for path, reason in self._problems.items()
        )

    def _record_entries(self) -> list[_Entry]:
        entries = []
        for path, owner in self._module.named_modules():
            registries = {"buffers": owner._buffers, "parameters": owner._parameters}
            for kind, registry in registries.items():
                for name, tensor in registry.items():
                    if tensor is None or is_lazy(tensor):
                        continue
                    full_name = f"{path}.{name}" if path else name
                    try:
                        saved = self._copies.of(tensor)
                    except Exception as error:  # a subclass of the user's may raise anything
                        self._problems[f"{kind[:-1]} {full_name!r}"] = error_summary(error)
                        continue
                    entries.append(
                        _Entry(path=full_name, kind=kind, registry=registry, name=name, saved=saved)
                    )
        return entries

    def _restore(self, entry: _Entry) -> bool:
        """Restore a tensor; return whether it had changed, if known."""
        try:
            return entry.restore()
        except Exception as error:  # torch cannot compare or copy every kind of tensor
            self._problems[f"{entry.kind[:-1]} {entry.path!r}"] = error_summary(error)
            return False

    def _remove_new_entries(self) -> None:
        """Remove tensors that were registered meanwhile, and restore the order."""
        names: dict[int, tuple[MutableMapping[str, Any], list[str]]] = {}
        for entry in self._entries:
            names.setdefault(id(entry.registry), (entry.registry, []))[1].append(entry.name)
        for registry, recorded in names.values():
            current = [name for name, value in registry.items() if value is not None]
            if current == recorded or not isinstance(registry, dict):
                continue
            kept = {name: value for name, value in registry.items() if value is None}
            registry.clear()
            registry.update(dict.fromkeys(recorded) | kept)


class _Copies:
    """Copies of tensors, one for each; without content if memory is too short for it."""

    def __init__(self, module: torch.nn.Module) -> None:
        needed, available = storage_bytes(module), available_memory_bytes()
        # A module that changes its weights in train() must have them restored at any cost.
        self._has_room = 2 * needed < available or _overrides_train(module)
        self._saved: dict[int, _Saved] = {}

    def of(self, tensor: torch.Tensor) -> _Saved:
        """Return the copy of a tensor."""
        import torch  # the core works without it

        saved = self._saved.get(id(tensor))
        if saved is None:
            data = tensor.detach()
            copied = self._has_room or not isinstance(tensor, torch.nn.Parameter)
            content = data.clone() if copied and not tensor.is_meta else None
            if isinstance(tensor, torch.nn.Parameter) and content is not None:
                content = content.cpu()  # the memory of an accelerator is short
            saved = self._saved[id(tensor)] = _Saved(tensor=tensor, data=data, content=content)
        return saved

    def forget_changed(self) -> None:
        """Forget the copies of tensors that have changed."""
        self._saved = {key: saved for key, saved in self._saved.items() if not saved.has_changed()}


class _Attributes:
    """The attributes of one module that torch does not know.

    Those that were set, replaced or deleted are restored, and so is the content of
    tensors, lists and dicts.
    """

    def __init__(self, module: torch.nn.Module, copies: _Copies) -> None:
        self._module = module
        self._type = type(module)
        self._values = _own_attributes(module)
        self._contents: list[tuple[Any, Any]] = []
        self._tensors: list[_Saved] = []
        for value in self._values.values():
            if type(value) in (list, dict):
                self._contents.append((value, value.copy()))
            for each in (*_items(value), value):
                if is_tensor(each) and not isinstance(each, np.ndarray) and not is_lazy(each):
                    with contextlib.suppress(Exception):  # see MeasuredState._record_entries
                        self._tensors.append(copies.of(each))

    def restore(self) -> None:
        """Restore the attributes, unless the module has another class now, as a lazy one has."""
        module = self._module
        if type(module) is not self._type:
            return
        for name in _own_attributes(module):
            if name not in self._values:
                del vars(module)[name]
        vars(module).update(self._values)
        for container, content in self._contents:
            if type(container) is list:
                container[:] = content
            else:
                container.clear()
                container.update(content)
        for saved in self._tensors:
            with contextlib.suppress(Exception):  # see MeasuredState._restore
                saved.restore()


@contextmanager
def measured_state(module: torch.nn.Module, *, attributes: bool = True) -> Iterator[MeasuredState]:
    """Put a module into eval mode, and restore its state at exit.

    At exit, even after an error, every submodule has its training flag again (a
    frozen BatchNorm stays frozen), and parameters, buffers, gradients and other
    attributes are the same objects with the same bits. Parameters are copied for
    this if that takes less than half of the available memory, or if a submodule has
    its own ``train`` method, which may change them.

    Parameters
    ----------
    module
        Any module, including those of ``torch.compile`` and ``torch.export``.
    attributes
        Whether to restore attributes other than parameters and buffers.

    Yields
    ------
    MeasuredState
        The recorded state, to restore tensors between calls.
    """
    state = MeasuredState(module, attributes=attributes)
    try:
        state.enter_eval_mode()
        yield state
    finally:
        state.restore()


def make_normal(module: torch.nn.Module) -> None:
    """Replace tensors that a module made in inference mode by normal ones."""
    for each in module.modules():
        for holder in (each._buffers, _own_attributes(each) if _has_attributes(each) else {}):
            for name, value in list(holder.items()):
                if is_tensor(value) and not isinstance(value, np.ndarray) and value.is_inference():
                    setattr(each, name, value.clone())


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


def _overrides_train(module: torch.nn.Module) -> bool:
    import torch  # the core works without it

    return any(
        getattr(type(each), name) is not getattr(torch.nn.Module, name)
        for each in module.modules()
        for name in ("train", "eval")
        if not type(each).__module__.startswith("torch.")
    )


def _has_attributes(module: torch.nn.Module) -> bool:
    """Whether attributes can be read and set like those of any object."""
    import torch  # the core works without it

    return not isinstance(module, torch.jit.ScriptModule)


@functools.cache
def _attributes_of_torch() -> frozenset[str]:
    import torch  # the core works without it

    return frozenset(vars(torch.nn.Module()))


def _own_attributes(module: torch.nn.Module) -> dict[str, Any]:
    """Return the attributes that torch does not set itself in every module."""
    known = _attributes_of_torch()
    return {name: value for name, value in vars(module).items() if name not in known}


def _items(value: object) -> tuple[Any, ...]:
    if isinstance(value, dict):
        return tuple(value.values())
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def _same_memory(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors are the same elements of the same memory, as far as torch tells."""
    import torch  # the core works without it

    if left.layout != torch.strided or type(left.data) is not torch.Tensor:
        return True
    return (
        left.data_ptr() == right.data_ptr()
        and left.shape == right.shape
        and left.dtype == right.dtype
        and left.device == right.device
    )


def _same_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether two tensors, possibly on two devices, have the same bits."""
    if left.layout != right.layout or left.dtype != right.dtype:
        return False
    lefts, rights = dense_parts(left), dense_parts(right)
    return len(lefts) == len(rights) and all(map(_same_dense_bits, lefts, rights))


def _same_dense_bits(left: torch.Tensor, right: torch.Tensor) -> bool:
    import torch  # the core works without it

    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    flat = [
        each.to(right.device).resolve_conj().resolve_neg().reshape(-1).view(torch.uint8)
        for each in (left, right)
    ]
    return torch.equal(*flat)
