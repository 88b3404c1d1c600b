"""In which types does OpenVINO compute a compiled model?

The runtime graph has the type of each of its nodes. Products count, because the rest may
stay in float32 without costing much.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["computed_types"]

_PRODUCTS = frozenset(
    {
        "Convolution",
        "Deconvolution",
        "FullyConnected",
        "GatedMLP",
        "LSTMSeq",
        "MatMul",
        "QKVProjection",
        "RNNCell",
        "RNNSeq",
        "ScaledDotProductAttention",
    }
)
_NAMES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "f64": "float64"}


def computed_types(compiled: Any) -> str:
    """Return the types in which a model is computed, that of most products first.

    Parameters
    ----------
    compiled
        An ``openvino.CompiledModel``.

    Returns
    -------
    str
        ``"bfloat16"`` or ``"bfloat16, float32"``; of all nodes if there are no products.
        Without a runtime graph, the type that was asked for and accepted.
    """
    try:
        nodes = compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError:  # a model from a device's cache may have no graph
        nodes = []
    return _of_nodes(nodes) or _NAMES.get(
        compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name(), ""
    )


def _of_nodes(nodes: Iterable[Any]) -> str:
    products: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for node in nodes:
        facts = node.get_rt_info()
        if "layerType" not in facts or "runtimePrecision" not in facts:
            continue
        kind = _NAMES.get(facts["runtimePrecision"].astype(str), "")
        layer = facts["layerType"].astype(str)
        if kind and layer not in ("Input", "Output", "Const", "Reorder"):
            (products if layer in _PRODUCTS else others)[kind] += 1
    return ", ".join(kind for kind, _ in (products or others).most_common())
