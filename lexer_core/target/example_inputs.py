"""Which example inputs does a target get?

The inputs described by options, those in a file, or those that the target
itself declares; never a mixture.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import InputError
from lexer_core.target.input_specs import (
    Constant,
    InputSpec,
    generate_inputs,
    load_npz,
    parse_input_spec,
    with_batch_size,
)
from lexer_core.target.load import is_program
from lexer_core.target.onnx_file import specs_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.target.load import Target

__all__ = ["ExampleInputs", "InputRequest", "example_inputs", "generated_inputs", "read_request"]


@frozen(kw_only=True, eq=False)
class InputRequest:
    """What the command line says about inputs, before the target is loaded."""

    specs: tuple[InputSpec | Constant, ...] = ()
    arrays: Mapping[str, Any] | None = None
    batch_size: int | None = None
    seed: int = 0


@frozen(kw_only=True, eq=False)
class ExampleInputs:
    """Example inputs, and how to generate them again.

    Parameters
    ----------
    value
        What ``LexerContext.benchmark`` takes as ``input``.
    options
        The ``--input`` options that generate them; empty for real inputs.
    seed
        The seed that generates them; ``None`` for real inputs.
    note
        What a reader of the results should know about them; may be empty.
    """

    value: object
    options: tuple[str, ...] = ()
    seed: int | None = None
    note: str = ""


def read_request(
    described: Sequence[str], file: str | None, batch_size: int | None, seed: int
) -> InputRequest:
    """Read the values of ``--input``, ``--inputs``, ``--batch-size`` and ``--seed``.

    Raises
    ------
    InputError
        An option is wrong, or ``--input`` and ``--inputs`` are both given.
    """
    if described and file is not None:
        raise InputError(
            "--input and --inputs exclude each other.",
            hint="--input generates inputs; --inputs reads real ones from a file.",
        )
    specs = tuple(parse_input_spec(text) for text in described)
    arrays = load_npz(Path(file)) if file is not None else None
    return InputRequest(specs=specs, arrays=arrays, batch_size=batch_size, seed=seed)


def example_inputs(target: Target, request: InputRequest) -> ExampleInputs:
    """Return the inputs to run a target with.

    Raises
    ------
    InputError
        No inputs were requested, and the target does not declare any.
    """
    if request.arrays is not None:
        return ExampleInputs(value=dict(request.arrays))
    if request.specs:
        return generated_inputs(with_batch_size(request.specs, request.batch_size), request.seed)
    return _declared_inputs(target, request)


def generated_inputs(specs: Sequence[InputSpec | Constant], seed: int) -> ExampleInputs:
    """Generate inputs, and note the options that generate them again.

    Raises
    ------
    InputError
        The specs contradict each other.
    """
    return ExampleInputs(
        value=generate_inputs(specs, seed), options=tuple(map(str, specs)), seed=seed
    )


def _declared_inputs(target: Target, request: InputRequest) -> ExampleInputs:
    """Return the inputs that the target itself declares."""
    if target.onnx_inputs is not None:
        specs = specs_for(target.onnx_inputs, request.batch_size, target.name)
        return generated_inputs(specs, request.seed)
    if target.is_file:
        raise InputError(
            f"cannot read the inputs of {target.name}: the onnx package is not installed.",
            hint="Describe every input with --input, or run: pip install lexer-ort",
        )
    if is_program(target.model) and target.model.example_inputs is not None:
        positional, by_name = target.model.example_inputs
        if not (positional and by_name):
            return ExampleInputs(value=dict(by_name) if by_name else tuple(positional))
    names, required = _parameters(target.model)
    if not names:
        return ExampleInputs(value=())
    first, *others = required or names[:1]
    described = f"--input '{first}={_example_of(first)}'" + "".join(
        f" --input '{name}=...'" for name in others
    )
    raise InputError(
        f"{target.name} needs example inputs: forward({', '.join(required or names)}).",
        hint=f"Describe them: {described}\nor pass real ones: --inputs inputs.npz",
    )


def _example_of(name: str) -> str:
    """Return a description that such an input may have."""
    return "int64[1,128]:0..1000" if "ids" in name.lower() else "float32[1,3,224,224]"


def _parameters(model: Any) -> tuple[list[str], list[str]]:
    """Return the parameters of ``forward``, and those that have no default."""
    try:
        signature = inspect.signature(getattr(model, "_orig_mod", model).forward)
    except (AttributeError, TypeError, ValueError):  # scripted models have no readable signature
        return ["input"], ["input"]
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [each for each in signature.parameters.values() if each.kind not in variable]
    return (
        [parameter.name for parameter in parameters],
        [parameter.name for parameter in parameters if parameter.default is parameter.empty],
    )
