"""What does a graph compute, and which part of it runs on the device?

The device has a handful of operators. A few more run on the CPU; a graph with any
other operator is refused.
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
from lexer_core.records import TensorSpec

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
        """Add this operator's output to the values."""
        function = _ON_DEVICE.get(self.operator) or _ON_CPU[self.operator]
        values[self.output] = np.asarray(function(*(values[name] for name in self.inputs)))


@frozen
class Launch:
    """Consecutive operators that run in the same place."""

    on_device: bool
    nodes: tuple[Node, ...]

    def compute(self, values: Values) -> None:
        """Run the operators."""
        for node in self.nodes:
            node.compute(values)


@frozen(kw_only=True, eq=False)
class Graph:
    """A graph, divided into launches on the device and on the CPU.

    Parameters
    ----------
    inputs
        Specifications; ``"?"`` is a dimension of any size.
    outputs
        Names, in order.
    weights
        Constants in the device's memory, by name.
    launches
        The launches, in order.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[str, ...]
    weights: Values
    launches: tuple[Launch, ...]

    def count(self) -> tuple[int, Counter[str]]:
        """Return the number of operators on the device, and those on the CPU by name."""
        nodes = [node for launch in self.launches for node in launch.nodes]
        on_cpu = Counter(node.operator for node in nodes if not node.on_device)
        return len(nodes) - on_cpu.total(), on_cpu


def read_graph(path: Path) -> Graph:
    """Read an ``.onnx`` file.

    Raises
    ------
    EngineError
        It is not a valid ONNX model.
    UnsupportedError
        It has an operator, attribute or type that is not supported.
    """
    try:
        graph = onnx.load(str(path)).graph
    except Exception as error:  # protobuf's decoding errors are not public
        raise EngineError(f"{path.name} is not a valid ONNX model.") from error
    if not graph.output:
        raise EngineError(f"{path.name} is not a valid ONNX model: it has no outputs.")
    nodes = tuple(_node(each) for each in graph.node)
    weights = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    return Graph(
        inputs=tuple(_spec(each) for each in graph.input if each.name not in weights),
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
            hint=f"It computes {', '.join(sorted(_ON_DEVICE))} without attributes; "
            f"{', '.join(sorted(_ON_CPU))} run on the CPU.",
        )
    return Node(node.op_type, tuple(node.input), node.output[0])


def _spec(value: Any) -> TensorSpec:
    tensor = value.type.tensor_type
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    if dtype == np.float64:
        raise UnsupportedError(
            f"input {value.name!r} is float64, which the device does not support."
        )
    shape = tuple(d.dim_value if d.HasField("dim_value") else "?" for d in tensor.shape.dim)
    return TensorSpec(name=value.name, dtype=dtype.name, shape=shape)
