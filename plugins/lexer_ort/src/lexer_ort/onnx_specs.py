"""What are the inputs, outputs and size of an ``.onnx`` file?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx
from attrs import frozen

from lexer_core.engine_helpers import UNKNOWN_SHAPE, first_line
from lexer_core.errors import ExportError, UnsupportedError
from lexer_core.export.external_data import external_files_of
from lexer_core.records import TensorSpec
from lexer_ort.element_types import by_onnx_number

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["OnnxFile", "check_file", "read_file"]

_STANDARD_DOMAIN = ("", "ai.onnx")
"""Names of the domain of the standard operators."""

_ONLY_TENSORS = "Lexer measures models whose inputs and outputs are dense tensors of numbers."


@frozen(kw_only=True)
class OnnxFile:
    """What is known about a file without reading its weights.

    Parameters
    ----------
    inputs, outputs
        Specifications, in the order of the graph. An axis without a size or
        name is named after its tensor and position: ``image_axis_0``.
    used_inputs
        Names of the inputs from which a path leads to an output.
    opset
        Version of the standard operators, or ``None``.
    external
        Files with external data.
    size_bytes
        Total size of the file and its external data.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    used_inputs: frozenset[str]
    opset: int | None
    external: tuple[Path, ...]
    size_bytes: int


def read_file(path: Path) -> OnnxFile:
    """Read the specifications of a file, without its weights.

    Raises
    ------
    ExportError
        The file does not exist, is not a valid ONNX model, or its external
        data is missing.
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
        raise ExportError(f"{path} is not a valid ONNX model.") from error
    if not model.graph.output:
        raise ExportError(f"{path} is not a valid ONNX model: its graph has no outputs.")
    weights = {initializer.name for initializer in model.graph.initializer}
    weights |= {sparse.values.name for sparse in model.graph.sparse_initializer}
    external = _external_files(model, path)
    return OnnxFile(
        inputs=tuple(
            _spec("input", value, path) for value in model.graph.input if value.name not in weights
        ),
        outputs=tuple(_spec("output", value, path) for value in model.graph.output),
        used_inputs=_used_inputs(model.graph),
        opset=next(
            (item.version for item in model.opset_import if item.domain in _STANDARD_DOMAIN), None
        ),
        external=external,
        size_bytes=sum(file.stat().st_size for file in (path, *external)),
    )


def check_file(path: Path) -> None:
    """Run ``onnx.checker`` on a file.

    Raises
    ------
    ExportError
        The model fails the checker; the message is the checker's.
    """
    try:
        # By path, because a model in memory must not exceed 2 GiB.
        onnx.checker.check_model(str(path))
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise ExportError(
            f"{path.name} fails onnx.checker: {first_line(str(error))}",
            hint="If the model is correct and the checker is wrong, set onnx_checks=false.",
        ) from error


def _spec(role: str, value: Any, path: Path) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        what = (kind or "value without a type").removesuffix("_type").replace("_", " ")
        raise UnsupportedError(
            f"{role} {value.name!r} of {path.name} is a {what}, not a dense tensor.",
            hint=_ONLY_TENSORS,
        )
    tensor = value.type.tensor_type
    element = by_onnx_number(tensor.elem_type)
    if element is None:
        name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        raise UnsupportedError(
            f"{role} {value.name!r} of {path.name} is a tensor of type {name}.",
            hint=_ONLY_TENSORS,
        )
    if not tensor.HasField("shape"):
        return TensorSpec(name=value.name, dtype=element.name, shape=UNKNOWN_SHAPE)
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


def _used_inputs(graph: Any) -> frozenset[str]:
    needed = {value.name for value in graph.output}
    # Nodes are in topological order.
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed |= _names_used(node)
    return frozenset(needed & {value.name for value in graph.input})


def _names_used(node: Any) -> set[str]:
    """Return the inputs of a node; with subgraphs, all names in them."""
    names = set(node.input)
    for attribute in node.attribute:
        graphs = [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]
        for graph in graphs:
            names |= {value.name for value in graph.output}
            for inner in graph.node:
                names |= _names_used(inner)
    return names


def _external_files(model: Any, path: Path) -> tuple[Path, ...]:
    files = external_files_of(model, path)
    for file in files:
        if not file.is_file():
            raise ExportError(
                f"{path.name} needs its weights file {file.name}, which is missing.",
                hint=f"Copy {file.name} to {path.parent}.",
            )
    return files
