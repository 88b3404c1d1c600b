"""Which nodes of a file does each node of its optimized graph compute?

A fused node has the output of the last node that it computes, or a name that begins with
that of this output or of another of the nodes. The rest is found on the way back to its
inputs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["nodes_by_kernel"]

_END = re.compile(r"(?=[_/])|$")
_CAST = "InsertedPrecisionFreeCast_"
"""Before the name of a tensor that ONNXRuntime computes in float32 instead of float16."""

_FUSED = "fused "


def nodes_by_kernel(optimized: Any, exported: Any) -> dict[str, tuple[str, ...]]:
    """Return outputs of the exported nodes that each optimized node computes.

    Parameters
    ----------
    optimized, exported
        ``onnx.GraphProto`` of the optimized and of the original model.

    Returns
    -------
    dict
        By the name of the optimized node: the first output of each node that it computes;
        empty for a node that only changes a layout, for example.
    """
    producers = {output: node for node in exported.node for output in node.output if output}
    by_name = {node.name: node for node in exported.node if node.name}
    in_calls = _computed_in_calls(exported)
    claimed: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    for node in optimized.node:
        inputs = [name.removeprefix(_CAST) for name in node.input]
        outputs = [name.removeprefix(_CAST) for name in node.output]
        last = [name for name in outputs if name in producers]
        renamed = "" if last else _similar(node.name, {*producers, *by_name})
        if renamed in producers:
            last = [renamed]
        if claimed.issuperset(last):
            # It changes the layout of something that another one computed.
            known = [producers[output] for output in last] or [
                by_name[name] for name in (renamed,) if name
            ]
        else:
            known = _behind(last, {*inputs, *claimed}, producers, node.op_type)
        claimed.update(output for each in known for output in each.output)
        found[node.name] = tuple(
            each.output[0] for each in known if in_calls.intersection(each.output)
        )
    return found


def _behind(
    last: Iterable[str], boundary: set[str], producers: Mapping[str, Any], operator: str
) -> list[Any]:
    """Return the nodes that compute some tensors from those of the boundary.

    A convolution begins with the node that is one, whatever its inputs are called now.
    """
    found: dict[str, Any] = {}
    waiting = list(last)
    while waiting:
        node = producers[waiting.pop()]
        if node.output[0] in found:
            continue
        found[node.output[0]] = node
        if node.op_type != operator.removeprefix("Fused"):
            waiting += [name for name in node.input if name in producers and name not in boundary]
    return list(found.values())


def _computed_in_calls(graph: Any) -> set[str]:
    """Return the tensors that depend on the inputs; the others are computed once."""
    users: dict[str, list[Any]] = {}
    for node in graph.node:  # not always in topological order, although ONNX asks for it
        for name in node.input:
            users.setdefault(name, []).append(node)
    weights = {initializer.name for initializer in graph.initializer}
    computed: set[str] = set()
    waiting = [value.name for value in graph.input if value.name not in weights]
    while waiting:
        name = waiting.pop()
        if name not in computed:
            computed.add(name)
            waiting += [output for node in users.get(name, ()) for output in node.output]
    return computed


def _similar(name: str, known: set[str]) -> str:
    """Return the longest known name that a name begins with; empty if there is none."""
    name = name.removeprefix(_FUSED)
    ends = [found.start() for found in _END.finditer(name)]
    return next((name[:end] for end in reversed(ends) if name[:end] in known), "")
