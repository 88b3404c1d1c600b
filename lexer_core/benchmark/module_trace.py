"""Which tensors of a model's modules are in its export, and what are their values in the model?

In the process that holds the model.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.errors import ModelError
from lexer_core.export.formats import ONNX, TORCH
from lexer_core.export.kept_tensors import read_tensor_specs
from lexer_core.export.module_scopes import read_module_scopes
from lexer_core.export.module_tensors import (  # parts of a reply's declared type
    MatchedTensor,
    match_tensors,
)
from lexer_core.model.keeping_module import keeping_module
from lexer_core.model.module_calls import ModuleTensor, WatchedModules
from lexer_core.model.reference import call_module, widened
from lexer_core.model.state import measured_state, preserved_randomness
from lexer_core.records import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.module_calls import TensorKey
    from lexer_core.records import ExportedModel

__all__ = ["ModuleTrace", "keeping_export", "module_values", "trace_modules"]

_MOST_TENSORS = 20_000


@frozen(kw_only=True, eq=False)
class ModuleTrace:
    """The tensors of a model's modules, and what is known of them in an export.

    Parameters
    ----------
    tensors
        What the modules take and return, in the order of their calls.
    matched
        Those that are known in the graph, each once, in the same order.
    again
        Numbers of tensors that are the same as an earlier one.
    specs
        Element types and shapes of the matched tensors in the graph, in any order.
    reason
        Why nothing can be compared; empty if something can.
    """

    tensors: tuple[ModuleTensor, ...] = ()
    matched: tuple[MatchedTensor, ...] = ()
    again: tuple[int, ...] = ()
    specs: tuple[TensorSpec, ...] = ()
    reason: str = ""

    def size_of(self, position: int) -> int:
        """Return the bytes of what is matched at a position."""
        matched = self.matched[position]
        return len(matched.names) * self.tensors[matched.tensor].size_bytes

    def specs_of(self, positions: Iterable[int]) -> tuple[TensorSpec, ...]:
        """Return the tensors of the graph that are matched at some positions."""
        names = {name for position in positions for name in self.matched[position].names}
        return tuple(spec for spec in self.specs if spec.name in names)


def trace_modules(
    adapted: AdaptedModel,
    original: ExportedModel,
    exported: ExportedModel,
    arrays: Mapping[str, npt.NDArray[Any]] | None,
) -> ModuleTrace:
    """Call a model, and find the tensors of its modules in an export.

    Parameters
    ----------
    adapted
        The model.
    original
        The export as it was made: a tool that converts it may not keep the names of modules.
    exported
        The export as the engine gets it.
    arrays
        The inputs by name. Default: those of the model.

    Raises
    ------
    LexerError
        The model does not run, or the file cannot be read.
    """
    if exported.format not in (ONNX.name, TORCH.name):
        return ModuleTrace(reason=f"modules cannot be compared in the format {exported.format!r}")
    if adapted.program is not None:
        return ModuleTrace(reason="an exported program does not call its modules")
    if exported.format == TORCH.name and adapted.module is not adapted.export_module:
        return ModuleTrace(reason="the model uses torch.compile")
    tensors = tuple(_watched(adapted, arrays).tensors)
    if not tensors:
        return ModuleTrace(reason="the model calls no modules")
    if len(tensors) > _MOST_TENSORS:
        return ModuleTrace(reason=f"its modules take and return more than {_MOST_TENSORS} tensors")
    if exported.format == TORCH.name:
        return _trace_of_module(tensors)
    return _trace_of_graph(tensors, original, exported)


def _trace_of_module(tensors: tuple[ModuleTensor, ...]) -> ModuleTrace:
    """Return the trace of an engine that runs the module itself: all tensors are known."""
    firsts = [number for number, each in enumerate(tensors) if each.same_as == number]
    return ModuleTrace(
        tensors=tensors,
        matched=tuple(
            MatchedTensor(tensor=number, names=(_name(number),), ends=True) for number in firsts
        ),
        again=tuple(sorted({*range(len(tensors))} - {*firsts})),
        specs=tuple(
            TensorSpec(name=_name(number), dtype=tensors[number].dtype, shape=tensors[number].shape)
            for number in firsts
        ),
    )


def _name(number: int) -> str:
    return f"tensor {number} of the modules"


def _trace_of_graph(
    tensors: tuple[ModuleTensor, ...], original: ExportedModel, exported: ExportedModel
) -> ModuleTrace:
    assert original.path is not None
    assert exported.path is not None
    nodes = read_module_scopes(original.path)
    if nodes is None:
        return ModuleTrace(reason="the onnx package is not installed")
    if all(node.module is None for node in nodes):
        return ModuleTrace(reason="the exported file does not name the modules of its operators")
    specs = read_tensor_specs(original.path)
    if original.path != exported.path:
        converted = read_tensor_specs(exported.path)
        specs = {name: converted[name] for name in specs if name in converted}
    matches = match_tensors(
        tensors,
        nodes,
        specs,
        inputs=[spec.name for spec in original.inputs],
        outputs=[spec.name for spec in original.outputs],
    )
    names = dict.fromkeys(name for each in matches.tensors for name in each.names)
    return ModuleTrace(
        tensors=tensors,
        matched=matches.tensors,
        again=tuple(sorted(matches.again)),
        specs=tuple(specs[name] for name in names),
    )


def keeping_export(
    adapted: AdaptedModel, exported: ExportedModel, specs: Sequence[TensorSpec], trace: ModuleTrace
) -> ExportedModel:
    """Return an export of the module itself that returns further tensors, after its outputs."""
    numbers = {_name(number): number for number in range(len(trace.tensors))}
    wanted = [trace.tensors[numbers[spec.name]].key for spec in specs]
    return attrs.evolve(
        exported,
        model=keeping_module(copy.deepcopy(adapted.export_module), wanted),
        outputs=(*exported.outputs, *specs),
    )


def module_values(
    adapted: AdaptedModel,
    trace: ModuleTrace,
    numbers: Collection[int],
    arrays: Mapping[str, npt.NDArray[Any]] | None,
    *,
    wide: bool = False,
) -> dict[str, npt.NDArray[Any]]:
    """Call a model; return tensors of its modules by their numbers, as text.

    ``wide``: a copy of the model is called in float64.

    Raises
    ------
    ModelError
        The model does not run, or calls other modules this time.
    """
    keys = {trace.tensors[number].key: str(number) for number in numbers}
    values = _watched(adapted, arrays, keys, wide=wide).values
    if keys.keys() != values.keys():
        raise ModelError(f"{adapted.model_name} does not call the same modules each time.")
    return {number: values[key] for key, number in keys.items()}


def _watched(
    adapted: AdaptedModel,
    arrays: Mapping[str, npt.NDArray[Any]] | None,
    wanted: Collection[TensorKey] = (),
    *,
    wide: bool = False,
) -> WatchedModules:
    module, inputs = adapted.export_module, adapted.inputs
    if arrays is not None:
        inputs = attrs.evolve(inputs, arrays=arrays)
    try:
        with preserved_randomness(), measured_state(module):
            if wide:
                module, inputs = widened(module, inputs)
            with WatchedModules(module, wanted) as watched:
                call_module(module, inputs)
    except Exception as error:  # a model may raise anything
        raise ModelError(
            f"{adapted.model_name} does not run while its modules are watched: {error}"
        ) from error
    return watched
