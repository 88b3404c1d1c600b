"""What was ``benchmark`` given, and how is it called?

:func:`adapt_model` takes a model and example inputs in any of the forms that
users write and gives one record: named numpy arrays, the structure of the call,
names, batch size, and what a reader should know. Nothing is run here; what the
outputs are called is settled by the first reference run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import field, frozen

from lexer_core.errors import InputError, TargetError
from lexer_core.model.naming import Forward, name_inputs, read_forward
from lexer_core.model.state import eager_module, is_compiled, measured_state
from lexer_core.model.structure import constants_of
from lexer_core.model.tensors import tensor_specs, to_numpy
from lexer_core.records import CallInputs, ModelSource, TensorSpec
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = ["AdaptedModel", "adapt_model", "measured_state", "model_source", "with_output_names"]


@frozen(kw_only=True, eq=False)
class AdaptedModel:
    """A model and one call of it.

    Parameters
    ----------
    module
        What the user gave, to be measured on Torch: with the wrapper of
        ``torch.compile`` where there is one; for a program, its module.
    export_module
        The same without ``torch.compile``: what exporters and the reference
        run use. Shares its parameters with ``module``.
    program
        The ``torch.export.ExportedProgram``, where one was given.
    compiled
        Whether ``torch.compile`` is around the model.
    model_name
        The class's name, for messages and file names.
    title
        ``forward`` as errors show it.
    inputs
        The example inputs, read-only, and the structure of the call.
    input_names
        Names of the tensors, in the order of ``forward``'s parameters.
    declared_output_names
        The names that the user declared, or ``None``.
    output_names
        Names of the outputs; empty until they are settled by a reference run.
    dynamic_axes
        Per input: dimension → name of the axis.
    batch_size
        Dimension 0, where all inputs that have one agree; else ``None``.
    notes
        What a reader of the results should know.
    """

    module: torch.nn.Module
    export_module: torch.nn.Module
    program: Any = None
    compiled: bool = False
    model_name: str
    title: str
    inputs: CallInputs
    input_names: tuple[str, ...]
    declared_output_names: tuple[str, ...] | None = None
    output_names: tuple[str, ...] = ()
    dynamic_axes: Mapping[str, Mapping[int, str]] = field(factory=dict)
    batch_size: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def can_be_sent(self) -> bool:
        """Whether a copy in another process would be the same model.

        ``model.compile()`` keeps the compiled call in the model, and torch
        leaves it out when the model is pickled: the copy would be eager.
        """
        return self.module._compiled_call_impl is None

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """Names, element types and shapes of the inputs."""
        return tensor_specs(self.inputs.arrays)


def adapt_model(
    model: Any,
    input: object,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
    batch_size: int | None = None,
) -> AdaptedModel:
    """Find out how a model is called with the given inputs. Runs nothing.

    Parameters
    ----------
    model
        A ``torch.nn.Module`` (also compiled or scripted), or a
        ``torch.export.ExportedProgram``.
    input
        Tensors or numpy arrays: one of them; a tuple of positional arguments;
        a mapping of keyword arguments by ``forward``'s names or by
        ``input_names``; with tuples, lists, mappings and dataclasses nested in
        them. A list is one argument that is a list. Tensors may be on any
        device, and are copied.
    input_names
        Names of the tensors in the order of ``forward``'s parameters; from the
        signature unless given.
    output_names
        Names of the output tensors in order; the model's own unless given.
    dynamic_axes
        Per input name: dimension → name of the axis, or a list of dimensions.
    batch_size
        Where it is asked for, real inputs must agree with it.

    Raises
    ------
    TargetError
        ``model`` is no module and no exported program.
    InputError
        Inputs, names or axes do not fit the model.
    """
    module, program = _module_of(model)
    compiled = is_compiled(module)
    export_module = eager_module(module)
    model_name = _name_of(export_module, program)
    forward = read_forward(export_module, model_name)
    flat = name_inputs(forward, input, input_names)
    arrays = {name: _frozen_copy(name, leaf, forward) for name, leaf in flat.leaves.items()}
    declared = None if output_names is None else tuple(output_names)
    notes = [*_compile_notes(compiled, module), *_layout_notes(flat.leaves)]
    notes += [
        f"{path} is a {type(value).__name__} and goes to forward as it is, "
        "the same object in every call"
        for path, value in constants_of(flat.structure)
    ]
    return AdaptedModel(
        module=module,
        export_module=export_module,
        program=program,
        compiled=compiled,
        model_name=model_name,
        title=forward.title,
        inputs=CallInputs(arrays=arrays, structure=flat.structure),
        input_names=tuple(arrays),
        declared_output_names=declared,
        dynamic_axes=_axes(dynamic_axes or {}, arrays, declared or (), forward),
        batch_size=_batch_size(arrays, batch_size),
        notes=tuple(notes),
    )


def with_output_names(adapted: AdaptedModel, names: Sequence[str]) -> AdaptedModel:
    """The same model, its outputs named as the reference run found them."""
    return attrs.evolve(adapted, output_names=tuple(names))


def model_source(adapted: AdaptedModel) -> ModelSource:
    """What engines are given to export; settle the output names first."""
    return ModelSource(
        module=adapted.module if adapted.program is None else None,
        program=adapted.program,
        inputs=adapted.inputs,
        input_names=adapted.input_names,
        output_names=adapted.output_names,
        dynamic_axes=adapted.dynamic_axes,
        model_name=adapted.model_name,
    )


def _module_of(model: Any) -> tuple[torch.nn.Module, Any]:
    """The module to call, and the program where that is what was given."""
    import torch  # only here: the core works without it

    if isinstance(model, torch.nn.Module):
        return model, None
    if isinstance(model, torch.export.ExportedProgram):
        return model.module(), model
    if isinstance(model, type) and issubclass(model, torch.nn.Module):
        raise TargetError(
            f"{model.__name__} is a class, not a model.",
            hint=f"Pass an instance: {model.__name__}(...).",
        )
    raise TargetError(
        f"a model is a torch.nn.Module or a torch.export.ExportedProgram, "
        f"not {type(model).__name__}.",
        hint="Wrap a function in a module whose forward calls it.",
    )


def _name_of(module: torch.nn.Module, program: Any) -> str:
    if program is not None:
        return "ExportedProgram"
    # A scripted module is a RecursiveScriptModule and knows what it was.
    name = getattr(module, "original_name", None)
    return name if isinstance(name, str) else type(module).__name__


def _frozen_copy(name: str, leaf: Any, forward: Forward) -> np.ndarray[Any, Any]:
    try:
        array = to_numpy(leaf)
    except TypeError as error:
        raise InputError(
            f"input {name!r} of {forward.title} cannot be used: {error}.",
            hint="Inputs travel between processes as numpy arrays: pass a dense tensor.",
        ) from error
    array.flags.writeable = False
    return array


def _compile_notes(compiled: bool, module: torch.nn.Module) -> list[str]:
    if not compiled:
        return []
    notes = ["torch.compile is around the model: measured compiled on Torch, exported without"]
    if module._compiled_call_impl is not None:
        notes.append(
            "compiled in place by model.compile(), which a copy of the model loses; "
            "torch.compile(model) travels to a worker process"
        )
    return notes


def _layout_notes(leaves: Mapping[str, Any]) -> list[str]:
    """Inputs whose memory layout is not that of the copies that are measured."""
    return [
        f"input '{name}' is not contiguous in memory; its contiguous copy is measured"
        for name, leaf in leaves.items()
        if not (leaf.flags.c_contiguous if isinstance(leaf, np.ndarray) else leaf.is_contiguous())
    ]


def _axes(
    given: Mapping[str, Mapping[int, str] | Sequence[int]],
    arrays: Mapping[str, np.ndarray[Any, Any]],
    output_names: Sequence[str],
    forward: Forward,
) -> dict[str, dict[int, str]]:
    """Dynamic axes of the inputs, checked, with a name for each."""
    axes: dict[str, dict[int, str]] = {}
    for name, wanted in given.items():
        if name in output_names:
            continue  # those of outputs follow from those of inputs
        if name not in arrays:
            raise InputError(
                f"dynamic_axes names {name!r}, which is no input of {forward.title}.",
                hint=f"Inputs: {', '.join(arrays)}.{did_you_mean(name, arrays)}",
            )
        rank = arrays[name].ndim
        names = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted)
        axes[name] = {}
        for axis, axis_name in names.items():
            if not isinstance(axis, int) or not -rank <= axis < rank:
                raise InputError(
                    f"dynamic_axes gives {name!r} the dimension {axis!r}; it has {rank}.",
                    hint="Dimensions are counted from 0.",
                )
            own = f"{name.replace('.', '_')}_dim_{axis % rank}"
            axes[name][axis % rank] = axis_name or own
    return axes


def _batch_size(arrays: Mapping[str, np.ndarray[Any, Any]], requested: int | None) -> int | None:
    sizes = {name: array.shape[0] for name, array in arrays.items() if array.ndim > 0}
    shared = next(iter(sizes.values())) if len(set(sizes.values())) == 1 else None
    if requested is None:
        return shared
    for name, size in sizes.items():
        if size == requested:
            continue
        raise InputError(
            f"batch_size is {requested}, but input {name!r} has {size} in dimension 0.",
            hint="The batch size of real inputs is read from them: leave batch_size out, or pass "
            "inputs of that size.",
        )
    return shared
