"""Where does the work of a session really run?

The compiled model says on which devices it executes, and its runtime graph has
a node for each primitive that was chosen. A GPU leaves some of them to
primitives of the CPU.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lexer_core.records import Placement
from lexer_openvino.devices import CPU_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_openvino.session import OpenVinoSession

__all__ = ["count_nodes", "describe_placement"]

_NO_WORK = frozenset({"Input", "Output", "Const", "Parameter", "Result", "Constant"})
_NAMED = 5


def describe_placement(session: OpenVinoSession) -> Placement | None:
    """Say which share of the runtime graph's nodes is on the session's device.

    ``None`` where the device gives no runtime graph.
    """
    compiled = session.compiled
    devices = [str(name) for name in compiled.get_property("EXECUTION_DEVICES")]
    try:
        nodes = compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError:  # a model from the cache of a device may not have kept its graph
        nodes = []
    return count_nodes(nodes, device=session.device.identifier, devices=devices)


def count_nodes(
    nodes: Iterable[Any], *, device: str, devices: Sequence[str] = ()
) -> Placement | None:
    """Count the nodes of a runtime graph, and name those that run elsewhere.

    Parameters
    ----------
    nodes
        Nodes with OpenVINO's runtime information: ``layerType`` and
        ``primitiveType``.
    device
        The device asked for, by OpenVINO's name.
    devices
        What ``EXECUTION_DEVICES`` says; empty where it says nothing.

    Returns
    -------
    Placement or None
        ``fallbacks`` has a line such as ``"CPU: 3 nodes (2 ShapeOf, 1 Gather)"``.
        ``None`` where there is nothing to count.
    """
    if devices and not any(_same(name, device) for name in devices):
        return Placement(
            share=0.0, method="nodes", fallbacks=tuple(f"{name}: all nodes" for name in devices)
        )
    total = 0
    on_cpu: Counter[str] = Counter()
    for node in nodes:
        facts = node.get_rt_info()
        layer = _text(facts, "layerType") or node.get_type_name()
        if layer in _NO_WORK:
            continue
        total += 1
        if device != CPU_NAME and _text(facts, "primitiveType").lower().startswith("cpu"):
            on_cpu[layer] += 1
    if not total:
        return None
    return Placement(
        share=1.0 - on_cpu.total() / total,
        method="nodes",
        fallbacks=(f"{CPU_NAME}: {_counted(on_cpu)}",) if on_cpu else (),
    )


def _same(name: str, device: str) -> bool:
    # With one device of a kind, both "GPU" and "GPU.0" are it.
    return name.removesuffix(".0") == device.removesuffix(".0")


def _text(facts: Any, key: str) -> str:
    value = facts[key] if key in facts else ""  # noqa: SIM401 - OpenVINO's mapping has no get
    return str(getattr(value, "value", value))


def _counted(layers: Counter[str]) -> str:
    named = ", ".join(f"{count} {layer}" for layer, count in layers.most_common(_NAMED))
    more = ", …" if len(layers) > _NAMED else ""
    nodes = "node" if layers.total() == 1 else "nodes"
    return f"{layers.total()} {nodes} ({named}{more})"
