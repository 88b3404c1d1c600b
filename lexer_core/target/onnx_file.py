"""Which inputs does an .onnx file ask for?"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from lexer_core.errors import InputError, TargetError
from lexer_core.records import TensorSpec
from lexer_core.target.input_specs import InputSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from onnx import ValueInfoProto

__all__ = ["read_onnx_inputs", "read_opset", "specs_for"]


def read_onnx_inputs(path: Path) -> tuple[TensorSpec, ...] | None:
    """Read the inputs of a model, its weights left where they are.

    Returns
    -------
    tuple of TensorSpec or None
        In the graph's order, without those that have a value of their own;
        ``None`` where the ``onnx`` package is not installed to read it.

    Raises
    ------
    TargetError
        The file is no ONNX model.
    """
    if find_spec("onnx") is None:
        return None
    import onnx  # heavy, and not always there

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:
        # Its decoders have errors of their own, and no base of their own.
        raise _not_onnx(path, f"{type(error).__name__}: {error}") from error
    if not graph.output:
        raise _not_onnx(path, "it has no outputs")
    weights = {initializer.name for initializer in graph.initializer}
    return tuple(_spec(value) for value in graph.input if value.name not in weights)


def read_opset(path: Path) -> int | None:
    """Read which version of the standard operators a model uses; ``None`` if unknown."""
    if find_spec("onnx") is None:
        return None
    import onnx  # as above

    imports = onnx.load(path, load_external_data=False).opset_import
    return next((each.version for each in imports if each.domain in ("", "ai.onnx")), None)


def specs_for(
    inputs: Sequence[TensorSpec], batch_size: int | None, where: str
) -> tuple[InputSpec, ...]:
    """Describe inputs that fit a model whose shapes are known.

    Parameters
    ----------
    inputs
        What the model asks for.
    batch_size
        Stands in dimension 0 where that is dynamic.
    where
        The file, for errors.

    Raises
    ------
    InputError
        A dimension is dynamic and nothing says how large it is, or the batch
        size is another than the model's.
    """
    return tuple(_completed(spec, batch_size, where) for spec in inputs)


def _completed(spec: TensorSpec, batch_size: int | None, where: str) -> InputSpec:
    shape = list(spec.shape)
    if shape and batch_size is not None:
        if isinstance(shape[0], int) and shape[0] != batch_size:
            raise InputError(
                f"input {spec.name!r} of {where} has {shape[0]} in dimension 0, "
                f"and --batch-size is {batch_size}.",
                hint="That dimension is fixed in the file: leave --batch-size out, or export the "
                "model with a dynamic batch dimension.",
            )
        shape[0] = batch_size
    dynamic = [at for at, size in enumerate(shape) if isinstance(size, str)]
    if dynamic:
        named = ", ".join(f"{at} ({shape[at]})" for at in dynamic)
        example = ",".join("1" if at in dynamic else str(size) for at, size in enumerate(shape))
        say = "Give --batch-size 1, or say" if dynamic == [0] else "Say"
        raise InputError(
            f"input {spec.name!r} of {where} has dynamic dimensions: {named}.",
            hint=f"{say} how large they are, with all inputs: "
            f"--input '{spec.name}={spec.dtype}[{example}]'.",
        )
    sizes = tuple(size for size in shape if isinstance(size, int))
    return InputSpec(name=spec.name, dtype=spec.dtype, shape=sizes)


def _spec(value: ValueInfoProto) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype  # as above

    tensor = value.type.tensor_type
    # A dimension without a size and without a name is dynamic, too.
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    try:
        dtype = tensor_dtype_to_np_dtype(tensor.elem_type).name
    except KeyError:
        dtype = "unknown"
    return TensorSpec(name=value.name, dtype=dtype, shape=shape)


def _not_onnx(path: Path, reason: str) -> TargetError:
    return TargetError(
        f"{str(path)!r} is no ONNX model ({reason}).",
        hint="Its name ends in .onnx, but its content cannot be read as one. "
        "Was it copied or downloaded completely?",
    )
