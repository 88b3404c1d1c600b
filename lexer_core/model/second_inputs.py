"""With which other inputs must an engine be right, too?

An export can freeze a value that depends on the inputs: the result of numpy code, or
the branch that an ``if`` took. It is right for the inputs that it was traced with, and
for no others. Second inputs have the same shapes and types and other values, within the
range of the first.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from lexer_core.model.reference import call_module
from lexer_core.model.state import measured_state, preserved_randomness
from lexer_core.model.structure import flatten_outputs
from lexer_core.model.tensors import to_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt
    import torch

    from lexer_core.records import CallInputs

    Array = npt.NDArray[Any]

__all__ = ["depends_on", "second_inputs"]

_FILL = 1e4
"""Masks are filled with large negative numbers; no change of these is meaningful."""

_BALANCED = 0.01
"""A range around zero is balanced if its smaller side is at least this share of the larger."""


def second_inputs(arrays: Mapping[str, Array]) -> list[dict[str, Array]]:
    """Return other inputs for a model, the most different first.

    The model may reject them, so there are gentler ones to try after the first.

    - Floating-point values are negated if they are all equal or their range is about
      zero, otherwise mirrored in their range, and scaled by random factors.
    - Integers are mirrored in their range.
    - What looks like a mask, a length or an offset stays: booleans, numbers that are
      all 0 or 1, infinity and fill values, sorted integers. If nothing else can be
      changed, floating-point numbers and sorted integers are.

    Parameters
    ----------
    arrays
        The first inputs, by name.

    Returns
    -------
    list[dict[str, numpy.ndarray]]
        Complete inputs, read-only; empty if nothing can be changed.
    """
    attempts: list[dict[str, Array]] = []
    for change in (_change, _change_floats_gently):
        _add(attempts, arrays, change, _may_change)
    if not attempts:
        for change in (_change_mask, _change_mask_gently):
            _add(attempts, arrays, change, _may_change_if_needed)
    return attempts


def depends_on(module: torch.nn.Module, inputs: CallInputs, names: Sequence[str]) -> bool | None:
    """Return whether a module's outputs depend on some of its inputs.

    The module is called with second values of these inputs. Its training flags,
    buffers and the random states are restored.

    Parameters
    ----------
    module
        A module that is not compiled.
    inputs
        A call that the module accepts.
    names
        The inputs in question.

    Returns
    -------
    bool or None
        ``None`` if it cannot be determined: the module accepts no second values, or
        returns other outputs in every call.
    """
    attempts = second_inputs({name: inputs.arrays[name] for name in names})
    with measured_state(module) as state:

        def run(arrays: Mapping[str, Array]) -> list[Array]:
            call = attrs.evolve(inputs, arrays={**inputs.arrays, **arrays})
            with preserved_randomness():
                returned = flatten_outputs(call_module(module, call).returned).tensors
            outputs = [to_numpy(tensor) for tensor in returned.values()]
            state.restore_tensors()
            return outputs

        for arrays in attempts:
            first = run({})
            try:
                second = run(arrays)
            except Exception:  # noqa: S112  a model may raise anything; try the next inputs
                continue
            if _same(first, second):
                return False
            return True if _same(first, run({})) else None
    return None


def _same(left: Sequence[Array], right: Sequence[Array]) -> bool:
    return len(left) == len(right) and all(
        one.shape == other.shape and one.tobytes() == other.tobytes()
        for one, other in zip(left, right, strict=True)
    )


def _add(
    attempts: list[dict[str, Array]],
    arrays: Mapping[str, Array],
    change: Callable[[Array, np.random.Generator], Array],
    may_change: Callable[[Array], bool],
) -> None:
    """Add an attempt, if it changes anything."""
    attempt = {}
    for name, array in arrays.items():
        # Every input has its own numbers, the same in every run.
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        attempt[name] = array
        if may_change(array):
            attempt[name] = change(array, rng).astype(array.dtype)
            attempt[name].flags.writeable = False
    if not _same(list(attempt.values()), list(arrays.values())):
        attempts.append(attempt)


def _may_change(array: Array) -> bool:
    if not _has_values(array):
        return False
    if _is_integer(array):
        return not _is_binary(array) and not _is_sorted(array)
    wide = _wide(array)
    return bool(
        np.isfinite(wide).all() and not _is_binary(array) and np.abs(wide).max(initial=0.0) < _FILL
    )


def _may_change_if_needed(array: Array) -> bool:
    return _has_values(array) and not (_is_integer(array) and _is_binary(array))


def _has_values(array: Array) -> bool:
    return array.size > 0 and array.dtype.kind != "b"


def _change(array: Array, rng: np.random.Generator) -> Array:
    if _is_integer(array):
        return _mirrored(array)
    values = _wide(array)
    factors = rng.uniform(0.75, 1.0, values.shape)
    if values.dtype.kind == "c":
        return -values * factors
    low, high = float(values.min()), float(values.max())
    if low == high:
        # A single number may be a scale; many equal ones are a placeholder without a range.
        return values * factors * (1.0 if values.size == 1 else -1.0)
    sides = sorted((-low, high))
    if sides[0] >= _BALANCED * sides[1]:
        return -values * factors * (sides[0] / sides[1])
    middle = low + (high - low) / 2
    return np.asarray(middle + (middle - values) * factors)


def _change_floats_gently(array: Array, rng: np.random.Generator) -> Array:
    """Move each value a little, within the range and without changing its sign."""
    if _is_integer(array):
        return array.copy()
    values = _wide(array)
    factors = rng.uniform(0.75, 1.0, values.shape)
    if values.dtype.kind == "c" or values.min() == values.max():
        return values * factors
    low, high = float(values.min()), float(values.max())
    towards = min(max(0.0, low), high)
    return np.asarray(towards + (values - towards) * factors)


def _change_mask(array: Array, rng: np.random.Generator) -> Array:
    if _is_integer(array):
        return _mirrored(array)
    values = _wide(array)
    usual = np.isfinite(values) & (np.abs(values) < _FILL)
    return np.where(usual, -rng.uniform(0.75, 1.0, values.shape), values)


def _change_mask_gently(array: Array, rng: np.random.Generator) -> Array:
    if _is_integer(array):
        return array.copy()
    values = _wide(array)
    usual = np.isfinite(values) & (np.abs(values) < _FILL)
    return np.where(usual, rng.uniform(0.75, 1.0, values.shape), values)


def _mirrored(array: Array) -> Array:
    return np.asarray(array.max() - array + array.min())


def _is_integer(array: Array) -> bool:
    return array.dtype.kind in "iu" or (array.dtype.kind == "V" and "float" not in array.dtype.name)


def _is_binary(array: Array) -> bool:
    return bool(np.isin(array.astype(_wide(array).dtype), (0, 1)).all())


def _is_sorted(array: Array) -> bool:
    flat = array.ravel()
    return bool((flat[1:] >= flat[:-1]).all() or (flat[1:] <= flat[:-1]).all())


def _wide(array: Array) -> Array:
    wide: Array = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return wide
