"""What does a graph compute, and which part of it does the device do?

The device has a handful of operators. A few more run on the CPU; a graph with
any other is refused.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from attrs import frozen
from onnx import numpy_helper

from lexer_core.errors import EngineError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy.typing as npt

__all__ = ["Graph", "Launch", "Node", "read_graph"]

Values = dict[str, "npt.NDArray[Any]"]

_ON_DEVICE: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Identity": lambda x: x,
    "MatMul": np.matmul,
    "Mul": np.multiply,
    "Relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "Sub": np.subtract,
}

_ON_CPU: Mapping[str, Callable[..., Any]] = {
    "And": np.logical_and,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Tanh": np.tanh,
}


@frozen
class Node:
    """One operator."""

    operator: str
    inputs: tuple[str, ...]
    output: str

    @property
    def on_device(self) -> bool:
        """Whether the device has this operator."""
        return self.operator in _ON_DEVICE

    def compute(self, values: Values) -> None:
        """Add this operator's output to the values so far."""
        function = _ON_DEVICE.get(self.operator) or _ON_CPU[self.operator]
        values[self.output] = np.asarray(function(*(values[name] for name in self.inputs)))


@frozen
class Launch:
    """Consecutive operators in one place."""

    on_device: bool
    nodes: tuple[Node, ...]

    def compute(self, values: Values) -> None:
        """Carry them out."""
        for node in self.nodes:
            node.compute(values)


@frozen(kw_only=True, eq=False)
class Graph:
    """A graph, cut where its operators change places.

    Parameters
    ----------
    inputs
        Element type and shape by name; ``None`` where a dimension is open.
    outputs
        Names, in order.
    weights
        What is in the device's memory from the beginning.
    launches
        What is done, in order.
    """

    inputs: Mapping[str, tuple[np.dtype[Any], tuple[int | None, ...]]]
    outputs: tuple[str, ...]
    weights: Values
    launches: tuple[Launch, ...]

    def count(self) -> tuple[int, Counter[str]]:
        """Count the operators on the device, and those on the CPU by their names."""
        nodes = [node for launch in self.launches for node in launch.nodes]
        on_cpu = Counter(node.operator for node in nodes if not node.on_device)
        return len(nodes) - on_cpu.total(), on_cpu


def read_graph(path: Path) -> Graph:
    """Read an ``.onnx`` file.

    Raises
    ------
    EngineError
        It is none.
    UnsupportedError
        It has an operator, an attribute or a type that nobody here computes.
    """
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's decoding errors are not public
        raise EngineError(f"{path.name} is not an ONNX model.") from error
    if not graph.output:
        raise EngineError(f"{path.name} is not an ONNX model: it has no outputs.")
    nodes = tuple(_node(each) for each in graph.node)
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    return Graph(
        inputs={each.name: _type(each) for each in graph.input if each.name not in weights},
        outputs=tuple(each.name for each in graph.output),
        weights=weights,
        launches=tuple(
            Launch(on_device, tuple(group))
            for on_device, group in groupby(nodes, key=lambda node: node.on_device)
        ),
    )


def _node(node: Any) -> Node:
    known = node.op_type in _ON_DEVICE or node.op_type in _ON_CPU
    if not known or node.attribute or node.domain:
        raise UnsupportedError(
            f"the simulated device does not compute {node.op_type}.",
            hint=f"It computes {', '.join(sorted(_ON_DEVICE))}, without attributes; "
            f"the CPU takes over {', '.join(sorted(_ON_CPU))}.",
        )
    return Node(node.op_type, tuple(node.input), node.output[0])


def _type(value: Any) -> tuple[np.dtype[Any], tuple[int | None, ...]]:
    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if dtype == np.float64:
        raise UnsupportedError(f"input {value.name!r} is float64, which the device has not.")
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim)
    return dtype, shape
