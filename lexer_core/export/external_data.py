"""Which files next to an ``.onnx`` file contain its weights?

Needed for a file that the user provides. Everything in the folder of an export
belongs to the export.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lexer_core.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXTERNAL", "external_files", "external_files_of"]

EXTERNAL = 1
"""``TensorProto.EXTERNAL``: the values are in a separate file."""


def external_files(path: Path) -> tuple[Path, ...]:
    """Return the files in a model's folder, or below, that contain its weights.

    Raises
    ------
    ExportError
        The onnx package is not installed, the file is not a valid ONNX model, or
        weights are outside its folder.
    """
    try:
        import onnx  # the core needs it only for external weights
    except ImportError as error:
        raise ExportError(
            f"finding the files that belong to {path.name} needs the onnx package.",
            hint="Install it: pip install onnx",
        ) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        # protobuf has several decoding errors, and none of them is public.
        raise ExportError(f"{path} is not a valid ONNX model.") from error
    return external_files_of(model, path)


def external_files_of(model: Any, path: Path) -> tuple[Path, ...]:
    """Return the files that contain weights of a loaded ``onnx.ModelProto``.

    Parameters
    ----------
    model
        The model, loaded without external data.
    path
        The file that it was loaded from.

    Raises
    ------
    ExportError
        Weights are outside the file's folder.
    """
    locations = {
        entry.value
        for tensor in _tensors(model.graph)
        if tensor.data_location == EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for location in locations:
        name = PurePosixPath(location)
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise ExportError(f"{path.name} refers to weights in {location!r}, outside its folder.")
    return tuple(path.parent / location for location in sorted(locations))


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor of a graph and its nested graphs."""
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
