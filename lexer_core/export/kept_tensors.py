"""How does an exported model return intermediate results, too?

As further outputs of a copy of the file. What an engine does not fuse, because its result
is an output, may be computed in another way than in the file itself.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from attrs import evolve

from lexer_core.export.external_data import external_files_of
from lexer_core.records import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from lexer_core.records import ExportedModel

__all__ = ["read_tensor_specs", "with_kept_tensors"]

_LARGEST_INFERENCE = 2**28
"""Bytes of a file whose shapes are inferred, which copies it, if it does not state them."""


def read_tensor_specs(path: Path) -> dict[str, TensorSpec]:
    """Read the element types and shapes of the tensors of an ``.onnx`` file, without weights."""
    import onnx  # heavy and optional

    model = onnx.load(str(path), load_external_data=False)
    computed = {name for node in model.graph.node for name in node.output if name}
    known = _specs(model.graph)
    if not computed <= known.keys() and path.stat().st_size <= _LARGEST_INFERENCE:
        known = _specs(onnx.shape_inference.infer_shapes(model).graph) | known
    return known


def _specs(graph: Any) -> dict[str, TensorSpec]:
    values = (*graph.input, *graph.value_info, *graph.output)
    specs = {value.name: _spec(value) for value in values}
    return {name: spec for name, spec in specs.items() if spec is not None}


def _spec(value: Any) -> TensorSpec | None:
    import onnx  # heavy and optional

    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    except KeyError:
        return None
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in tensor.shape.dim
    )
    return TensorSpec(name=value.name, dtype=dtype.name, shape=shape)


def with_kept_tensors(
    exported: ExportedModel, specs: Collection[TensorSpec], folder: Path
) -> ExportedModel:
    """Write a copy of an ``.onnx`` file that returns further tensors, after its outputs.

    Parameters
    ----------
    exported
        The export.
    specs
        Tensors of its graph; those that are outputs already are not returned twice.
    folder
        An empty folder for the copy and its external data.
    """
    import onnx  # heavy and optional

    assert exported.path is not None
    model = onnx.load(str(exported.path), load_external_data=False)
    for file in external_files_of(model, exported.path):
        target = folder / file.relative_to(exported.path.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    outputs = {value.name for value in model.graph.output}
    stated = {value.name: value for value in model.graph.value_info}
    added = [spec for spec in specs if spec.name not in outputs]
    for spec in added:
        # Runtimes infer the type of an output that has none.
        model.graph.output.append(stated.get(spec.name) or onnx.ValueInfoProto(name=spec.name))
    path = folder / exported.path.name
    onnx.save(model, str(path))
    return evolve(exported, path=path, outputs=(*exported.outputs, *added))
