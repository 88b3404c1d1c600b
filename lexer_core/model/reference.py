"""What does the model itself return?

The reference for every engine's outputs: the model in eval mode, without
gradients, run twice to see whether it is deterministic. If the runs differ, a third one
from the first state shows whether that is the reason. It runs under ``no_grad``
and not ``inference_mode``, because caches that a model fills under the latter
break its training later. A model that needs gradients in ``forward`` runs with them.
torch is imported inside functions because the core
works without it.
"""

from __future__ import annotations

import copy
import time
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import field, frozen

from lexer_core.engine_helpers import numpy_dtype
from lexer_core.errors import InputError, ModelError
from lexer_core.model.naming import name_outputs
from lexer_core.model.state import measured_state, preserved_randomness
from lexer_core.model.structure import flatten_outputs, rebuild, with_own_constants
from lexer_core.model.tensors import place_leaves, to_numpy, to_torch
from lexer_core.model.value_state import state_of
from lexer_core.validation import Float64Outputs, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import torch

    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import CallInputs, CallStructure

    Arrays = dict[str, npt.NDArray[Any]]

__all__ = [
    "ModuleCall",
    "Reference",
    "call_module",
    "float64_outputs",
    "module_device",
    "outputs_for",
    "reference_outputs",
    "widened",
]


@frozen(kw_only=True, eq=False)
class Reference:
    """What the model itself returns for the example inputs.

    Parameters
    ----------
    name
        Its name in results: ``"AmazingNet (eager)"``.
    outputs
        Arrays of the first of two runs, by final name, in order.
    deterministic
        Whether runs from the same state agreed within tolerance.
    self_difference
        The largest absolute difference between the runs; ``None`` if they cannot
        be subtracted.
    keeps_hidden_state
        Whether runs differ because of state that cannot be restored, such as that of
        an object that the model holds.
    stateful
        Whether the model wrote to its buffers or parameters, or keeps other state
        that changes its outputs: only first calls can be compared.
    second_call
        Outputs of a second call with the same inputs, if the model's state makes them
        differ from those of the first.
    notes
        Notes for the reader of the results.
    seconds
        How long the second run took.
    """

    name: str
    outputs: Mapping[str, npt.NDArray[Any]]
    deterministic: bool
    self_difference: float | None
    keeps_hidden_state: bool = False
    stateful: bool = False
    second_call: Mapping[str, npt.NDArray[Any]] | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    _adapted: AdaptedModel | None = None
    _float64: list[Float64Outputs] = field(factory=list, init=False, repr=False)

    @property
    def output_names(self) -> tuple[str, ...]:
        """The final names of the outputs, in order."""
        return tuple(self.outputs)

    @property
    def not_judged(self) -> str:
        """Why no output can be judged against this; empty if one can."""
        if self.deterministic:
            return ""
        by = "" if self.self_difference is None else f" by up to {self.self_difference:.3g}"
        what = "keeps state in an object" if self.keeps_hidden_state else "is not deterministic"
        return f"the model {what}: two runs with the same inputs differ{by}"

    def float64(self) -> Float64Outputs:
        """Return the outputs in float64; computed once."""
        if not self._float64:
            self._float64.append(
                Float64Outputs(outputs=None, reason="this process does not have the model")
                if self._adapted is None
                else float64_outputs(self._adapted, self.output_names)
            )
        return self._float64[0]


def reference_outputs(adapted: AdaptedModel) -> Reference:
    """Run the model two or three times and return its outputs.

    The model, the inputs and the random states are restored afterwards.

    Parameters
    ----------
    adapted
        The result of :func:`adapt_model`.

    Raises
    ------
    ModelError
        The model raises, or returns no tensor.
    InputError
        The declared output names do not fit the outputs.
    """
    module = adapted.export_module
    with preserved_randomness():
        with measured_state(module) as state:
            first, notes = _run(adapted, module, adapted.inputs)
            start = time.perf_counter()
            second, _ = _run(adapted, module, adapted.inputs)
            seconds = time.perf_counter() - start
            changed = state.restore_tensors()
        agreement = judge(second, first, reference_name="the first run")
        differs = agreement.status != "pass"
        if differs:
            with measured_state(module):
                again, _ = _run(adapted, module, adapted.inputs)
            agreement = judge(again, first, reference_name="the first run")
    notes += state.notes
    deterministic = agreement.status == "pass"
    keeps_state = differs and deterministic
    names = name_outputs(
        list(first),
        adapted.declared_output_names,
        model_name=adapted.model_name,
        input_names=adapted.input_names,
    )
    if changed or keeps_state:
        what = (
            f"writes to its {state.kinds_of(changed)} ({', '.join(changed)})"
            if changed
            else "keeps state in its attributes"
        )
        notes += (f"the model {what}: only first calls are compared",)
    if adapted.declared_output_names is None:
        notes += tuple(
            f"output '{own}' is called '{name}' because an input has the same name"
            for own, name in zip(first, names, strict=True)
            if own != name
        )
    outputs = dict(zip(names, first.values(), strict=True))
    return Reference(
        name=f"{adapted.model_name} (eager)",
        outputs=outputs,
        deterministic=deterministic,
        self_difference=agreement.max_abs_error,
        keeps_hidden_state=not deterministic and _copies_agree(adapted),
        stateful=bool(changed) or keeps_state,
        second_call=dict(zip(names, second.values(), strict=True)) if keeps_state else None,
        notes=notes,
        seconds=seconds,
        adapted=adapted,
    )


