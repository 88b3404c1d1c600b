"""How is a model wrapped so that it takes flat tensors and returns a tuple of tensors?

Exporters lose the keys of dicts and dataclasses, fail on outputs that are not
tensors, and give an input that is returned unchanged the name of an output. They
therefore export this wrapper.
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
    """Wrap a module to take flat tensors and return a tuple of tensors.

    Parameters
    ----------
    module
        The user's module. If ``torch.compile`` wraps it, the module inside is used,
        because exporters trace it themselves.
    structure
        The structure of the call, with a reference for each of ``input_names``.
    input_names
        The tensor of each positional argument of the wrapper.
    output_names
        Names of the outputs, to check their number; empty: no check.

    Returns
    -------
    torch.nn.Module
        A module with ``forward(*tensors)``, a tensor for each of ``input_names``,
        which returns the output tensors in the order of :func:`flatten_outputs`. An
        output that is the same object as an input, parameter, buffer or other
        output is cloned. The wrapper shares the module's parameters and has the
        same mode.

    Raises
    ------
    ModelError
        Raised by ``forward``: the model returns a different number of tensors.
    """
    inner = eager_module(module)
    wrapper: torch.nn.Module = _wrapper_class()(
        inner, with_own_constants(structure), tuple(input_names), tuple(output_names)
    )
    # A module frozen by torch.jit.freeze has no flag, and is in eval mode.
    wrapper.training = getattr(inner, "training", False)
    return wrapper


def dynamic_shapes(
    input_names: Sequence[str], dynamic_axes: Mapping[str, Mapping[int, str]]
) -> dict[str, tuple[dict[int, Any], ...]] | None:
    """Describe the dynamic axes of a wrapper's inputs for ``torch.export``.

    Axes of the same name are one dimension. ``None`` if no axis is dynamic.
    """
    if not any(dynamic_axes.values()):
        return None
    import torch  # the core works without it

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
    """Create the wrapper's class when it is first needed, because the core works without torch."""
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
            # Not nn.Module's: modules of torch.export refuse it, and the TorchScript
            # exporter always calls it.
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
                output = tensor
                for other in taken:
                    if tensor is other:
                        output = tensor.clone()
                        break
                taken.append(tensor)
                outputs.append(output)
            return tuple(outputs)

    return FlatModule
