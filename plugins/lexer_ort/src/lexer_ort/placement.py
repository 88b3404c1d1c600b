"""Where does the work of a session really run?

ONNXRuntime keeps which provider took which node, if asked before the session
is made (``session.record_ep_graph_assignment_info``). That is read after the
fact and costs the measured calls nothing, unlike a profile.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lexer_core.records import Placement
from lexer_ort.devices import CPU_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_ort.session import OrtSession

__all__ = ["count_nodes", "describe_placement"]

_NAMED = 5


def describe_placement(session: OrtSession) -> Placement | None:
    """Say which share of the nodes the session's provider took.

    A session on the CPU has no other provider, so all its nodes are there.
    ``None`` where this version of ONNXRuntime does not keep the assignment.
    """
    if session.provider == CPU_PROVIDER:
        return Placement(share=1.0, method="nodes")
    assignments = session.assignments()
    return count_nodes(assignments, session.provider) if assignments else None


def count_nodes(assignments: Iterable[Any], provider: str) -> Placement:
    """Count nodes on a provider, and name those that other providers took.

    Parameters
    ----------
    assignments
        What ``InferenceSession.get_provider_graph_assignment_info`` returned:
        subgraphs with ``ep_name`` and ``get_nodes()``.
    provider
        The execution provider asked for.

    Returns
    -------
    Placement
        ``fallbacks`` has one line per other provider, such as
        ``"CPUExecutionProvider: 3 nodes (2 Shape, 1 Gather)"``.
    """
    operators: dict[str, Counter[str]] = {}
    for subgraph in assignments:
        taken = operators.setdefault(subgraph.ep_name, Counter())
        taken.update(node.op_type for node in subgraph.get_nodes())
    total = sum(taken.total() for taken in operators.values())
    if not total:
        return Placement(share=None, method="unknown")
    on_device = operators.pop(provider, Counter()).total()
    return Placement(
        share=on_device / total,
        method="nodes",
        fallbacks=tuple(
            f"{name}: {_counted(taken)}" for name, taken in sorted(operators.items()) if taken
        ),
    )


def _counted(taken: Counter[str]) -> str:
    common = taken.most_common(_NAMED)
    named = ", ".join(f"{count} {operator}" for operator, count in common)
    more = ", …" if len(taken) > _NAMED else ""
    nodes = "node" if taken.total() == 1 else "nodes"
    return f"{taken.total()} {nodes} ({named}{more})"