def _copies_agree(adapted: AdaptedModel) -> bool:
    """Return whether two copies of the model, in the same state, return the same outputs."""
    try:
        with preserved_randomness(), measured_state(adapted.export_module):
            copies = [copy.deepcopy(adapted.export_module) for _ in range(2)]
            one, other = (_run(adapted, each, adapted.inputs)[0] for each in copies)
    except Exception:  # a model may raise anything, also when it is copied
        return False
    return judge(other, one, reference_name="a copy").status == "pass"


def outputs_for(adapted: AdaptedModel, output_names: tuple[str, ...]) -> Arrays:
    """Run the model once and return its outputs by name.

    Raises
    ------
    ModelError
        The model raises, or returns another number of tensors.
    """
    module = adapted.export_module
    with preserved_randomness(), measured_state(module):
        outputs, _ = _run(adapted, module, adapted.inputs)
    if len(outputs) != len(output_names):
        raise ModelError(
            f"{adapted.model_name} returned {len(outputs)} tensors, and {len(output_names)} for "
            "the first inputs.",
            hint="The number of outputs must not depend on the values of the inputs.",
        )
    return dict(zip(output_names, outputs.values(), strict=True))


def float64_outputs(adapted: AdaptedModel, output_names: tuple[str, ...]) -> Float64Outputs:
    """Run a copy of the model in float64.

    Floating-point parameters, buffers and inputs become float64, complex ones
    complex128. The user's model does not change.

    Parameters
    ----------
    adapted
        The result of :func:`adapt_model`.
    output_names
        Names of the outputs, in order.

    Returns
    -------
    Float64Outputs
        The outputs, or the reason why there are none: the model cannot be copied,
        or does not run in float64.
    """
    try:
        with preserved_randomness(), measured_state(adapted.export_module):
            module, inputs = widened(adapted.export_module, adapted.inputs)
            found, _ = _run(adapted, module, inputs)
    except Exception as error:  # a model may raise anything
        cause = error.__cause__ or error
        return Float64Outputs(outputs=None, reason=_last_line(cause))
    if len(found) != len(output_names):
        return Float64Outputs(outputs=None, reason="it returns other outputs in float64")
    return Float64Outputs(outputs=dict(zip(output_names, found.values(), strict=True)))


