"""Which module of the user's model does each node of an exported ``.onnx`` file come from?

PyTorch's exporter writes the modules in which an operator was called into the metadata
of its nodes. A file from elsewhere, or one that another tool has rewritten, may have none.
"""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["ScopedNode", "common_module", "read_module_scopes"]

_SCOPES = "pkg.torch.onnx.name_scopes"
_CLASSES = "pkg.torch.onnx.class_hierarchy"
_WRAPPER = ("lexer_core.model.wrapper.", ".FlatModule")
_WRAPPED = "module"
"""The attribute of the wrapper that Lexer exports (:mod:`lexer_core.model.wrapper`)."""

_REPEATED = re.compile(r"@\d+(?=\.|$)")
"""What ``torch.export`` appends to a module that is called again."""


@frozen(kw_only=True)
class ScopedNode:
    """A node of an exported graph.

    Parameters
    ----------
    name
        The node's name; may be empty, and need not be unique.
    operator
        Its operator type, such as ``"Conv"``.
    inputs, outputs
        Names of the tensors that it reads and writes. The inputs include those that its
        subgraphs read from the graph, without the empty names of inputs left out.
    module
        The path of the module that it comes from, such as ``"blocks.3.attn"``; ``""`` for
        the model's own ``forward``; ``None`` if the file does not say.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    module: str | None


def read_module_scopes(path: Path) -> tuple[ScopedNode, ...] | None:
    """Read the nodes of an ``.onnx`` file with their modules, without its weights.

    Returns
    -------
    tuple of ScopedNode or None
        The nodes of the main graph, in the file's order, which is topological. ``None``
        if the ``onnx`` package is not installed.

    Raises
    ------
    ExportError
        The file is not a valid ONNX model.
    """
    if find_spec("onnx") is None:
        return None
    import onnx  # heavy and optional

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:
        # protobuf has several decoding errors, and none of them is public.
        raise ExportError(f"{path} is not a valid ONNX model.") from error
    return tuple(
        ScopedNode(
            name=node.name,
            operator=node.op_type,
            inputs=tuple(dict.fromkeys(_read_by(node))),
            outputs=tuple(name for name in node.output if name),
            module=_module_of(node),
        )
        for node in graph.node
    )


def common_module(modules: Iterable[str]) -> str:
    """Return the innermost module that contains all of these; ``""`` is the model itself."""
    first, *others = (module.split(".") if module else [] for module in modules)
    for other in others:
        same = 0
        while same < min(len(first), len(other)) and first[same] == other[same]:
            same += 1
        first = first[:same]
    return ".".join(first)


def _read_by(node: Any) -> Iterator[str]:
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])):
            own = {value.name for value in (*graph.input, *graph.initializer)}
            own |= {name for inner in graph.node for name in inner.output}
            read = [name for inner in graph.node for name in _read_by(inner)]
            yield from (name for name in read if name not in own)
            yield from (value.name for value in graph.output if value.name not in own)


def _module_of(node: Any) -> str | None:
    metadata = {entry.key: entry.value for entry in node.metadata_props}
    scopes = _texts(metadata.get(_SCOPES, ""))
    if not scopes:
        return None
    # The last scope is the operator's own.
    module = _REPEATED.sub("", scopes[-2]) if len(scopes) > 1 else ""
    classes = _texts(metadata.get(_CLASSES, ""))
    if classes and classes[0].startswith(_WRAPPER[0]) and classes[0].endswith(_WRAPPER[1]):
        outer, _, module = module.partition(".")
        return module if outer in ("", _WRAPPED) else None
    return module


def _texts(written: str) -> list[str]:
    """Read the ``repr`` of a list of strings; empty if it is anything else."""
    try:
        value = ast.literal_eval(written)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return []
    is_list = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return value if is_list else []
