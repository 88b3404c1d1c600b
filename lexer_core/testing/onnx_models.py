"""How are the kit's models written as ONNX files?

They are built from nodes instead of exported, so that neither torch nor an exporter
is needed, and a wrong export cannot make a correct engine fail.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.export.formats import ONNX
from lexer_core.records import ExportedModel
from lexer_core.testing.model_zoo import SLOW_PRODUCTS, ModelCase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from lexer_core.records import TensorSpec

__all__ = ["build_onnx", "write_onnx"]

_OPSET = 18
_IR_VERSION = 9
_ONNX_NAMES = {"float32": "FLOAT", "float64": "DOUBLE"}


def build_onnx(case: ModelCase, folder: Path) -> ExportedModel:
    """Write a model of the kit as an ``.onnx`` file.

    The order of inputs in the file differs from ``forward``, to detect engines that
    pass them by position instead of by name.

    Parameters
    ----------
    case
        The model.
    folder
        The folder to write to.

    Raises
    ------
    ImportError
        The ``onnx`` package is not installed.
    """
    import onnx  # not needed for other formats

    nodes, constants = _GRAPHS[case.name](case)
    inputs = [spec for spec in reversed(case.inputs) if spec.name not in case.unused]
    path = folder / f"{case.name}.onnx"
    exported = write_onnx(path, nodes, inputs, case.outputs, weights=constants)
    onnx.checker.check_model(str(path), full_check=True)
    return exported


def write_onnx(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    *,
    weights: Mapping[str, npt.NDArray[Any]] | None = None,
    opset: int = _OPSET,
    domains: Sequence[str] = (),
) -> ExportedModel:
    """Write a graph as an ``.onnx`` file, without checking it.

    Parameters
    ----------
    path
        The file.
    nodes
        The nodes, from ``onnx.helper.make_node``.
    inputs, outputs
        Specifications. The element type may also be ``"string"``.
    weights
        Constants by name.
    opset
        Version of the standard operators.
    domains
        Domains of custom operators.

    Raises
    ------
    ImportError
        The ``onnx`` package is not installed.
    """
    import onnx  # see build_onnx
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        list(nodes),
        path.stem,
        [_value(spec) for spec in inputs],
        [_value(spec) for spec in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(name, 1) for name in domains)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION), str(path))
    return ExportedModel(
        format=ONNX.name,
        path=path,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        size_bytes=path.stat().st_size,
        exporter=f"lexer_core.testing (onnx {onnx.__version__})",
    )


def _value(spec: TensorSpec) -> Any:
    from onnx import TensorProto, helper  # see build_onnx

    onnx_name = _ONNX_NAMES.get(spec.dtype, spec.dtype.replace("_", "").upper())
    kind = TensorProto.DataType.Value(onnx_name)
    return helper.make_tensor_value_info(spec.name, kind, list(spec.shape))


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> Any:
    from onnx import helper  # see build_onnx

    return helper.make_node(operator, list(inputs), [output], **attributes)


_Graph = tuple[list[Any], "Mapping[str, Any]"]
_NOTHING: Mapping[str, Any] = {}


def _number(value: float) -> Any:
    return np.array(value, dtype=np.float32)


def _layer(case: ModelCase) -> _Graph:
    return [
        _node("MatMul", ["x", "weight"], "product"),
        _node("Add", ["product", "bias"], "sum"),
        _node("Relu", ["sum"], "y"),
    ], case.weights


def _several_inputs(case: ModelCase) -> _Graph:
    del case
    return [
        _node("Mul", ["right", "two"], "twice"),
        _node("Sub", ["left", "twice"], "y"),
    ], {"two": _number(2)}


def _several_outputs(case: ModelCase) -> _Graph:
    del case
    return [
        _node("Add", ["x", "one"], "second"),
        _node("Mul", ["x", "two"], "third"),
        _node("Sub", ["x", "three"], "first"),
    ], {"one": _number(1), "two": _number(2), "three": _number(3)}


def _keyword_inputs(case: ModelCase) -> _Graph:
    del case
    nodes = [_node("Mul", ["x", "scale"], "scaled"), _node("Add", ["scaled", "shift"], "y")]
    return nodes, _NOTHING


def _times(factor: float) -> Callable[[ModelCase], _Graph]:
    return lambda _: ([_node("Mul", ["x", "factor"], "y")], {"factor": _number(factor)})


def _identity(case: ModelCase) -> _Graph:
    del case
    return [_node("Identity", ["x"], "y")], _NOTHING


def _float16(case: ModelCase) -> _Graph:
    return [
        _node("Mul", ["x", "scale"], "scaled"),
        _node("Add", ["scaled", "shift"], "y"),
    ], case.weights


def _int64(case: ModelCase) -> _Graph:
    nodes = [_node("Add", ["x", "x"], "twice"), _node("Add", ["twice", "shift"], "y")]
    return nodes, case.weights


def _small_int64(case: ModelCase) -> _Graph:
    del case
    return [_node("Add", ["x", "x"], "y")], _NOTHING


def _transposed(case: ModelCase) -> _Graph:
    del case
    return [_node("Transpose", ["x"], "y", perm=[1, 0])], _NOTHING


def _argmax(case: ModelCase) -> _Graph:
    del case
    return [_node("ArgMax", ["x"], "y", axis=1, keepdims=0)], _NOTHING


def _bool(case: ModelCase) -> _Graph:
    del case
    return [_node("Not", ["drop"], "kept"), _node("And", ["keep", "kept"], "y")], _NOTHING


def _scalar(case: ModelCase) -> _Graph:
    del case
    return [
        _node("Mul", ["x", "three"], "thrice"),
        _node("Add", ["thrice", "one"], "y"),
    ], {"three": _number(3), "one": _number(1)}


def _control_flow(case: ModelCase) -> _Graph:
    from onnx import TensorProto, helper  # see build_onnx

    def branch(name: str, operator: str, constant: str) -> Any:
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, [3])
        return helper.make_graph([_node(operator, ["x", constant], name)], name, [], [result])

    del case
    return [
        _node("ReduceSum", ["x"], "total", keepdims=0),
        _node("Greater", ["total", "zero"], "is_positive"),
        _node(
            "If",
            ["is_positive"],
            "y",
            then_branch=branch("doubled", "Mul", "two"),
            else_branch=branch("lessened", "Sub", "one"),
        ),
    ], {"zero": _number(0), "one": _number(1), "two": _number(2)}


def _slow(case: ModelCase) -> _Graph:
    return _products("x", "y"), case.weights


def _slow_pair(case: ModelCase) -> _Graph:
    return [*_products("right", "first"), *_products("left", "second")], case.weights


def _products(first: str, last: str) -> list[Any]:
    steps = [first, *(f"{first}_{number}" for number in range(1, SLOW_PRODUCTS)), last]
    return [_node("MatMul", [before, "matrix"], after) for before, after in pairwise(steps)]


_GRAPHS: Mapping[str, Callable[[ModelCase], _Graph]] = {
    "one_input": _layer,
    "several_inputs": _several_inputs,
    "several_outputs": _several_outputs,
    "keyword_inputs": _keyword_inputs,
    "unused_input": _times(3),
    "identity": _identity,
    "float16": _float16,
    "int64": _int64,
    "small_int64": _small_int64,
    "int32": _int64,
    "uint8": _transposed,
    "float64": _float16,
    "indices": _argmax,
    "full_range": _times(2),
    "large_values": _layer,
    "many_rows": _layer,
    "twin_a": _times(2),
    "twin_b": _times(4),
    "bool": _bool,
    "scalar": _scalar,
    "zero_size": _times(2),
    "dynamic_batch": _layer,
    "control_flow": _control_flow,
    "wide": _times(2),
    "slow": _slow,
    "slow_pair": _slow_pair,
}
