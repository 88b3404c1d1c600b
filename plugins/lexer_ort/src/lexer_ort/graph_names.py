"""How do the inputs, outputs and axes of an exported graph get the user's names?

The names of the tensors in a graph must differ, and exporters name theirs after
operators (``add``, ``mean``) and weights, regardless of the names that they are told
to give to inputs and outputs. So a model is exported under names that no exporter
uses; these are replaced in the file, and a tensor that has the user's name is renamed.
"""

from __future__ import annotations

import re
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from lexer_core.records import ModelSource

__all__ = ["ExportNames"]

_UNIQUE = re.compile(r"\blexer_(?:input|output|axis)_\d+\b")


@frozen(kw_only=True, eq=False)
class ExportNames:
    """Unique names for an export, and the user's names for them.

    Parameters
    ----------
    inputs, outputs
        Unique names of the inputs and outputs, in order.
    dynamic_axes
        By unique name of the input: dimension → unique name of the axis.
    users
        The user's name for each unique name.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic_axes: Mapping[str, Mapping[int, str]]
    users: Mapping[str, str]

    @classmethod
    def of(cls, source: ModelSource) -> ExportNames:
        """Choose unique names for a model."""
        inputs = {name: f"lexer_input_{i}" for i, name in enumerate(source.input_names)}
        outputs = {name: f"lexer_output_{i}" for i, name in enumerate(source.output_names)}
        labels = dict.fromkeys(
            label for axes in source.dynamic_axes.values() for label in axes.values()
        )
        axes = {label: f"lexer_axis_{i}" for i, label in enumerate(labels)}
        return cls(
            inputs=tuple(inputs.values()),
            outputs=tuple(outputs.values()),
            dynamic_axes={
                inputs[name]: {axis: axes[label] for axis, label in named.items()}
                for name, named in source.dynamic_axes.items()
            },
            users={
                unique: name for names in (inputs, outputs, axes) for name, unique in names.items()
            },
        )

    def in_text(self, text: str) -> str:
        """Replace the unique names in a text by the user's."""
        return _UNIQUE.sub(lambda found: self.users.get(found[0], found[0]), text)

    def restore(self, path: Path) -> None:
        """Replace the unique names in a file by the user's."""
        import onnx  # here, because options are read without it

        model = onnx.load(str(path), load_external_data=False)
        graphs = list(_graphs(model.graph))
        names = self._replacements({name for graph in graphs for name in _names(graph)})
        for graph in graphs:
            _rename(graph, names)
            for value in chain(graph.input, graph.output, graph.value_info):
                for dim in value.type.tensor_type.shape.dim:
                    if dim.HasField("dim_param"):
                        dim.dim_param = self.in_text(dim.dim_param)
        path.write_bytes(model.SerializeToString())

    def _replacements(self, existing: set[str]) -> dict[str, str]:
        """Return the new name of each tensor that is renamed."""
        replacements = {name: self.users[name] for name in (*self.inputs, *self.outputs)}
        wanted = set(replacements.values())
        taken = existing | wanted
        for name in sorted(existing & wanted):
            free = next(f"{name}_{n}" for n in count(1) if f"{name}_{n}" not in taken)
            taken.add(free)
            replacements[name] = free
        return replacements


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and those of its control flow, which share its names."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node or inner.output:
                    yield from _graphs(inner)


def _names(graph: Any) -> Iterator[str]:
    for value in chain(graph.input, graph.output, graph.initializer):
        yield value.name
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for node in graph.node:
        yield from node.output


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    tensors = (sparse.values for sparse in graph.sparse_initializer)
    for value in chain(graph.input, graph.output, graph.value_info, graph.initializer, tensors):
        value.name = names.get(value.name, value.name)
    for annotation in graph.quantization_annotation:
        annotation.tensor_name = names.get(annotation.tensor_name, annotation.tensor_name)
    for node in graph.node:
        for tensors_of_node in (node.input, node.output):
            tensors_of_node[:] = [names.get(name, name) for name in tensors_of_node]
