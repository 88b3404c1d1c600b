"""Which tensors of a graph are those of modules, and where do they first differ?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from lexer_core.benchmark.first_difference import find_first_difference
from lexer_core.benchmark.module_trace import ModuleTrace
from lexer_core.export.module_scopes import ScopedNode
from lexer_core.export.module_tensors import Matches, match_tensors
from lexer_core.model.module_calls import ModuleTensor
from lexer_core.records import TensorSpec
from lexer_core.validation import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.results import FirstDifference, Parity

SHAPE = (2, 3)


def node(module: str | None, reads: str, writes: str, operator: str = "Gemm") -> ScopedNode:
    return ScopedNode(
        name="",
        operator=operator,
        inputs=tuple(reads.split()),
        outputs=tuple(writes.split()),
        module=module,
    )


def tensors(*described: str) -> list[ModuleTensor]:
    """Return tensors: ``"> a"`` is taken by module a, ``"a >"`` returned, ``"a 2 >"`` of a call.

    What a module takes is what the one before it returned.
    """
    made: list[ModuleTensor] = []
    for number, text in enumerate(described):
        is_input = text.startswith(">")
        module, _, call = text.strip("> ").partition(" ")
        made.append(
            ModuleTensor(
                module=module,
                kind="Linear",
                caller=module.rpartition(".")[0],
                call=int(call or 1),
                is_input=is_input,
                dtype="float32",
                shape=SHAPE,
                index=0,
                same_as=made[-1].same_as if is_input and made else number,
            )
        )
    return made


def match(made: Sequence[ModuleTensor], nodes: Sequence[ScopedNode], **specs: Any) -> Matches:
    """Match tensors in a graph from ``x`` to the last tensor; all have the same type and shape."""
    names = {"x", *(name for each in nodes for name in each.outputs)}
    known = {name: TensorSpec(name=name, dtype="float32", shape=SHAPE) for name in names}
    return match_tensors(made, nodes, known | specs, inputs=["x"], outputs=nodes[-1].outputs)


def names_by_module(made: Sequence[ModuleTensor], matches: Matches) -> dict[str, str]:
    return {
        f"{made[each.tensor].module} {made[each.tensor].call}": " ".join(each.names)
        for each in matches.tensors
        if not made[each.tensor].is_input
    }


def test_the_result_of_a_module_is_what_others_read_of_its_nodes() -> None:
    made = tensors("> a", "a >", "> b", "b >")
    graph = [node("a", "x", "u", "MatMul"), node("a", "u", "v", "Add"), node("b", "v", "y")]

    assert names_by_module(made, match(made, graph)) == {"a 1": "v", "b 1": "y"}


def test_calls_in_a_row_are_told_apart_by_their_equal_nodes() -> None:
    made = tensors("> a", "a 1 >", "> a 2", "a 2 >")
    graph = [
        *(node("a", "x", "u", "MatMul"), node("a", "u", "v", "Add")),
        *(node("a", "v", "w", "MatMul"), node("a", "w", "y", "Add")),
    ]

    assert names_by_module(made, match(made, graph)) == {"a 1": "v", "a 2": "y"}


def test_calls_that_left_other_nodes_each_are_not_matched() -> None:
    made = tensors("> a", "a 1 >", "> a 2", "a 2 >")
    graph = [node("a", "x", "v", "Relu"), node("a", "v", "w", "Relu"), node("a", "w", "y", "Abs")]

    assert names_by_module(made, match(made, graph)) == {}


def test_what_is_fused_with_the_next_module_is_not_in_the_graph() -> None:
    made = tensors("> a", "a >", "> conv", "conv >", "> norm", "norm >")
    graph = [node("a", "x", "u"), node("norm", "u", "y", "Conv")]

    matches = match(made, graph)

    assert names_by_module(made, matches) == {"a 1": "u", "norm 1": "y"}
    assert 3 not in matches.again


def test_a_tensor_of_another_shape_is_not_matched() -> None:
    made = tensors("> a", "a >", "> b", "b >")
    graph = [node("a", "x", "v"), node("b", "v", "y")]
    other = TensorSpec(name="v", dtype="float32", shape=(3, 2))

    assert names_by_module(made, match(made, graph, v=other)) == {"b 1": "y"}


def test_a_node_without_a_module_belongs_to_the_one_that_reads_it() -> None:
    made = tensors("> a", "a >", "> b", "b >")
    graph = [node("a", "x", "v"), node(None, "v", "w", "Identity"), node("b", "w", "y")]

    assert names_by_module(made, match(made, graph)) == {"a 1": "v", "b 1": "y"}


def test_a_graph_of_other_floating_point_numbers_has_the_same_tensors() -> None:
    made = tensors("> a", "a >")
    half = TensorSpec(name="y", dtype="float16", shape=("batch", 3))

    assert names_by_module(made, match(made, [node("a", "x", "y")], y=half)) == {"a 1": "y"}


class Sides:
    """A model whose tensors are all 1, and an engine some of whose tensors are wrong."""

    def __init__(self, errors: Mapping[str, float], *, right_if_kept: bool = False) -> None:
        self.errors = errors
        self.right_if_kept = right_if_kept
        self.runs: list[list[str]] = []

    def run(self, specs: Sequence[TensorSpec]) -> dict[str, np.ndarray[Any, Any]]:
        self.runs.append([spec.name for spec in specs])
        return {
            spec.name: np.full(SHAPE, 1 + self.errors.get(spec.name, 0.0), np.float32)
            for spec in specs
        }

    def agree(self, outputs: Mapping[str, Any]) -> bool:
        del outputs
        return self.right_if_kept

    def values(self, numbers: Sequence[int], *, wide: bool) -> dict[str, np.ndarray[Any, Any]]:
        return {str(each): np.ones(SHAPE, np.float64 if wide else np.float32) for each in numbers}

    def judge_tensor(self, output: Any, reference: Any, float64: Callable[[], Any]) -> Parity:
        return judge(output, reference, reference_name="the model", float64=float64)


CHAIN = tensors("> a", "a >", "> b", "b >", "> c", "c >")
GRAPH = [node("a", "x", "u"), node("b", "u", "v"), node("c", "v", "y")]


def find(
    sides: Sides,
    made: Sequence[ModuleTensor] = CHAIN,
    nodes: Sequence[ScopedNode] = GRAPH,
    *,
    most_bytes: int = 10**6,
    seconds: float = 1.0,
) -> FirstDifference:
    matches = match(made, nodes)
    trace = ModuleTrace(
        tensors=tuple(made),
        matched=matches.tensors,
        again=tuple(matches.again),
        specs=tuple(TensorSpec(name=name, dtype="float32", shape=SHAPE) for name in "xuvy"),
    )
    return find_first_difference(
        trace, sides, most_bytes=most_bytes, out_of_time=lambda: seconds <= 0
    )


def test_the_first_module_that_differs_is_found() -> None:
    found = find(Sides({"v": 0.1, "y": 0.2}))

    assert (found.module, found.compared, found.skipped) == ("b", 3, 0)
    assert found.max_abs_error is not None
    assert abs(found.max_abs_error - 0.1) < 1e-6


def test_a_difference_that_later_modules_absorb_is_not_the_one() -> None:
    assert find(Sides({"u": 0.1, "y": 0.2})).module == "c"


def test_tensors_are_compared_in_parts_of_limited_size() -> None:
    sides = Sides({"v": 0.1, "y": 0.2})

    assert find(sides, most_bytes=2 * 24).module == "b"
    assert sides.runs == [["u", "v"], ["y"]]


def test_no_part_is_compared_after_the_time() -> None:
    found = find(Sides({"y": 0.2}), most_bytes=2 * 24, seconds=0)

    assert found.module is None
    assert found.compared == 2
    assert "time" in found.reason


def test_a_difference_that_disappears_is_reported() -> None:
    found = find(Sides({}, right_if_kept=True))

    assert found.module is None
    assert "disappears when intermediate results are kept" in found.reason


def test_the_caller_is_named_as_well_if_what_a_module_takes_is_unknown() -> None:
    made = tensors("> a", "a >", "> block.b", "block.b >")
    made[2] = evolve(made[2], same_as=2)  # computed by the block
    # Either of u and v may be what b takes.
    nodes = [node("a", "x", "u"), node("block", "u", "v"), node("block.b", "u v", "y")]

    found = find(Sides({"y": 0.1}), made, nodes)

    assert found.place == "'block.b', or in 'block'"


def test_if_all_modules_agree_the_model_itself_is_wrong() -> None:
    found = find(Sides({}))

    assert found.place == "the model itself, outside its submodules"
