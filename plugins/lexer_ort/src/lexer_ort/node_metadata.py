"""How does a converted graph keep the metadata of the nodes that it was made from?

The tools that convert graphs drop it from new nodes, and it says from which module of the
user's model a node comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["metadata_by_output", "restore_metadata"]


def metadata_by_output(model: Any) -> dict[str, list[Any]]:
    """Return the metadata of each node, by the names of its outputs."""
    return {
        output: list(node.metadata_props)
        for node in model.graph.node
        if node.metadata_props
        for output in node.output
    }


def restore_metadata(path: Path, known: Mapping[str, Sequence[Any]]) -> None:
    """Give the nodes of a converted file the metadata of those that they replace.

    The last of several nodes that replace one has its output; the others get the metadata of
    the nodes that use theirs, if all of these have the same.

    Parameters
    ----------
    path
        The converted file.
    known
        The metadata of the original file, from :func:`metadata_by_output`.
    """
    if not known:
        return
    model = onnx.load(str(path), load_external_data=False)
    of_users: dict[str, list[Sequence[Any]]] = {}
    for node in reversed(model.graph.node):
        found = next((known[output] for output in node.output if output in known), None)
        if found is None:
            users = [each for output in node.output for each in of_users.get(output, ())]
            found = users[0] if users and all(each == users[0] for each in users) else ()
        if not node.metadata_props:
            node.metadata_props.extend(found)
        for name in node.input:
            of_users.setdefault(name, []).append(list(node.metadata_props))
    path.write_bytes(model.SerializeToString())
