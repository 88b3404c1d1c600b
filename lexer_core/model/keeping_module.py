"""How does a module return what its submodules take and return, too?

An engine that runs the module itself, or compiles it, gets a wrapper with forward hooks.
They are so simple that torch.compile can trace them. torch is imported inside functions
because the core works without it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from lexer_core.model.structure import walk_outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from lexer_core.model.module_calls import TensorKey

__all__ = ["keeping_module"]


def keeping_module(module: torch.nn.Module, wanted: Sequence[TensorKey]) -> torch.nn.Module:
    """Wrap a module to return tensors of its submodules, too.

    Parameters
    ----------
    module
        The module. It gets hooks, so it should be a copy.
    wanted
        Keys of the tensors.

    Returns
    -------
    torch.nn.Module
        A module with the same arguments that returns a pair: what the module returns, and
        a list of the tensors.
    """
    wrapper: torch.nn.Module = _keeping_class()(module, tuple(wanted))
    wrapper.training = module.training
    return wrapper


@define(eq=False)
class _Kept:
    """What the hooks of one wrapper have kept in this call."""

    tensors: dict[TensorKey, torch.Tensor] = field(factory=dict)
    counts: dict[tuple[str, bool], int] = field(factory=dict)


@frozen(eq=False)
class _Keep:
    """A hook of one module. An object, so that a copy of the module has a copy of it."""

    kept: _Kept
    module: str
    is_input: bool
    wanted: frozenset[TensorKey]

    def __call__(self, _: Any, args: Any, kwargs: Any, returned: Any = None) -> None:
        side = (self.module, self.is_input)
        self.kept.counts[side] = call = self.kept.counts.get(side, 0) + 1
        value = (args, kwargs) if self.is_input else returned
        for index, tensor in enumerate(walk_outputs(value, _is_tensor)[0].values()):
            key = (self.module, call, self.is_input, index)
            if key in self.wanted:
                self.kept.tensors[key] = tensor.clone()


def _is_tensor(value: object) -> bool:
    import torch  # the core works without it

    return isinstance(value, torch.Tensor)


@cache
def _keeping_class() -> Any:
    """Create the wrapper's class when it is first needed, because the core works without torch."""
    import torch

    class KeepingModule(torch.nn.Module):
        """A module that returns tensors of its submodules, too."""

        def __init__(self, module: torch.nn.Module, wanted: tuple[TensorKey, ...]) -> None:
            super().__init__()
            self.module = module
            self.wanted = wanted
            self.kept = _Kept()
            for path, each in module.named_modules():
                own = frozenset(key for key in wanted if key[0] == path)
                if any(key[2] for key in own):
                    each.register_forward_pre_hook(
                        _Keep(self.kept, path, True, own), with_kwargs=True
                    )
                if any(not key[2] for key in own):
                    each.register_forward_hook(_Keep(self.kept, path, False, own), with_kwargs=True)

        def forward(self, *args: Any, **kwargs: Any) -> tuple[Any, list[torch.Tensor]]:
            self.kept.tensors.clear()
            self.kept.counts.clear()
            returned = self.module(*args, **kwargs)
            return returned, [self.kept.tensors[key] for key in self.wanted]

    return KeepingModule
