"""Which example inputs does a target get?

Those that are described, those in a file, or those that the target itself asks
for; never a mixture.
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
    load_npz,
    make_inputs,
    parse_input_spec,
    with_batch_size,
)
from lexer_core.target.load import is_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.target.load import Target

__all__ = ["RequestedInputs", "example_inputs", "read_request"]


@frozen(kw_only=True, eq=False)
class RequestedInputs:
    """What the command line says of inputs, before the target is loaded."""

    specs: tuple[InputSpec | Constant, ...] = ()
    arrays: Mapping[str, Any] | None = None
    batch_size: int | None = None
    seed: int = 0


def read_request(
    described: Sequence[str], file: str | None, batch_size: int | None, seed: int
) -> RequestedInputs:
    """Read ``--input`` and ``--inputs``.

    Raises
    ------
    InputError
        One of them is wrong, both are given, or the file's arrays have another
        batch size than the one asked for.
    """
    if described and file is not None:
        raise InputError(
            "--input and --inputs are both given.",
            hint="--input describes inputs that are made, --inputs names a file of real ones.",
        )
    specs = tuple(parse_input_spec(text) for text in described)
    arrays = load_npz(Path(file)) if file is not None else None
    for name, array in (arrays or {}).items():
        if batch_size is not None and array.ndim and array.shape[0] != batch_size:
            raise InputError(
                f"array {name!r} in input file {file!r} has {array.shape[0]} in dimension 0, "
                f"and --batch-size is {batch_size}.",
                hint="The batch size of real inputs is read from them: leave --batch-size out.",
            )
    return RequestedInputs(specs=specs, arrays=arrays, batch_size=batch_size, seed=seed)


def example_inputs(target: Target, request: RequestedInputs) -> object:
    """Give what ``LexerContext.benchmark`` takes as ``input``.

    Raises
    ------
    InputError
        There are none, and the target does not say what it needs.
    """
    if request.arrays is not None:
        return dict(request.arrays)
    if request.specs:
        return make_inputs(with_batch_size(request.specs, request.batch_size), request.seed)
    return _asked_for(target, request)


def _asked_for(target: Target, request: RequestedInputs) -> object:
    """Make what the target itself asks for, where it says so."""
    if target.onnx_inputs is not None:
        from lexer_core.target.onnx_file import specs_for  # only for this kind of target

        specs = specs_for(target.onnx_inputs, request.batch_size, target.name)
        return make_inputs(specs, request.seed)
    if target.is_file:
        raise InputError(
            f"what {target.name} asks for cannot be read without the onnx package.",
            hint="Describe every input with --input, or install it: pip install lexer-ort",
        )
    if is_program(target.model) and target.model.example_inputs is not None:
        positional, by_name = target.model.example_inputs
        if not (positional and by_name):
            return dict(by_name) if by_name else tuple(positional)
    needed = _needed(target.model)
    if not needed:
        return ()
    first = f"--input '{needed[0]}=float32[1,3,224,224]'"
    others = "".join(f" --input '{name}=...'" for name in needed[1:])
    raise InputError(
        f"{target.name} needs example inputs: forward({', '.join(needed)}).",
        hint=f"Describe them: {first}{others}\nor give a file of real ones: --inputs inputs.npz",
    )


def _needed(model: Any) -> list[str]:
    """List the parameters that ``forward`` cannot be called without."""
    try:
        signature = inspect.signature(getattr(model, "_orig_mod", model).forward)
    except (AttributeError, TypeError, ValueError):  # scripted models have none that can be read
        return ["input"]
    return [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
    ]
