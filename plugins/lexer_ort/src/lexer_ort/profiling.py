"""On which nodes of a file does ONNXRuntime spend the time of a call?

ONNXRuntime writes the time of each node of the graph that it optimized. That graph does
not say which nodes of the file were fused, but most of its tensors have their names.
"""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING, Any

import onnx

from lexer_core.errors import UnsupportedError
from lexer_core.records import ProfiledOperation
from lexer_ort.devices import CPU_PROVIDER
from lexer_ort.fused_nodes import nodes_by_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.records import Call
    from lexer_ort.session import OrtSession

__all__ = ["profile_calls"]

_KERNEL = "_kernel_time"
_RUN = "model_run"


def profile_calls(session: OrtSession, call: Call, count: int) -> list[ProfiledOperation]:
    """Return the time of each node of the optimized graph.

    Raises
    ------
    UnsupportedError
        The session is not on the CPU: elsewhere, a node only submits its work.
    """
    if session.provider != CPU_PROVIDER:
        raise UnsupportedError(
            f"calls of ONNXRuntime are profiled on the CPU only, not with {session.provider}."
        )
    for _ in range(count):
        if call.reset is not None:
            call.reset()
        call.run()
    written = session.end_profile()
    optimized = onnx.load(str(written.optimized), load_external_data=False).graph
    exported = onnx.load(str(written.exported), load_external_data=False).graph
    nodes = nodes_by_kernel(optimized, exported)
    kernels: dict[str, list[Mapping[str, Any]]] = {}
    for event in _kernel_events(json.loads(written.profile.read_text("utf-8")), count):
        kernels.setdefault(event["name"].removesuffix(_KERNEL), []).append(event)
    return [
        ProfiledOperation(
            name=name,
            operator=events[0]["args"].get("op_name", ""),
            # One disturbed call does not count.
            seconds=median(event["dur"] for event in events) * len(events) / 1e6,
            calls=len(events),
            nodes=nodes.get(name, ()),
        )
        for name, events in kernels.items()
    ]


def _kernel_events(events: list[Mapping[str, Any]], count: int) -> Iterator[Mapping[str, Any]]:
    """Yield the times of nodes in the last calls, without those in the body of another node."""
    runs = sorted(event["ts"] for event in events if event.get("name") == _RUN)
    first = runs[-count] if len(runs) >= count else 0
    kernels = [
        event
        for event in events
        if event.get("cat") == "Node" and event["ts"] >= first and event["name"].endswith(_KERNEL)
    ]
    ends: dict[object, float] = {}
    for event in sorted(kernels, key=lambda event: (event["ts"], -event["dur"])):
        thread, end = event.get("tid"), event["ts"] + event["dur"]
        if end > ends.get(thread, 0.0):
            ends[thread] = end
            yield event
