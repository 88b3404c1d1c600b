"""What does an ``.onnx`` file take and give, and how large is it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from attrs import frozen

from lexer_core.errors import ExportError, UnsupportedError
from lexer_core.records import TensorSpec
from lexer_ort.element_types import by_onnx_number

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OnnxFile", "check_file", "read_file"]


_STANDARD = ("", "ai.onnx")
"""Names of the domain of the standard operators."""


@frozen(kw_only=True)
class OnnxFile:
    """What can be said of a file without reading its weights.

    Parameters
    ----------
    inputs, outputs
        Specifications, in the order of the graph. An axis without a length or
        a name is called after its tensor and position, as in ``image_axis_0``.
    opset
        Version of the standard operators, or ``None``.
    external
        Files beside it that hold weights.
    size_bytes
        Of the file and of those beside it.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opset: int | None
    external: tuple[Path, ...]
    size_bytes: int


def read_file(path: Path) -> OnnxFile:
    """Read the specifications of a file; its weights stay on disk.

    Raises
    ------
    ExportError
        There is no such file, it is not ONNX, or a file with its weights is
        missing.
    UnsupportedError
        An input or output is not a dense tensor of numbers.
    """
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        reason = error.strerror or error
        raise ExportError(f"cannot read {path}: {reason}.") from error
    except Exception as error:
        # protobuf has several decoding errors, and none of them is public.
        raise ExportError(f"{path} is not an ONNX model.") from error
    if not model.graph.output:
        raise ExportError(f"{path} is not an ONNX model: it has no graph with outputs.")
    weights = {initializer.name for initializer in model.graph.initializer}
    weights |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    external = _external_files(model, path)
    return OnnxFile(
        inputs=tuple(
            _spec("input", value, path) for value in model.graph.input if value.name not in weights
        ),
        outputs=tuple(_spec("output", value, path) for value in model.graph.output),
        opset=next(
            (item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), None
        ),
        external=external,
        size_bytes=sum(file.stat().st_size for file in (path, *external)),
    )


def check_file(path: Path) -> None:
    """Run ``onnx.checker`` on a file.

    Raises
    ------
    ExportError
        The model breaks a rule of ONNX; the message is the checker's.
    """
    try:
        # By path, because a model in memory may not exceed 2 GiB.
        onnx.checker.check_model(str(path))
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise ExportError(
            f"{path.name} does not pass onnx.checker: {reason}",
            hint="Where the model is right and the checker is not, set checks=false.",
        ) from error


def _spec(role: str, value: Any, path: Path) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "of no type").removesuffix("_type").replace("_", " ")
        raise UnsupportedError(
            f"{role} {value.name!r} of {path.name} is {what}, not a dense tensor.",
            hint="Lexer measures models whose inputs and outputs are dense tensors of numbers.",
        )
    tensor = value.type.tensor_type
    element = by_onnx_number(tensor.elem_type)
    if element is None:
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise UnsupportedError(
            f"{role} {value.name!r} of {path.name} is a tensor of type {name}.",
            hint="Lexer measures models whose inputs and outputs are dense tensors of numbers.",
        )
    if not tensor.HasField("shape"):
        return TensorSpec(name=value.name, dtype=element.name, shape=("...",))
    return TensorSpec(
        name=value.name,
        dtype=element.name,
        shape=tuple(
            dim.dim_value
            if dim.HasField("dim_value")
            else dim.dim_param or f"{value.name}_axis_{axis}"
            for axis, dim in enumerate(tensor.shape.dim)
        ),
    )


def _external_files(model: Any, path: Path) -> tuple[Path, ...]:
    locations = set()
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            locations |= {item.value for item in tensor.external_data if item.key == "location"}
    files = tuple(path.parent / location for location in sorted(locations))
    for file in files:
        if not file.is_file():
            raise ExportError(
                f"{path.name} keeps weights in {file.name}, which is not beside it.",
                hint=f"Copy {file.name} to {path.parent}.",
            )
    return files


def _tensors(graph: Any) -> Any:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
            yield from attribute.tensors
            for subgraph in attribute.graphs:
                yield from _tensors(subgraph)
