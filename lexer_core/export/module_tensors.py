"""Which tensors of an exported graph are those that the model's modules take and return?

The file names the module of each node (:mod:`lexer_core.export.module_scopes`). What its
nodes compute and others read is what the module returns, and what they read of others is
what it takes, if type and shape are the same.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from lexer_core.export.module_scopes import common_module

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.export.module_scopes import ScopedNode
    from lexer_core.model.module_calls import ModuleTensor
    from lexer_core.records import TensorSpec

__all__ = ["MatchedTensor", "Matches", "match_tensors"]


@frozen(kw_only=True)
class MatchedTensor:
    """A tensor of a module, and its name in a graph.

    Parameters
    ----------
    tensor
        Its number among the tensors of the modules.
    names
        Its name in the graph; several if these cannot be told apart.
    then
        Which matched tensors are computed from it, without another one in between: their
        positions.
    ends
        Whether outputs of the graph are computed from it, without another one in between.
    """

    tensor: int
    names: tuple[str, ...]
    then: tuple[int, ...] = ()
    ends: bool = False


@frozen(kw_only=True)
class Matches:
    """The tensors of a model's modules that are known in a graph.

    Parameters
    ----------
    tensors
        Each tensor once, in the order of the calls.
    again
        Numbers of tensors that are the same as an earlier one.
    """

    tensors: tuple[MatchedTensor, ...]
    again: frozenset[int] = frozenset()


@frozen(kw_only=True, eq=False)
class _Graph:
    """A graph, prepared for questions about its tensors."""

    nodes: Sequence[ScopedNode]
    specs: Mapping[str, TensorSpec]
    outputs: frozenset[str]
    producer: Mapping[str, int]
    readers: Mapping[str, Sequence[int]]
    computed: frozenset[str] = field(factory=frozenset)
    """The tensors that depend on the inputs of the graph, and these themselves."""


def match_tensors(
    tensors: Sequence[ModuleTensor],
    nodes: Sequence[ScopedNode],
    specs: Mapping[str, TensorSpec],
    *,
    inputs: Iterable[str],
    outputs: Iterable[str],
) -> Matches:
    """Find the tensors of modules in a graph.

    Parameters
    ----------
    tensors
        What the modules take and return.
    nodes
        The nodes of the graph, in topological order.
    specs
        Element types and shapes of the graph's tensors, as far as they are known.
    inputs, outputs
        Names of the graph's inputs and outputs.
    """
    given = frozenset(inputs)
    graph = _prepared(nodes, specs, given, frozenset(outputs))
    calls: dict[tuple[str, int, bool], list[int]] = {}
    counts: dict[str, int] = {}
    for number, tensor in enumerate(tensors):
        calls.setdefault((tensor.module, tensor.call, tensor.is_input), []).append(number)
        counts[tensor.module] = max(counts.get(tensor.module, 0), tensor.call)
    nodes_of = {module: _nodes_by_call(graph, module, count) for module, count in counts.items()}
    # What a module returns that has no nodes, as it was fused with the next one, is not there.
    absent = {
        tensors[number].same_as
        for (module, _, is_input), numbers in calls.items()
        if nodes_of[module] == [] and not is_input
        for number in numbers
    }
    found: dict[int, tuple[str, ...]] = {}
    for (module, call, is_input), numbers in calls.items():
        own = nodes_of[module]
        there = [number for number in numbers if tensors[number].same_as not in absent]
        if own and there:
            candidates = _candidates(graph, own[call - 1], taken=is_input)
            found |= _matched(there, tensors, candidates, graph.specs)
    names_of: dict[int, tuple[str, ...]] = {}
    for number in sorted(found):
        names_of.setdefault(tensors[number].same_as, found[number])
    first: dict[tuple[str, ...], int] = {}
    for number in sorted(names_of):
        # The inputs are the same on both sides.
        if given.isdisjoint(names_of[number]):
            first.setdefault(names_of[number], number)
    matched = tuple(
        MatchedTensor(tensor=number, names=names)
        for names, number in sorted(first.items(), key=lambda item: item[1])
    )
    known = {number for number, each in enumerate(tensors) if each.same_as in names_of}
    return Matches(
        tensors=_with_successors(matched, graph), again=frozenset(known - set(first.values()))
    )


def _prepared(
    nodes: Sequence[ScopedNode],
    specs: Mapping[str, TensorSpec],
    inputs: frozenset[str],
    outputs: frozenset[str],
) -> _Graph:
    producer = {name: at for at, node in enumerate(nodes) for name in node.outputs}
    readers: dict[str, list[int]] = {}
    computed = set(inputs)
    for at, node in enumerate(nodes):
        for name in node.inputs:
            readers.setdefault(name, []).append(at)
        if not computed.isdisjoint(node.inputs):
            computed.update(node.outputs)
    placed = list(nodes)
    for at in reversed(range(len(nodes))):
        if placed[at].module is None:
            # A tool that adds nodes says nothing about their modules.
            around = [
                module
                for name in placed[at].outputs
                for reader in readers.get(name, ())
                if (module := placed[reader].module) is not None
            ]
            if around:
                placed[at] = evolve(placed[at], module=common_module(iter(around)))
    return _Graph(
        nodes=placed,
        specs=specs,
        outputs=outputs,
        producer=producer,
        readers=readers,
        computed=frozenset(computed),
    )


def _nodes_by_call(graph: _Graph, module: str, count: int) -> list[frozenset[int]] | None:
    """Return the nodes of each call of a module; ``None`` if they cannot be told apart.

    Nothing if it has no nodes.
    """
    own = [
        at
        for at, node in enumerate(graph.nodes)
        if node.module is not None
        and (node.module == module or node.module.startswith(f"{module}."))
        and not graph.computed.isdisjoint(node.outputs)
    ]
    if not own:
        return []
    if count == 1:
        return [frozenset(own)]
    runs = [[own[0]]]
    for before, at in itertools.pairwise(own):
        between = graph.nodes[before + 1 : at]
        if all(graph.computed.isdisjoint(node.outputs) for node in between):
            runs[-1].append(at)
        else:
            runs.append([at])
    if len(runs) == count:
        return list(map(frozenset, runs))
    # Calls one directly after the other: the same nodes again and again.
    size, rest = divmod(len(own), count)
    parts = [own[start : start + size] for start in range(0, len(own), size or 1)]
    kinds = {tuple(graph.nodes[at].operator for at in part) for part in parts}
    if rest or len(kinds) != 1:
        return None
    return list(map(frozenset, parts))


def _candidates(graph: _Graph, own: frozenset[int], *, taken: bool) -> list[str]:
    """Return what some nodes take from others, or others from them, in the order of the nodes."""
    if taken:
        names = [name for at in sorted(own) for name in graph.nodes[at].inputs]
        return [
            name
            for name in dict.fromkeys(names)
            if name in graph.computed and graph.producer.get(name) not in own
        ]
    return [
        name
        for at in sorted(own)
        for name in graph.nodes[at].outputs
        if name in graph.outputs or any(each not in own for each in graph.readers.get(name, ()))
    ]


def _matched(
    numbers: Sequence[int],
    tensors: Sequence[ModuleTensor],
    candidates: Sequence[str],
    specs: Mapping[str, TensorSpec],
) -> dict[int, tuple[str, ...]]:
    """Match tensors and names of the same type and shape, if there are as many of both."""
    alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for number in numbers:
        alike.setdefault((_kind(tensors[number].dtype), tensors[number].shape), []).append(number)
    found: dict[int, tuple[str, ...]] = {}
    for (kind, shape), group in alike.items():
        names = [name for name in candidates if _fits(specs.get(name), kind, shape)]
        if len(names) == len(group):
            found |= dict.fromkeys(group, tuple(names))
    return found


def _fits(spec: TensorSpec | None, kind: str, shape: tuple[int, ...]) -> bool:
    if spec is None or _kind(spec.dtype) != kind or len(spec.shape) != len(shape):
        return False
    # A dynamic axis has a name.
    return all(
        isinstance(have, str) or have == want for have, want in zip(spec.shape, shape, strict=True)
    )


def _kind(dtype: str) -> str:
    """Return the kind of number of an element type: a conversion changes its size only."""
    return "float" if "float" in dtype else "int" if "int" in dtype else dtype


def _with_successors(
    matched: tuple[MatchedTensor, ...], graph: _Graph
) -> tuple[MatchedTensor, ...]:
    positions: dict[str, list[int]] = {}
    for position, each in enumerate(matched):
        for name in each.names:
            positions.setdefault(name, []).append(position)
    then: list[set[int]] = [set() for _ in matched]
    # The matched tensors from which a tensor is computed, or which it is.
    sources: dict[str, frozenset[int]] = {
        name: frozenset(found) for name, found in positions.items()
    }
    nothing: frozenset[int] = frozenset()
    for node in graph.nodes:
        before = nothing.union(*(sources.get(name, nothing) for name in node.inputs))
        for name in node.outputs:
            sources.setdefault(name, before)
            for source in before:
                then[source].update(positions.get(name, ()))
    ends = nothing.union(*(sources.get(name, nothing) for name in graph.outputs))
    return tuple(
        evolve(each, then=tuple(sorted(then[position] - {position})), ends=position in ends)
        for position, each in enumerate(matched)
    )
