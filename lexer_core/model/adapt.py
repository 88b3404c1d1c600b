"""Which model did the user give, and how is it called?

:func:`adapt_model` accepts a model and example inputs in any supported form and
returns one record: named numpy arrays, the structure of the call, names and notes.
It does not run the model; the first reference run names the outputs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import field, frozen

from lexer_core.errors import InputError, TargetError
from lexer_core.model.batch_size import BatchSize, guess_batch_size
from lexer_core.model.by_value import program_module
from lexer_core.model.naming import Forward, name_inputs, read_forward
from lexer_core.model.program import program_signature
from lexer_core.model.state import eager_module, is_compiled
from lexer_core.model.structure import constants_of
from lexer_core.model.tensors import is_lazy, tensor_specs, to_numpy
from lexer_core.records import CallInputs, ModelSource, TensorSpec
from lexer_core.suggestions import did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = ["AdaptedModel", "adapt_model", "model_source", "with_output_names"]

_MOST_LISTED = 4


@frozen(kw_only=True, eq=False)
class AdaptedModel:
    """A model and one call to it.

    Parameters
    ----------
    module
        The module that the Torch engine runs, including the wrapper of
        ``torch.compile`` if the user gave one; for a program, its module.
    export_module
        The module without ``torch.compile``, for exporters and the reference run.
        Shares its parameters with ``module``.
    program
        The ``torch.export.ExportedProgram``, if the user gave one.
    model_name
        Name of the class, for messages and file names.
    title
        The signature of ``forward`` as errors show it.
    inputs
        The example inputs, read-only, and the structure of the call.
    batch_size
        The guessed number of items in a call.
    input_names
        Names of the tensors, in the order of ``forward``'s parameters.
    in_kwargs
        Arguments that ``forward`` does not name, but accepts in its ``**kwargs``.
    declared_output_names
        The names that the user declared, or ``None``.
    output_names
        Names of the outputs; empty until a reference run has named them.
    dynamic_axes
        Per input: dimension → name of the axis.
    notes
        Notes for the reader of the results.
    """

    module: torch.nn.Module
    export_module: torch.nn.Module
    program: Any = None
    model_name: str
    title: str
    inputs: CallInputs
    batch_size: BatchSize
    input_names: tuple[str, ...]
    in_kwargs: tuple[str, ...] = ()
    declared_output_names: tuple[str, ...] | None = None
    output_names: tuple[str, ...] = ()
    dynamic_axes: Mapping[str, Mapping[int, str]] = field(factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def can_be_sent(self) -> bool:
        """Whether a copy in another process is the same model.

        ``model.compile()`` stores the compiled call in the model, and torch does not
        pickle it: a copy would be eager.
        """
        return self.module._compiled_call_impl is None

    @property
    def input_specs(self) -> tuple[TensorSpec, ...]:
        """The names, element types and shapes of the inputs."""
        return tensor_specs(self.inputs.arrays)


def adapt_model(
    model: Any,
    input: object,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
) -> AdaptedModel:
    """Determine how a model is called with the given inputs, without running it.

    Parameters
    ----------
    model
        A ``torch.nn.Module`` (also compiled or scripted), or a
        ``torch.export.ExportedProgram``.
    input
        A tensor or numpy array, a tuple of positional arguments, or a mapping of
        keyword arguments by ``forward``'s names or by ``input_names``. Arguments
        may contain tuples, lists, mappings, dataclasses and other objects. A list is
        one argument. Tensors may be on any device, and are copied.
    input_names
        Names of the tensors in the order of ``forward``'s parameters. Default: from
        the signature.
    output_names
        Names of the output tensors in order. Default: the model's own.
    dynamic_axes
        Per input name: dimension → name of the axis, or a list of dimensions.

    Raises
    ------
    TargetError
        ``model`` is neither a module nor an exported program, or its weights have no
        values.
    InputError
        Inputs, names or axes do not fit the model.
    """
    module, program = _module_of(model)
    export_module = eager_module(module)
    model_name = _name_of(export_module, program)
    _check_weights(export_module, model_name)
    forward = (
        read_forward(export_module, model_name)
        if program is None
        else Forward(model_name=model_name, signature=program_signature(program))
    )
    flat = name_inputs(forward, input, input_names)
    arrays = _frozen_copies(flat.leaves, forward)
    declared = None if output_names is None else tuple(output_names)
    notes = [*_compile_notes(module), *_layout_notes(flat.leaves)]
    notes += [
        f"{path} is a {type(value).__name__}, which is not a tensor: exports contain it as it is"
        for path, value in constants_of(flat.structure)
    ]
    inputs = CallInputs(
        arrays=arrays,
        structure=flat.structure,
        requires_grad=frozenset(
            name for name, leaf in flat.leaves.items() if getattr(leaf, "requires_grad", False)
        ),
    )
    return AdaptedModel(
        module=module,
        export_module=export_module,
        program=program,
        model_name=model_name,
        title=forward.title,
        inputs=inputs,
        batch_size=guess_batch_size(inputs, export_module, program),
        input_names=tuple(arrays),
        in_kwargs=forward.unnamed(flat.structure.kwargs),
        declared_output_names=declared,
        dynamic_axes=_axes(dynamic_axes or {}, arrays, declared or (), forward),
        notes=tuple(notes),
    )


def with_output_names(adapted: AdaptedModel, names: Sequence[str]) -> AdaptedModel:
    """Return the same model with the output names that the reference run determined."""
    return attrs.evolve(adapted, output_names=tuple(names))


def model_source(adapted: AdaptedModel) -> ModelSource:
    """Return what engines export; set the output names first."""
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
    """Return the module to call, and the program if the user gave one."""
    import torch  # only here: the core works without it

    if isinstance(model, torch.nn.Module):
        return model, None
    if isinstance(model, torch.export.ExportedProgram):
        return program_module(model), model
    if isinstance(model, type) and issubclass(model, torch.nn.Module):
        raise TargetError(
            f"{model.__name__} is a class, not a model.",
            hint=f"Pass an instance: {model.__name__}(...).",
        )
    raise TargetError(
        f"a model must be a torch.nn.Module or a torch.export.ExportedProgram, "
        f"not {type(model).__name__}.",
        hint="Wrap a function in a module whose forward calls it.",
    )


def _name_of(module: torch.nn.Module, program: Any) -> str:
    if program is not None:
        return "ExportedProgram"
    # A scripted module is a RecursiveScriptModule with the name of the original class.
    name = getattr(module, "original_name", None)
    return name if isinstance(name, str) else type(module).__name__


def _check_weights(module: torch.nn.Module, model_name: str) -> None:
    """Check that every parameter and buffer has values.

    Raises
    ------
    TargetError
        The module is on the meta device, or lazy and was never called.
    """
    lazy, without_values = [], []
    tensors = dict([*module.named_parameters(), *module.named_buffers()])
    for path, tensor in tensors.items():
        if is_lazy(tensor):
            lazy.append(path)
        elif tensor.device.type == "meta" or _is_fake(tensor):
            without_values.append(path)
    if lazy:
        raise TargetError(
            f"{model_name} has no weights yet: it is lazy, and {_listed(lazy)} "
            f"{'is' if len(lazy) == 1 else 'are'} uninitialized.",
            hint="Call it once with example inputs: model(...).",
        )
    if without_values and len(without_values) == len(tensors):
        raise TargetError(
            f"{model_name} has no weights (it is on the meta device).",
            hint="Load them first: model.to_empty(device='cpu'), then model.load_state_dict(...).",
        )
    if without_values:
        raise TargetError(
            f"{model_name} lacks weights: {_listed(without_values)} "
            f"{'is' if len(without_values) == 1 else 'are'} on the meta device.",
            hint="Load them first, or check that the checkpoint has all of them.",
        )


def _is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor was created under FakeTensorMode; it has a device, but no values."""
    # Looked up, not imported: until it is imported, there are no fake tensors.
    fake = getattr(sys.modules.get("torch._subclasses.fake_tensor"), "FakeTensor", None)
    return fake is not None and isinstance(tensor, fake)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_LISTED])
    rest = len(names) - _MOST_LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown


