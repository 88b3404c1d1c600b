"""On which primitives does OpenVINO spend the time of a call?

The performance counters have the time of each node of the compiled graph, and its
runtime information the names of the layers of the model that were fused in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import UnsupportedError
from lexer_core.records import ProfiledOperation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.records import Call
    from lexer_openvino.session import OpenVinoSession

__all__ = ["profile_calls", "source_names"]


def profile_calls(session: OpenVinoSession, call: Call, count: int) -> list[ProfiledOperation]:
    """Return the time of each node of the compiled graph.

    Raises
    ------
    UnsupportedError
        The device has no counters.
    """
    request: Any = None
    for _ in range(count):
        if call.reset is not None:
            call.reset()
        request = call.run()
    try:
        counters = request.get_profiling_info()
        nodes = session.compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError as error:
        raise UnsupportedError(
            f"OpenVINO has no performance counters on {session.device.label}."
        ) from error
    layers = {node.get_friendly_name(): _layers(node, session.sources) for node in nodes}
    return [
        ProfiledOperation(
            name=each.node_name,
            operator=each.node_type,
            seconds=each.real_time.total_seconds() * count,  # the mean of all calls
            calls=count,
            device=session.device.kind,
            nodes=layers.get(each.node_name, ()),
        )
        for each in counters
        if each.real_time.total_seconds() > 0
    ]


def source_names(model: Any) -> dict[str, str]:
    """Return the node of the file that each operation of a model was made from.

    OpenVINO makes several operations of some nodes, and gives the last one the node's name;
    the others have names of its own.
    """
    sources: dict[str, str] = {}
    for operation in reversed(model.get_ordered_ops()):
        name = operation.get_friendly_name()
        if name != operation.get_name():
            sources[name] = name
            continue
        users = {
            sources.get(target.get_node().get_friendly_name(), "")
            for output in operation.outputs()
            for target in output.get_target_inputs()
        }
        if len(users) == 1 and users != {""}:
            sources[name] = users.pop()
    return sources


def _layers(node: Any, sources: Mapping[str, str]) -> tuple[str, ...]:
    facts = node.get_rt_info()
    if "originalLayersNames" not in facts:
        return ()
    names = facts["originalLayersNames"].astype(str).split(",")
    return tuple(dict.fromkeys(sources[name] for name in names if name in sources))
