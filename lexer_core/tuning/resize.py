"""How do a model's inputs get another batch size or sequence length?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from lexer_core.errors import InputError
from lexer_core.machine.memory import available_memory_bytes
from lexer_core.model.batch_size import BatchSize
from lexer_core.reporting.numbers import bytes_text
from lexer_core.tuning.space import BATCH

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from lexer_core.model.adapt import AdaptedModel

    Axes = Mapping[str, Mapping[int, str]]

__all__ = ["resized_model", "resized_onnx_inputs"]


def resized_model(
    adapted: AdaptedModel, sizes: Sequence[tuple[str, int]], axes: Axes
) -> AdaptedModel:
    """Return a model with inputs of other sizes: cut, or repeated as often as needed.

    Parameters
    ----------
    adapted
        The model with its example inputs.
    sizes
        The new size of each axis by name.
    axes
        The names of the inputs' dynamic axes: dimension → name, by input. Without a name
        ``batch`` among them, it is dimension 0 of the inputs that share it.

    Raises
    ------
    InputError
        It is unknown which dimension is the batch, or an axis is empty.
    """
    if not sizes:
        return adapted
    arrays = dict(adapted.inputs.arrays)
    for axis, size in sizes:
        dimensions = _dimensions(axis, axes)
        if not dimensions and axis == BATCH:
            dimensions = _batch_dimensions(adapted)
        arrays |= _resized(arrays, dimensions, size, axis)
    batch = dict(sizes).get(BATCH)
    return attrs.evolve(
        adapted,
        inputs=attrs.evolve(adapted.inputs, arrays=arrays),
        batch_size=adapted.batch_size if batch is None else BatchSize(items=batch),
    )


def resized_onnx_inputs(path: Path, example: object, sizes: Sequence[tuple[str, int]]) -> object:
    """Return example inputs of an ``.onnx`` file with another batch size.

    Raises
    ------
    InputError
        The inputs are not arrays by name, differ in dimension 0, or another axis than
        the batch is varied.
    """
    if not sizes:
        return example
    other = [axis for axis, _ in sizes if axis != BATCH]
    if other:
        raise InputError(f"the axis {other[0]!r} of {path.name} has no name in Lexer.")
    if not isinstance(example, Mapping):
        raise InputError(
            f"the batch size of {path.name} can be varied only for inputs by name.",
            hint="Pass the inputs as a dict.",
        )
    arrays = {name: np.asarray(array) for name, array in example.items()}
    firsts = {array.shape[0] for array in arrays.values() if array.ndim > 1}
    if len(firsts) != 1:
        raise InputError(f"the inputs of {path.name} have no common dimension 0.")
    dimensions = {name: 0 for name, array in arrays.items() if array.ndim > 1}
    return arrays | _resized(arrays, dimensions, dict(sizes)[BATCH], BATCH)


def _dimensions(axis: str, axes: Axes) -> dict[str, int]:
    """Return which dimension of which input has a name."""
    return {
        name: dimension
        for name, named in axes.items()
        for dimension, called in named.items()
        if called == axis
    }


def _batch_dimensions(adapted: AdaptedModel) -> dict[str, int]:
    """Return dimension 0 of the inputs that share it."""
    guess = adapted.batch_size
    if guess.items is None:
        raise InputError(
            f"cannot vary the batch size of {adapted.model_name}: {guess.unknown_because}.",
            hint="Name the dimension: dynamic_axes={'image': {0: 'batch'}} in @Lexer or tune().",
        )
    return {name: 0 for name, array in adapted.inputs.arrays.items() if array.ndim > 1}


def _resized(
    arrays: Mapping[str, npt.NDArray[Any]], dimensions: Mapping[str, int], size: int, axis: str
) -> dict[str, npt.NDArray[Any]]:
    changed: dict[str, npt.NDArray[Any]] = {}
    # A tensor that is passed twice stays one tensor.
    same: dict[tuple[int, int], npt.NDArray[Any]] = {}
    for name, dimension in dimensions.items():
        array = arrays[name]
        if array.shape[dimension] == 0:
            raise InputError(f"axis {axis!r} of input {name!r} is empty, so it cannot be repeated.")
        key = id(array), dimension
        # An index needs 8 bytes.
        needed = max(8, array.nbytes // array.shape[dimension]) * size
        available = available_memory_bytes()
        if needed > available:
            raise InputError(
                f"with {axis}={size}, input {name!r} would need {bytes_text(needed)} of memory; "
                f"{bytes_text(available)} are available.",
                hint="Choose smaller sizes.",
            )
        if key not in same:
            places = np.arange(size) % array.shape[dimension]
            same[key] = np.take(array, places, axis=dimension)
            same[key].flags.writeable = False
        changed[name] = same[key]
    return changed
