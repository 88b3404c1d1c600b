"""In which types does ONNXRuntime compute a model?

A model in float16 may be computed in float32: where the provider has no kernel for
float16, ONNXRuntime inserts casts. Only the graph that it optimised for a session shows
that. So it is saved, and its products are counted by the type of their inputs.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import onnxruntime

from lexer_ort.element_types import by_onnx_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["INTEGER_PRODUCTS", "computed_types"]

INTEGER_PRODUCTS = frozenset(
    {
        "ConvInteger",
        "DynamicQuantizeLSTM",
        "DynamicQuantizeMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "QAttention",
        "QGemm",
        "QLinearConv",
        "QLinearMatMul",
    }
)
"""Operators that multiply quantised numbers."""

_PRODUCTS = frozenset(
    {
        "Attention",
        "Conv",
        "ConvTranspose",
        "Einsum",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "GRU",
        "Gemm",
        "GroupQueryAttention",
        "LSTM",
        "MatMul",
        "MultiHeadAttention",
        "RNN",
    }
)

_WITHOUT_WEIGHTS = {
    "session.optimized_model_external_initializers_file_name": "weights",
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}
"""The graph itself stays small enough to be stored."""

_INT8 = "int8-dynamic"
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def computed_types(path: Path, options: Any, providers: Any) -> str:
    """Return the types in which a session computes, that of most products first.

    It loads the model again, so it needs as much memory as a session.

    Parameters
    ----------
    path
        The file.
    options
        The session's ``SessionOptions``; the path for the optimised graph is set in them.
    providers
        The session's providers.

    Returns
    -------
    str
        ``"float32"`` or ``"int8-dynamic, float32"``; empty if the graph computes nothing
        in floating point.
    """
    with tempfile.TemporaryDirectory(prefix="lexer-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(optimised)
        for name, value in _WITHOUT_WEIGHTS.items():
            options.add_session_config_entry(name, value)
        onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
        graph = onnx.load(optimised, load_external_data=False).graph
    products: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for operator, kind in _kinds(graph, {}):
        (products if operator in _PRODUCTS | INTEGER_PRODUCTS else others)[kind] += 1
    return ", ".join(kind for kind, _ in (products or others).most_common())


def _kinds(graph: Any, outer: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the operator and the type of each node that computes, in the order of the graph."""
    types = dict(outer)
    for value in (*graph.input, *graph.output, *graph.value_info):
        types[value.name] = _name(value.type.tensor_type.elem_type)
    types |= {tensor.name: _name(tensor.data_type) for tensor in graph.initializer}
    for node in graph.node:
        known = [types[name] for name in node.input if name in types]
        kind = next((each for each in known if each in _FLOATS), "")
        if node.op_type in INTEGER_PRODUCTS:
            yield node.op_type, _INT8
        elif node.op_type == "Cast":
            kind = next(_name(each.i) for each in node.attribute if each.name == "to")
        elif kind:
            yield node.op_type, kind
        for name in node.output:
            # The types of what is between two nodes are not stored.
            types.setdefault(name, kind or next(iter(known), ""))
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _kinds(inner, types)


def _name(number: int) -> str:
    element = by_onnx_number(number)
    return "" if element is None else element.name