def widened(module: torch.nn.Module, inputs: CallInputs) -> tuple[torch.nn.Module, CallInputs]:
    """Return a copy of a module, and inputs, in float64 and complex128."""
    import torch  # the core works without it

    def widen(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_complex():
            return tensor.to(torch.complex128)
        return tensor.to(torch.float64) if tensor.is_floating_point() else tensor

    copied = copy.deepcopy(module)
    copied._apply(widen)  # type: ignore[no-untyped-call]
    return copied, _widen_inputs(inputs)


@frozen(kw_only=True, eq=False)
class ModuleCall:
    """One call of a module.

    Parameters
    ----------
    returned
        What ``forward`` returned.
    needs_gradients
        Whether it only runs with gradients enabled.
    changed_inputs
        Names of the arguments that the call changed.
    """

    returned: object
    needs_gradients: bool
    changed_inputs: tuple[str, ...]


def call_module(module: torch.nn.Module, inputs: CallInputs) -> ModuleCall:
    """Call a module once with new copies of its inputs, without gradients if it runs without."""
    import torch  # the core works without it

    with torch.no_grad():
        try:
            return _call_module(module, inputs)
        except (InputError, SystemExit):
            raise
        except Exception:  # a model may raise anything
            with torch.enable_grad():
                try:
                    return _call_module(module, inputs)
                except Exception:  # noqa: S110 - the first error is the one to report
                    pass
            raise


def _call_module(module: torch.nn.Module, inputs: CallInputs) -> ModuleCall:
    import torch  # the core works without it

    device = module_device(module)
    leaves = place_leaves(inputs, lambda array: to_torch(array, device))
    args, kwargs = rebuild(_own_constants(inputs.structure), leaves)
    # The lists are not the arguments themselves, so that the leaves are not described twice.
    values = {**leaves, **{f"argument {at}": each for at, each in enumerate(args)}, **kwargs}
    before = {name: state_of(value) for name, value in values.items()}
    returned = module(*args, **kwargs)
    changed = [name for name, value in values.items() if state_of(value) != before[name]]
    tensors = tuple(name for name in changed if name in leaves)
    return ModuleCall(
        returned=returned,
        needs_gradients=torch.is_grad_enabled(),
        changed_inputs=tensors or tuple(changed),
    )


def _own_constants(structure: CallStructure) -> CallStructure:
    try:
        return with_own_constants(structure)
    except Exception as error:  # an object of the user's may raise anything
        raise InputError(
            f"an argument that is not a tensor cannot be copied for each call: {_last_line(error)}",
            hint="Create an argument that holds tensors, such as a cache, under torch.no_grad().",
        ) from error


def module_device(module: torch.nn.Module) -> torch.device:
    """Return the device of a module's first parameter or buffer; the CPU if it has none."""
    import torch  # the core works without it

    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def _run(
    adapted: AdaptedModel, module: torch.nn.Module, inputs: CallInputs
) -> tuple[Arrays, tuple[str, ...]]:
    """Call the module once; return its outputs by the model's own names, and notes."""
    try:
        call = call_module(module, inputs)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a model may raise anything
        raise _raised(adapted, error) from error
    flat = flatten_outputs(call.returned)
    if not flat.tensors:
        kind = type(call.returned).__name__
        what = "nothing" if call.returned is None else f"a {kind} without tensors"
        raise ModelError(
            f"{adapted.model_name} returned {what}.",
            hint=f"{adapted.title} must return a tensor, or tensors in a tuple, list, dict or "
            "dataclass.",
        )
    notes = flat.notes
    if call.changed_inputs:
        names = ", ".join(map(repr, call.changed_inputs))
        notes += (f"the model changes its inputs ({names}): every call gets new copies",)
    if call.needs_gradients:
        notes += ("forward only runs with gradients enabled: the reference was run so",)
    try:
        return {name: to_numpy(tensor) for name, tensor in flat.tensors.items()}, notes
    except TypeError as error:
        raise ModelError(
            f"an output of {adapted.model_name} cannot be compared: {error}.",
            hint="Return dense tensors.",
        ) from error


def _raised(adapted: AdaptedModel, error: BaseException) -> ModelError:
    specs = "\n".join(f"  {spec}" for spec in adapted.input_specs)
    return ModelError(
        f"{adapted.model_name} raised {_last_line(error)}",
        hint=f"{adapted.title} was called with\n{specs}\n"
        f"{_name_hint(adapted)}{_type_hint(adapted)}"
        "Check that the model accepts these shapes and types.",
    )


def _name_hint(adapted: AdaptedModel) -> str:
    """Return a line about arguments that forward accepts under any name, mistyped ones too."""
    if not adapted.in_kwargs:
        return ""
    names = ", ".join(map(repr, adapted.in_kwargs))
    what = "is not a parameter" if len(adapted.in_kwargs) == 1 else "are not parameters"
    return f"{names} {what} of forward, but passed in **kwargs.\n"


def _type_hint(adapted: AdaptedModel) -> str:
    """Return a line about inputs of another precision: numpy's default is float64."""
    of_model = {
        str(each.dtype).removeprefix("torch.")
        for each in adapted.export_module.parameters()
        if each.is_floating_point()
    }
    others = [
        spec
        for spec in adapted.input_specs
        if spec.dtype in ("float16", "bfloat16", "float32", "float64")
        and spec.dtype not in of_model
    ]
    if not of_model or not others:
        return ""
    names = ", ".join(repr(spec.name) for spec in others)
    return (
        f"{names} {'is' if len(others) == 1 else 'are'} {others[0].dtype}, "
        f"the model's parameters are {', '.join(sorted(of_model))}.\n"
    )


def _widen_inputs(inputs: CallInputs) -> CallInputs:
    wide: dict[int, npt.NDArray[Any]] = {}
    for array in inputs.arrays.values():  # one array may have two names
        if id(array) not in wide:
            wide[id(array)] = _widen(array)
    return attrs.evolve(
        inputs, arrays={name: wide[id(array)] for name, array in inputs.arrays.items()}
    )


def _widen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    is_float = array.dtype.kind == "f" or (array.dtype.kind == "V" and "float" in array.dtype.name)
    return array.astype(numpy_dtype("float64")) if is_float else array


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1]}" if lines else type(error).__name__
