"""How does any model become one that takes flat tensors and returns a tuple of tensors?

Exporters lose the keys of dicts and dataclasses, stumble over outputs that are
no tensors, and let an input that is returned unchanged clash with its own name.
What is exported is therefore the wrapper that is made here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from lexer_core.errors import ModelError
from lexer_core.model.state import eager_module, set_training
from lexer_core.model.structure import rebuild, walk_outputs, with_own_constants

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from lexer_core.records import CallStructure

__all__ = ["dynamic_shapes", "flattening_module"]


def flattening_module(
    module: torch.nn.Module,
    structure: CallStructure,
    input_names: Sequence[str],
    output_names: Sequence[str] = (),
) -> torch.nn.Module:
    """Wrap a module so that flat tensors go in and a tuple of tensors comes out.

    Parameters
    ----------
    module
        The user's module. Where ``torch.compile`` wraps it, the module within
        is used: exporters trace it themselves.
    structure
        How it is called, with a reference for each of ``input_names``.
    input_names
        Which tensor each positional argument of the wrapper is.
    output_names
        Names of the outputs, for their number is checked; empty: not checked.

    Returns
    -------
    torch.nn.Module
        ``forward(*tensors)``, one for each of ``input_names``, returns the
        output tensors in the order of :func:`flatten_outputs`. No output is the
        same object as an input, a parameter, a buffer or another output: such a
        one is a clone. It shares the module's parameters and starts in its
        mode; training flags are the module's own.

    Raises
    ------
    ModelError
        From ``forward``: the model returns another number of tensors.
    """
    inner = eager_module(module)
    wrapper: torch.nn.Module = _wrapper_class()(
        inner, with_own_constants(structure), tuple(input_names), tuple(output_names)
    )
    wrapper.training = inner.training
    return wrapper


def dynamic_shapes(
    input_names: Sequence[str], dynamic_axes: Mapping[str, Mapping[int, str]]
) -> dict[str, tuple[dict[int, Any], ...]] | None:
    """``torch.export``'s description of the dynamic axes of a wrapper's inputs.

    Axes of one name are one dimension. ``None`` where no axis is dynamic.
    """
    if not any(dynamic_axes.values()):
        return None
    import torch  # only here: the core works without it

    names = {name for axes in dynamic_axes.values() for name in axes.values()}
    dims = {name: torch.export.Dim(name) for name in names}
    return {
        "tensors": tuple(
            {axis: dims[name] for axis, name in dynamic_axes.get(input_name, {}).items()}
            for input_name in input_names
        )
    }


@cache
def _wrapper_class() -> Any:
    """The wrapper's class, made when it is first needed: the core works without torch."""
    import torch

    def is_leaf(value: object) -> bool:
        return isinstance(value, torch.Tensor)

    class FlatModule(torch.nn.Module):
        """A module that takes and returns flat tensors."""

        def __init__(
            self,
            module: torch.nn.Module,
            structure: CallStructure,
            input_names: tuple[str, ...],
            output_names: tuple[str, ...],
        ) -> None:
            super().__init__()
            self.module = module
            self.structure = structure
            self.input_names = input_names
            self.output_names = output_names

        def train(self, mode: bool = True) -> FlatModule:
            # Not nn.Module's: modules that torch.export made refuse it, and
            # the TorchScript exporter calls it without asking.
            self.training = mode
            set_training(self.module, mode)
            return self

        def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            leaves = dict(zip(self.input_names, tensors, strict=True))
            args, kwargs = rebuild(self.structure, leaves)
            found, _ = walk_outputs(self.module(*args, **kwargs), is_leaf)
            if self.output_names and len(found) != len(self.output_names):
                raise ModelError(
                    f"{type(self.module).__name__} returned {len(found)} tensors "
                    f"where {len(self.output_names)} were expected.",
                    hint=f"It returned {', '.join(found)}.",
                )
            taken = [*tensors, *self.module.parameters(), *self.module.buffers()]
            outputs: list[torch.Tensor] = []
            for tensor in found.values():
                own = tensor
                for other in taken:
                    if tensor is other:
                        own = tensor.clone()
                        break
                taken.append(tensor)
                outputs.append(own)
            return tuple(outputs)

    return FlatModule
