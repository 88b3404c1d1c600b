"""To which module does the time of each operation belong?

An engine says which nodes of the exported graph an operation computes, and the export
says from which module each node comes. A kernel that computes nodes of several modules
belongs to the innermost module that contains them all.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from lexer_core.export.module_scopes import common_module
from lexer_core.results.profile import Profile, ProfilePart

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.export.module_scopes import ScopedNode
    from lexer_core.records import ProfiledOperation

__all__ = ["attribute", "unknown_nodes"]

_NO_MODULES = (
    "the exported graph does not say from which modules its nodes come, so that only "
    "operator types are known"
)
_NO_ONNX = "the onnx package, which reads the modules of the exported graph, is not installed"
_NO_NODES = "the engine does not say to which modules its operations belong"
_NO_TIME = "the profiled calls were too short for the engine's clock"


def attribute(
    operations: Sequence[ProfiledOperation],
    nodes: Sequence[ScopedNode] | None,
    *,
    calls: int,
    median_ms: float | None = None,
) -> Profile:
    """Return the time of operations by module and operator type.

    Parameters
    ----------
    operations
        The operations of profiled calls.
    nodes
        The nodes of the exported graph, which the operations refer to; ``None`` if they
        cannot be read.
    calls
        Number of profiled calls.
    median_ms
        The median of calls that were not profiled, to which times are scaled.

    Returns
    -------
    Profile
        Its shares add up to 1, unless the operations took no time at all.
    """
    total = math.fsum(operation.seconds for operation in operations)
    if total <= 0:
        return Profile(status="not_available", reason=_NO_TIME, calls=calls)
    modules = _modules_by_name(nodes or ())
    times: dict[tuple[str | None, str, str], float] = {}
    for operation in operations:
        key = (_module_of(operation, modules), operation.operator, operation.device)
        times[key] = times.get(key, 0.0) + operation.seconds
    known = {module for module, _, _ in times} - {None}
    order = _order(nodes or (), operations)
    parts = [
        ProfilePart(
            module=module,
            operator=operator,
            device=device,
            share=seconds / total,
            ms=None if median_ms is None else seconds / total * median_ms,
        )
        for (module, operator, device), seconds in times.items()
    ]
    parts.sort(key=lambda part: (order[part.module], -part.share))
    return Profile(
        status="modules" if known else "operators",
        reason="" if known else _reason(operations, nodes),
        calls=calls,
        profiled_ms=total / calls * 1e3,
        parts=parts,
    )


def _reason(operations: Sequence[ProfiledOperation], nodes: Sequence[ScopedNode] | None) -> str:
    """Say why no operation has a module."""
    if not any(operation.nodes for operation in operations):
        return _NO_NODES
    return _NO_ONNX if nodes is None else _NO_MODULES


def unknown_nodes(
    operations: Sequence[ProfiledOperation], nodes: Sequence[ScopedNode]
) -> tuple[str, ...]:
    """Return what operations refer to and the exported graph does not have."""
    names = {name for node in nodes for name in (node.name, *node.outputs)}
    named = dict.fromkeys(name for operation in operations for name in operation.nodes)
    return tuple(name for name in named if name not in names)


def _modules_by_name(nodes: Sequence[ScopedNode]) -> dict[str, str]:
    """Return the module of each node by its name, if that is unique, and by its outputs."""
    uses = Counter(node.name for node in nodes)
    modules = {
        node.name: node.module for node in nodes if node.module is not None and uses[node.name] == 1
    }
    return modules | {
        output: node.module for node in nodes if node.module is not None for output in node.outputs
    }


def _module_of(operation: ProfiledOperation, modules: Mapping[str, str]) -> str | None:
    found = list(operation.modules) or [
        modules[name] for name in operation.nodes if name in modules
    ]
    return common_module(found) if found else None


def _order(
    nodes: Sequence[ScopedNode], operations: Sequence[ProfiledOperation]
) -> dict[str | None, int]:
    """Return at which position each module, and each that contains it, is first executed."""
    named = [node.module for node in nodes if node.module is not None]
    named += [module for operation in operations for module in operation.modules]
    order: dict[str | None, int] = {}
    for module in named:
        path = module
        while path:
            order.setdefault(path, len(order))
            path = path.rpartition(".")[0]
    return {**order, "": len(order), None: len(order) + 1}
