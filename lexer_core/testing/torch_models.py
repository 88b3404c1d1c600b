"""How are the kit's models created in PyTorch?

As modules for format ``torch``, and traced for ``torch_export``.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.records import ExportedModel, ModelSource
from lexer_core.testing.model_zoo import SLOW_PRODUCTS, ModelCase
from lexer_core.testing.outcomes import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

__all__ = ["build_torch", "build_torch_export", "torch_source"]


def build_torch(case: ModelCase) -> ExportedModel:
    """Create a model as a ``torch.nn.Module``, in training mode like a user's module.

    Raises
    ------
    ImportError
        torch is not installed.
    """
    from lexer_core.model.tensors import storage_bytes  # imports torch, like all of this

    module = _module(case, traced=False)
    return ExportedModel(
        format="torch",
        model=module,
        inputs=case.inputs,
        outputs=case.outputs,
        size_bytes=storage_bytes(module),
        exporter="lexer_core.testing",
    )


def build_torch_export(case: ModelCase) -> ExportedModel:
    """Create a model as a ``torch.export`` program: flat tensors in, tuple of tensors out.

    Raises
    ------
    ImportError
        torch is not installed.
    CheckFailed
        This version of torch cannot trace the model.
    """
    import torch

    from lexer_core.model.tensors import storage_bytes

    program = torch_source(case).program
    return ExportedModel(
        format="torch_export",
        model=program,
        inputs=case.inputs,
        outputs=case.outputs,
        size_bytes=storage_bytes(program.module()),
        exporter=f"lexer_core.testing (torch.export {torch.__version__})",
    )


def torch_source(case: ModelCase) -> ModelSource:
    """Create the ``lexer_export_model`` source of a model: a module with its program.

    Raises
    ------
    ImportError
        torch is not installed.
    CheckFailed
        This version of torch cannot trace the model.
    """
    import torch

    from lexer_core.export.tracing import trace
    from lexer_core.model.tensors import to_torch
    from lexer_core.model.wrapper import flattening_module

    source = ModelSource(
        module=_module(case, traced=True).eval(),
        inputs=case.call_inputs(case.trials()[0]),
        input_names=tuple(spec.name for spec in case.inputs),
        output_names=tuple(spec.name for spec in case.outputs),
        dynamic_axes={
            spec.name: axes
            for spec in case.inputs
            if (axes := {i: name for i, name in enumerate(spec.shape) if isinstance(name, str)})
        },
        model_name=f"conformance_{case.name}",
    )
    flat = flattening_module(
        source.module, source.inputs.structure, source.input_names, source.output_names
    )
    tensors = [to_torch(source.inputs.arrays[name]) for name in source.input_names]
    traced = trace(flat, tensors, source.input_names, source.dynamic_axes)
    if traced.program is None:
        raise CheckFailed(
            f"torch {torch.__version__} cannot trace the model {case.name!r}: {traced.reason}",
            "The check needs this model, so it says nothing about the engine.",
        )
    return attrs.evolve(source, program=traced.program)


def _module(case: ModelCase, *, traced: bool) -> torch.nn.Module:
    from lexer_core.model.tensors import to_torch

    buffers = {name: to_torch(array) for name, array in case.weights.items()}
    name = f"{case.name}_traced" if traced and case.name == "control_flow" else case.name
    module: torch.nn.Module = _module_class()(_CALLS[name], buffers)
    return module


@cache
def _module_class() -> Any:
    """Return the modules' class, created on first use because the core works without torch."""
    import torch

    class ModelZooModule(torch.nn.Module):
        """Calls a function with the inputs and the weights."""

        def __init__(
            self, compute: Callable[..., Any], buffers: Mapping[str, torch.Tensor]
        ) -> None:
            super().__init__()
            self.compute = compute
            for name, tensor in buffers.items():
                self.register_buffer(name, tensor)

        def forward(self, *args: torch.Tensor, **kwargs: torch.Tensor) -> Any:
            return self.compute(self, *args, **kwargs)

    return ModelZooModule


def _layer(own: Any, x: Any) -> Any:
    return (x @ own.weight + own.bias).relu()


def _affine(own: Any, x: Any) -> Any:
    return x * own.scale + own.shift


def _slow(own: Any, x: Any) -> Any:
    for _ in range(SLOW_PRODUCTS):
        x = x @ own.matrix
    return x


def _branch(own: Any, x: Any) -> Any:
    del own
    return x * 2 if bool(x.sum() > 0) else x - 1


def _traced_branch(own: Any, x: Any) -> Any:
    import torch

    del own
    return torch.cond(x.sum() > 0, _doubled, _decreased, (x,))


def _doubled(x: Any) -> Any:
    return x * 2


def _decreased(x: Any) -> Any:
    return x - 1


_CALLS: Mapping[str, Callable[..., Any]] = {
    "one_input": _layer,
    "several_inputs": lambda _, left, right: left - right * 2,
    "several_outputs": lambda _, x: (x + 1, x * 2, x - 3),
    "keyword_inputs": lambda _, x, *, scale, shift: x * scale + shift,
    "unused_input": lambda _, unused, x: x * 3,  # noqa: ARG005 - unused on purpose
    "identity": lambda _, x: x,
    "float16": _affine,
    "int64": lambda own, x: x * 2 + own.shift,
    "small_int64": lambda _, x: x * 2,
    "int32": lambda own, x: x * 2 + own.shift,
    "uint8": lambda _, x: x.T.contiguous(),
    "float64": _affine,
    "indices": lambda _, x: x.argmax(dim=1),
    "full_range": lambda _, x: x * 2,
    "large_values": _layer,
    "many_rows": _layer,
    "twin_a": lambda _, x: x * 2,
    "twin_b": lambda _, x: x * 4,
    "bool": lambda _, keep, drop: keep & ~drop,
    "scalar": lambda _, x: x * 3 + 1,
    "zero_size": lambda _, x: x * 2,
    "dynamic_batch": _layer,
    "control_flow": _branch,
    "control_flow_traced": _traced_branch,
    "wide": lambda _, x: x * 2,
    "slow": _slow,
    "slow_pair": lambda own, left, right: (_slow(own, right), _slow(own, left)),
}
