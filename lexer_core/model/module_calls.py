"""What do the modules of a model take and return, in the order of their calls?

Forward hooks see it. torch is imported inside functions because the core works without it.
"""

from __future__ import annotations

import math
import weakref
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.engine_helpers import numpy_dtype
from lexer_core.model.structure import flatten_outputs
from lexer_core.model.tensors import dtype_name, to_numpy

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy.typing as npt
    import torch

__all__ = ["ModuleTensor", "TensorKey", "WatchedModules"]


TensorKey = tuple[str, int, bool, int]
"""Path of the module, number of its call, whether the module takes the tensor, and which."""


@frozen(kw_only=True)
class ModuleTensor:
    """A tensor that a module takes or returns.

    Parameters
    ----------
    module
        Path of the module: ``"blocks.3.attn"``. One that has several paths goes by the first.
    kind
        The name of its class.
    caller
        Path of the module that called it; ``""`` is the model itself.
    call
        The number of the call of this module, from 1.
    is_input
        Whether the module takes it.
    dtype
        The element type's name in numpy.
    shape
        The sizes of its dimensions.
    index
        Which of the module's inputs or outputs it is, from 0.
    same_as
        The number of the first tensor that it is the same as, perhaps its own.
    """

    module: str
    kind: str
    caller: str
    call: int
    is_input: bool
    dtype: str
    shape: tuple[int, ...]
    index: int
    same_as: int

    @property
    def key(self) -> TensorKey:
        """What tells it from all others, also if other tensors are left out."""
        return (self.module, self.call, self.is_input, self.index)

    @property
    def size_bytes(self) -> int:
        """The size of its elements in bytes."""
        return math.prod(self.shape) * numpy_dtype(self.dtype).itemsize


@frozen(eq=False)
class _Call:
    """A call that has begun: its number, and what identifies its inputs before it runs."""

    module: str
    number: int
    inputs: frozenset[tuple[Any, ...]]


class WatchedModules:
    """Watches the calls of a model's submodules in a ``with`` block.

    Modules that return what they took are left out, as dropout does in eval mode; so is
    the model itself.

    Parameters
    ----------
    model
        The model.
    wanted
        Keys of the tensors whose values are kept.

    Attributes
    ----------
    tensors
        The tensors, in the order in which they were taken and returned.
    values
        Copies of the wanted tensors, by key.
    """

    def __init__(self, model: torch.nn.Module, wanted: Collection[TensorKey] = ()) -> None:
        self.tensors: list[ModuleTensor] = []
        self.values: dict[TensorKey, npt.NDArray[Any]] = {}
        self._model = model
        self._wanted = frozenset(wanted)
        self._calls: list[_Call] = []
        self._counts: dict[str, int] = {}
        self._first: dict[tuple[Any, ...], tuple[weakref.ref[torch.Tensor], int]] = {}
        self._hooks = ExitStack()

    def __enter__(self) -> WatchedModules:
        """Register the hooks."""
        import torch  # the core works without it

        begin = self._model.register_forward_pre_hook(lambda *_: self._begin())
        self._hooks.callback(begin.remove)
        for path, module in self._model.named_modules():
            # Scripted modules call each other without hooks.
            if path and not isinstance(module, torch.jit.ScriptModule):
                self._watch(path, module)
        return self

    def _begin(self) -> None:
        """Forget an earlier call of the model, which may have raised."""
        for each in (self.tensors, self.values, self._calls, self._counts, self._first):
            each.clear()

    def __exit__(self, *_: object) -> None:
        """Remove the hooks."""
        self._hooks.close()

    def _watch(self, path: str, module: torch.nn.Module) -> None:
        kind = type(module).__name__

        def before(_: Any, args: Any, kwargs: Any) -> None:
            taken = _tensors((args, kwargs))
            self._counts[path] = number = self._counts.get(path, 0) + 1
            self._note(path, kind, number, taken, is_input=True)
            self._calls.append(_Call(path, number, frozenset(map(_identity, taken.values()))))

        def after(_: Any, __: Any, ___: Any, returned: Any) -> None:
            # A call that raised and was caught has not ended.
            while self._calls[-1].module != path:
                self._calls.pop()
            call = self._calls.pop()
            made = {
                index: each
                for index, each in _tensors(returned).items()
                if _identity(each) not in call.inputs
            }
            self._note(path, kind, call.number, made, is_input=False)

        self._hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        self._hooks.callback(module.register_forward_hook(after, with_kwargs=True).remove)

    def _note(
        self, path: str, kind: str, call: int, tensors: dict[int, torch.Tensor], *, is_input: bool
    ) -> None:
        caller = self._calls[-1].module if self._calls else ""
        for index, tensor in tensors.items():
            number = len(self.tensors)
            identity = _identity(tensor)
            known = self._first.get(identity)
            # Memory that was freed belongs to another tensor now.
            if known is None or known[0]() is None:
                self._first[identity] = known = (weakref.ref(tensor), number)
            self.tensors.append(
                ModuleTensor(
                    module=path,
                    kind=kind,
                    caller=caller,
                    call=call,
                    is_input=is_input,
                    dtype=dtype_name(tensor.dtype),
                    shape=tuple(int(size) for size in tensor.shape),
                    index=index,
                    same_as=known[1],
                )
            )
            key = self.tensors[-1].key
            # Now, because a later operator may write to it.
            if key in self._wanted:
                self.values[key] = to_numpy(tensor)


def _tensors(value: object) -> dict[int, torch.Tensor]:
    """Return the different tensors in a value whose elements numpy can hold, by position."""
    import torch  # the core works without it

    first: dict[int, int] = {}
    return {
        index: tensor
        for index, tensor in enumerate(flatten_outputs(value).tensors.values())
        if isinstance(tensor, torch.Tensor)
        and first.setdefault(id(tensor), index) == index
        and tensor.layout == torch.strided
        and not (tensor.is_quantized or tensor.is_nested or tensor.is_meta)
    }


def _identity(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Return what differs if elements were written to, or are others."""
    version = 0 if tensor.is_inference() else tensor._version
    return (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype, version)