def _frozen_copies(leaves: Mapping[str, Any], forward: Forward) -> dict[str, np.ndarray[Any, Any]]:
    """Copy the inputs. A tensor that is passed twice is one array under two names."""
    copies: dict[int, np.ndarray[Any, Any]] = {}
    for name, leaf in leaves.items():
        if id(leaf) not in copies:
            copies[id(leaf)] = _frozen_copy(name, leaf, forward)
    return {name: copies[id(leaf)] for name, leaf in leaves.items()}


def _frozen_copy(name: str, leaf: Any, forward: Forward) -> np.ndarray[Any, Any]:
    try:
        array = to_numpy(leaf)
    except TypeError as error:
        raise InputError(
            f"input {name!r} of {forward.title} cannot be used: {error}.",
            hint="Inputs are sent to other processes as numpy arrays: pass a dense tensor.",
        ) from error
    array.flags.writeable = False
    return array


def _compile_notes(module: torch.nn.Module) -> list[str]:
    if not is_compiled(module):
        return []
    notes = ["the model uses torch.compile: Torch measures it compiled, exports are made without"]
    if module._compiled_call_impl is not None:
        notes.append(
            "the model was compiled in place by model.compile(), which is lost in a copy; "
            "torch.compile(model) can be sent to a worker process"
        )
    return notes


def _layout_notes(leaves: Mapping[str, Any]) -> list[str]:
    """Return notes on inputs whose memory layout differs from that of the measured copies."""
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
    """Check the dynamic axes of the inputs; return them with a name for each."""
    axes: dict[str, dict[int, str]] = {}
    for name, wanted in given.items():
        if name in output_names:
            continue  # the axes of outputs follow from those of inputs
        if name not in arrays:
            raise InputError(
                f"dynamic_axes names {name!r}, which is not an input of {forward.title}.",
                hint=f"Inputs: {', '.join(arrays)}.{did_you_mean(name, arrays)}",
            )
        rank = arrays[name].ndim
        names = wanted if isinstance(wanted, Mapping) else dict.fromkeys(wanted)
        axes[name] = {}
        for axis, axis_name in names.items():
            if not isinstance(axis, int) or not -rank <= axis < rank:
                raise InputError(
                    f"dynamic_axes names dimension {axis!r} of {name!r}, which has {rank}.",
                    hint="Dimensions start at 0.",
                )
            default = f"{name.replace('.', '_')}_dim_{axis % rank}"
            axes[name][axis % rank] = axis_name or default
    return axes
