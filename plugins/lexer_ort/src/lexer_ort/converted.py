"""How is an ``.onnx`` file converted to a precision?

By the tools in ONNXRuntime's own wheel. They get the model in memory: from a path, they
would write next to the file.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import onnx
import onnxruntime

from lexer_core.engine_helpers import error_summary, has_precision, model_file
from lexer_core.errors import UnsupportedError
from lexer_ort.graph_types import INTEGER_PRODUCTS
from lexer_ort.node_metadata import metadata_by_output, restore_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lexer_core.records import ExportedModel

__all__ = ["convert_model"]

_QUANTISED = ("MatMul", "Gemm")
"""By default, ONNXRuntime also quantises every Conv, to one that is much slower."""

_LARGEST_MESSAGE = int(1.5 * 2**30)
"""Bytes of weights from which they are stored next to the file: a protobuf holds 2 GiB."""


def convert_model(exported: ExportedModel, precision: str, workdir: Path) -> ExportedModel | None:
    """Convert a model to float16 or int8; ``None`` for any other precision.

    Raises
    ------
    UnsupportedError
        The model has nothing to convert, or the tool cannot convert it.
    """
    convert = _CONVERSIONS.get(precision)
    if convert is None or has_precision(exported, precision):
        return None
    path = model_file(exported, runtime="ONNXRuntime")
    model = onnx.load(path)
    target = workdir / path.name
    metadata = metadata_by_output(model)
    try:
        with _tools():
            notes = convert(model, target, exported.size_bytes >= _LARGEST_MESSAGE)
    except UnsupportedError:
        raise
    except Exception as error:  # the tools document none
        raise UnsupportedError(
            f"ONNXRuntime {onnxruntime.__version__} cannot convert this model to {precision}: "
            f"{error_summary(error)}"
        ) from error
    restore_metadata(target, metadata)
    return attrs.evolve(
        exported,
        path=target,
        size_bytes=sum(file.stat().st_size for file in workdir.iterdir()),
        exporter=f"{exported.exporter}, {precision} by onnxruntime {onnxruntime.__version__}",
        notes=(*exported.notes, *notes),
    )


def _to_float16(model: Any, target: Path, is_large: bool) -> tuple[str, ...]:
    from onnxruntime.transformers.float16 import convert_float_to_float16  # slow, rarely needed

    if not _has_float32(model):
        raise UnsupportedError("the model has no float32 tensors to convert to float16.")
    converted = convert_float_to_float16(model, keep_io_types=True, disable_shape_infer=is_large)
    _save(converted, target, is_large)
    return ()


def _to_int8(model: Any, target: Path, is_large: bool) -> tuple[str, ...]:
    from onnxruntime.quantization import quantize_dynamic  # slow, rarely needed

    weights = {each.name for each in model.graph.initializer}
    weights |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    products = sum(
        node.op_type in (*_QUANTISED, "Conv", "ConvTranspose") and bool(weights & {*node.input})
        for node in model.graph.node
    )
    quantize_dynamic(
        model,
        target,
        op_types_to_quantize=list(_QUANTISED),
        use_external_data_format=is_large,
    )
    graph = onnx.load(target, load_external_data=False).graph
    quantised = sum(node.op_type in INTEGER_PRODUCTS for node in graph.node)
    if not quantised:
        raise UnsupportedError(
            "the model has no MatMul or Gemm with constant weights to quantise.",
            hint="ONNXRuntime's Conv with dynamic quantisation is slower than in float32, so Lexer "
            "leaves Conv as it is.",
        )
    if quantised >= products:
        return ()
    return (
        f"{quantised} of {products} products with weights are quantised; Conv stays in float32",
    )


_CONVERSIONS: dict[str, Callable[[Any, Path, bool], tuple[str, ...]]] = {
    "float16": _to_float16,
    "int8-dynamic": _to_int8,
}


def _has_float32(model: Any) -> bool:
    graph, float32 = model.graph, onnx.TensorProto.FLOAT
    return any(each.data_type == float32 for each in graph.initializer) or any(
        each.type.tensor_type.elem_type == float32 for each in (*graph.input, *graph.output)
    )


def _save(model: Any, target: Path, is_large: bool) -> None:
    onnx.save(model, target, save_as_external_data=is_large, location=f"{target.name}.data")


@contextlib.contextmanager
def _tools() -> Iterator[None]:
    """Keep the tools from printing, and from changing this process."""
    before, root, handler = list(sys.path), logging.getLogger(), logging.NullHandler()
    # Its modules import each other from there; onnxruntime.transformers adds it only once.
    sys.path.append(str(Path(onnxruntime.__file__).parent / "transformers"))
    # Otherwise their first message would configure logging.
    root.addHandler(handler)
    level, root.level = root.level, logging.ERROR
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.level = level
        root.removeHandler(handler)
        sys.path[:] = before
