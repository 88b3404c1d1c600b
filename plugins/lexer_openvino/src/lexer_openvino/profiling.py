"""On which primitives does OpenVINO spend the time of a call?

The performance counters have the time of each node of the compiled graph, and its
runtime information the names of the layers of the model that were fused in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import UnsupportedError
from lexer_core.records import ProfiledOperation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lexer_core.records import Call
    from lexer_openvino.session import OpenVinoSession

__all__ = ["CallCounters", "profile_calls", "source_names"]


class CallCounters:
    """What is needed to read the counters of some calls.

    OpenVINO's counters are means of all calls since the model was compiled, and the first
    one takes much longer.

    Parameters
    ----------
    sources
        The node of the file by the name of each operation.
    """

    def __init__(self, sources: Mapping[str, str]) -> None:
        self.sources = sources
        self.calls = 0
        self._latest: Any = None

    def counting(self, run: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a function that counts its calls and remembers the request of the last one."""

        def counted(request: Any) -> Any:
            result = run(request)
            self.calls += 1
            self._latest = request
            return result

        return counted

    def read(self) -> dict[str, tuple[str, float]]:
        """Return the type of each node by its name, and the seconds of all calls so far."""
        if self._latest is None:
            return {}
        return {
            each.node_name: (each.node_type, each.real_time.total_seconds() * self.calls)
            for each in self._latest.get_profiling_info()
        }


def profile_calls(session: OpenVinoSession, call: Call, count: int) -> list[ProfiledOperation]:
    """Return the time of each node of the compiled graph.

    Raises
    ------
    UnsupportedError
        The device has no counters, or the session was not created for profiling.
    """
    counters = session.counters
    if counters is None:
        raise UnsupportedError("this session was not created for profiling.")
    try:
        before = counters.read()
        for _ in range(count):
            if call.reset is not None:
                call.reset()
            call.run()
        after = counters.read()
        nodes = session.compiled.get_runtime_model().get_ordered_ops()
    except RuntimeError as error:
        raise UnsupportedError(
            f"OpenVINO has no performance counters on {session.device.label}."
        ) from error
    layers = {node.get_friendly_name(): _layers(node, counters.sources) for node in nodes}
    return [
        ProfiledOperation(
            name=name,
            operator=operator,
            seconds=spent,
            calls=count,
            device=session.device.kind,
            nodes=layers.get(name, ()),
        )
        for name, (operator, seconds) in after.items()
        if (spent := seconds - before.get(name, ("", 0.0))[1]) > 0
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
