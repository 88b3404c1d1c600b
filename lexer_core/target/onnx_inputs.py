"""Which of the user's inputs is which of an ``.onnx`` graph's?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lexer_core.errors import InputError
from lexer_core.records import CallInputs, CallStructure, TensorRef, TensorSpec

__all__ = ["inputs_for_graph"]


def inputs_for_graph(specs: Sequence[TensorSpec], given: object) -> CallInputs:
    """Name example inputs after the graph's.

    Parameters
    ----------
    specs
        What the graph takes.
    given
        A tensor or array, a sequence of them in the graph's order, or a mapping
        by the graph's names.

    Raises
    ------
    InputError
        They do not fit the graph.
    """
    names = [spec.name for spec in specs]
    wanted = ", ".join(map(str, specs))
    if isinstance(given, Mapping):
        named = dict(given)
    else:
        values = list(given) if isinstance(given, (tuple, list)) else [given]
        if len(values) != len(names):
            raise InputError(
                f"the graph takes {len(names)} inputs, and {len(values)} were given.",
                hint=f"It takes {wanted}.",
            )
        named = dict(zip(names, values, strict=True))
    if set(named) != set(names):
        raise InputError(
            f"inputs named {', '.join(map(repr, named))} do not fit the graph.",
            hint=f"It takes {wanted}.",
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
        from lexer_core.model.tensors import to_numpy  # a tensor: torch is there

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
