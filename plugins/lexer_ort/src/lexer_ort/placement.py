"""On which execution providers do a session's nodes run?

ONNXRuntime records which provider got which node, if requested before the session
is created (``session.record_ep_graph_assignment_info``). Unlike profiling, this
does not slow down the measured calls.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from lexer_core.engine_helpers import count_placement
from lexer_core.records import Placement
from lexer_ort.devices import CPU_PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lexer_ort.session import OrtSession

__all__ = ["count_nodes", "describe_placement"]


def describe_placement(session: OrtSession) -> Placement | None:
    """Return which share of the nodes the session's provider got.

    A session on the CPU has no other provider. ``None`` if this version of
    ONNXRuntime does not record the assignment.
    """
    if session.provider == CPU_PROVIDER:
        return Placement(share=1.0, method="nodes")
    assignments = session.assignments()
    return count_nodes(assignments, session.provider) if assignments else None


def count_nodes(assignments: Iterable[Any], provider: str) -> Placement | None:
    """Count the nodes of a provider, and list those of other providers.

    Parameters
    ----------
    assignments
        What ``InferenceSession.get_provider_graph_assignment_info`` returns:
        subgraphs with ``ep_name`` and ``get_nodes()``.
    provider
        The requested execution provider.

    Returns
    -------
    Placement or None
        ``fallbacks`` has one line per other provider, such as
        ``"CPUExecutionProvider: 3 nodes (2 Shape, 1 Gather)"``.
    """
    operators: dict[str, Counter[str]] = {}
    for subgraph in assignments:
        kinds = operators.setdefault(subgraph.ep_name, Counter())
        kinds.update(node.op_type for node in subgraph.get_nodes())
    on_device = operators.pop(provider, Counter()).total()
    return count_placement(on_device, operators)
