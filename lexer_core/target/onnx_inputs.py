"""Which example input belongs to which input of an ``.onnx`` graph?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lexer_core.errors import InputError
from lexer_core.model.tensors import to_numpy
from lexer_core.records import CallInputs, CallStructure, TensorRef, TensorSpec

__all__ = ["inputs_for_graph"]


def inputs_for_graph(specs: Sequence[TensorSpec], inputs: object) -> CallInputs:
    """Match example inputs with the inputs of the graph.

    Parameters
    ----------
    specs
        The inputs that the graph declares.
    inputs
        A tensor or array, a sequence of them in the graph's order, or a mapping
        by the graph's names.

    Raises
    ------
    InputError
        The inputs do not fit the graph.
    """
    names = [spec.name for spec in specs]
    expected = ", ".join(map(str, specs))
    if isinstance(inputs, Mapping):
        named = dict(inputs)
    else:
        values = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
        if len(values) != len(names):
            raise InputError(
                f"the graph takes {len(names)} inputs, not {len(values)}.",
                hint=f"It takes {expected}.",
            )
        named = dict(zip(names, values, strict=True))
    if set(named) != set(names):
        raise InputError(
            f"inputs named {', '.join(map(repr, named))} do not fit the graph.",
            hint=f"It takes {expected}.",
        )
    arrays = {spec.name: _array(spec, named[spec.name]) for spec in specs}
    return CallInputs(
        arrays=arrays,
        structure=CallStructure(kwargs={name: TensorRef(name) for name in names}),
    )


def _array(spec: TensorSpec, value: object) -> np.ndarray[Any, Any]:
    if isinstance(value, (np.ndarray, np.generic, int, float, bool, list)):
        array = np.array(value)
    else:
        array = to_numpy(value)
    fits = array.dtype.name == spec.dtype and len(array.shape) == len(spec.shape)
    fits = fits and all(
        isinstance(size, str) or size == actual
        for size, actual in zip(spec.shape, array.shape, strict=False)
    )
    if not fits:
        raise InputError(
            f"input {spec.name!r} is {array.dtype.name}{list(array.shape)}.",
            hint=f"The graph takes {spec}.",
        )
    array.flags.writeable = False
    return array
