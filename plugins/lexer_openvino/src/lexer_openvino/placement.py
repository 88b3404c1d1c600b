"""On which devices do a session's operators run?

The compiled model reports its execution devices, and its runtime graph has a
node for each primitive. A GPU may leave some of them to the CPU.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lexer_core.engine_helpers import count_placement
from lexer_core.records import Placement
from lexer_openvino.devices import CPU_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_openvino.session import OpenVinoSession

__all__ = ["count_nodes", "describe_placement"]

_NO_WORK = frozenset({"Input", "Output", "Const", "Parameter", "Result", "Constant"})


def describe_placement(session: OpenVinoSession) -> Placement | None:
    """Return which share of the runtime graph's nodes is on the session's device.

    ``None`` if the device offers no runtime graph.
    """
    compiled = session.compiled
    devices = [str(name) for name in compiled.get_property("EXECUTION_DEVICES")]
    try:
        nodes = compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError:  # a model from a device's cache may have no graph
        nodes = []
    return count_nodes(nodes, device=session.device.identifier, devices=devices)


def count_nodes(
    nodes: Iterable[Any], *, device: str, devices: Sequence[str] = ()
) -> Placement | None:
    """Count the nodes of a runtime graph, and list those on other devices.

    Parameters
    ----------
    nodes
        Nodes with OpenVINO's runtime information: ``layerType`` and
        ``primitiveType``.
    device
        OpenVINO's name of the requested device.
    devices
        The ``EXECUTION_DEVICES``; empty if unknown.

    Returns
    -------
    Placement or None
        ``fallbacks`` has a line such as ``"CPU: 3 nodes (2 ShapeOf, 1 Gather)"``.
        ``None`` if there is nothing to count.
    """
    if devices and not any(_same(name, device) for name in devices):
        return Placement(
            share=0.0, method="nodes", fallbacks=tuple(f"{name}: all nodes" for name in devices)
        )
    on_device = 0
    on_cpu: Counter[str] = Counter()
    for node in nodes:
        facts = node.get_rt_info()
        layer = _text(facts, "layerType") or node.get_type_name()
        if layer in _NO_WORK:
            continue
        if device != CPU_NAME and _text(facts, "primitiveType").lower().startswith("cpu"):
            on_cpu[layer] += 1
        else:
            on_device += 1
    return count_placement(on_device, {CPU_NAME: on_cpu})


def _same(name: str, device: str) -> bool:
    # If there is one device of a kind, "GPU" and "GPU.0" are the same.
    return name.removesuffix(".0") == device.removesuffix(".0")


def _text(facts: Any, key: str) -> str:
    value = facts[key] if key in facts else ""  # noqa: SIM401 - OpenVINO's mapping has no get
    return str(getattr(value, "value", value))
