"""In which files does an ``.onnx`` file keep its weights?

Needed where somebody hands a model over as a file: of an export, everything in
its folder belongs to it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lexer_core.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["external_files"]


def external_files(path: Path) -> tuple[Path, ...]:
    """List the files beside a model, or below its folder, that hold its weights.

    Raises
    ------
    ExportError
        The file cannot be read without the package onnx, is not ONNX, or keeps
        weights outside its folder.
    """
    try:
        import onnx  # the core does without it, unless weights lie outside the file
    except ImportError as error:
        raise ExportError(
            f"which files belong to {path.name} cannot be found out without the package onnx.",
            hint="Install it: pip install onnx",
        ) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        # protobuf has several decoding errors, and none of them is public.
        raise ExportError(f"{path} is not an ONNX model.") from error
    locations = {
        entry.value
        for tensor in _tensors(model.graph)
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for location in locations:
        name = PurePosixPath(location)
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise ExportError(f"{path.name} keeps weights in {location!r}, outside its folder.")
    return tuple(path.parent / location for location in sorted(locations))


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that a graph holds, those of graphs within it too."""
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
            for inner in attribute.graphs:
                yield from _tensors(inner)
