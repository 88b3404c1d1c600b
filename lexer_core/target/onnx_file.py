"""Which inputs does an ``.onnx`` file declare?"""

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
    """Read the inputs of a model, without loading external weights.

    Returns
    -------
    tuple of TensorSpec or None
        In the graph's order, without inputs that have an initializer; ``None``
        if the ``onnx`` package is not installed.

    Raises
    ------
    TargetError
        The file is not a valid ONNX model.
    """
    if find_spec("onnx") is None:
        return None
    import onnx  # heavy and optional

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:
        # onnx's decoders raise errors that have no common base class.
        raise _not_onnx(path, f"{type(error).__name__}: {error}") from error
    if not graph.output:
        raise _not_onnx(path, "it has no outputs")
    weights = {initializer.name for initializer in graph.initializer}
    return tuple(_spec(value) for value in graph.input if value.name not in weights)


def read_opset(path: Path) -> int | None:
    """Return the opset version of the standard operators; ``None`` if unknown."""
    if find_spec("onnx") is None:
        return None
    import onnx  # heavy and optional

    imports = onnx.load(path, load_external_data=False).opset_import
    return next((each.version for each in imports if each.domain in ("", "ai.onnx")), None)


def specs_for(
    inputs: Sequence[TensorSpec], batch_size: int | None, where: str
) -> tuple[InputSpec, ...]:
    """Return specs of inputs that fit the model.

    Parameters
    ----------
    inputs
        The inputs that the model declares.
    batch_size
        Size of dimension 0, if that is dynamic.
    where
        The file, for error messages.

    Raises
    ------
    InputError
        The size of a dynamic dimension is unknown, or the batch size does not
        match the model's.
    """
    return tuple(_completed(spec, batch_size, where) for spec in inputs)


def _completed(spec: TensorSpec, batch_size: int | None, where: str) -> InputSpec:
    shape = list(spec.shape)
    if shape and batch_size is not None:
        if isinstance(shape[0], int) and shape[0] != batch_size:
            raise InputError(
                f"input {spec.name!r} of {where} has size {shape[0]} in dimension 0, "
                f"but --batch-size is {batch_size}.",
                hint="The file fixes that dimension: leave --batch-size out, or export the model "
                "with a dynamic batch dimension.",
            )
        shape[0] = batch_size
    dynamic = [at for at, size in enumerate(shape) if isinstance(size, str)]
    if dynamic:
        dimensions = ", ".join(f"{at} ({shape[at]})" for at in dynamic)
        example = ",".join("1" if at in dynamic else str(size) for at, size in enumerate(shape))
        fix = "Add --batch-size 1, or describe" if dynamic == [0] else "Describe"
        raise InputError(
            f"input {spec.name!r} of {where} has dynamic dimensions: {dimensions}.",
            hint=f"{fix} every input with its sizes: "
            f"--input '{spec.name}={spec.dtype}[{example}]'.",
        )
    sizes = tuple(size for size in shape if isinstance(size, int))
    return InputSpec(name=spec.name, dtype=spec.dtype, shape=sizes)


def _spec(value: ValueInfoProto) -> TensorSpec:
    from onnx.helper import tensor_dtype_to_np_dtype  # heavy and optional

    tensor = value.type.tensor_type
    # A dimension with neither size nor name is dynamic, too.
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
        f"{str(path)!r} is not a valid ONNX model ({reason}).",
        hint="Was the file copied or downloaded completely?",
    )
