"""Does one output agree with the reference?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.results import OutputParity
from lexer_core.validation.element_types import (
    is_float,
    is_half,
    is_pairs,
    number_kind,
    type_change,
    wide,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from lexer_core.validation.tolerances import Tolerance

    Numbers = npt.NDArray[Any]
    Mask = npt.NDArray[np.bool_]

__all__ = ["NOT_FINITE", "Float64Outputs", "Truth", "judge_output", "root_mean_square"]

NOT_FINITE = "NaN or infinite"
"""What the note on an output contains if such elements are why it differs."""

_FILL_MAGNITUDE = 5000.0
_FILL_RATIO = 100.0


@frozen(kw_only=True, eq=False)
class Float64Outputs:
    """The model's outputs in float64, or the reason why there are none."""

    outputs: Mapping[str, npt.NDArray[Any]] | None
    reason: str = ""


class Truth:
    """The float64 outputs, computed when they are first needed."""

    def __init__(self, ask: Callable[[], Float64Outputs] | None) -> None:
        self._ask = ask
        self._answer: Float64Outputs | None = None
        self.was_used = False

    @property
    def reason(self) -> str:
        """Why there are none; empty if there are, or if they were not needed."""
        return "" if self._answer is None else self._answer.reason

    def of(self, name: str, shape: tuple[int, ...]) -> Numbers | None:
        """Return one output in float64, or ``None``."""
        if self._ask is None:
            return None
        if self._answer is None:
            self._answer = self._ask()
        found = (self._answer.outputs or {}).get(name)
        if found is None or found.shape != shape:
            return None
        self.was_used = True
        return wide(found)


def judge_output(
    name: str, output: Numbers, reference: Numbers, tolerance: Tolerance, truth: Truth
) -> OutputParity:
    """Compare an output with the reference, by the tolerance and then by ``truth``."""
    if is_pairs(output, reference):
        pairs = wide(output)
        output = (pairs[..., 0] + 1j * pairs[..., 1]).astype(reference.dtype)
    if output.shape != reference.shape:
        return OutputParity(
            name=name,
            passed=False,
            note=f"shape {list(output.shape)} instead of {_shapes(reference)}",
        )
    changed = type_change(output, reference)
    if number_kind(output.dtype) != number_kind(reference.dtype):
        return OutputParity(name=name, passed=False, note=f"{changed}: another kind of number")
    if reference.size == 0:
        return OutputParity(
            name=name, max_abs_error=0.0, rmse=0.0, mismatched_share=0.0, passed=True, note=changed
        )
    got, want = wide(output), wide(reference)
    finite = np.isfinite(got) & np.isfinite(want)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(finite, np.abs(got - want), 0.0)
    magnitude = np.where(finite, np.abs(want), 0.0)
    fill = _fill_values(magnitude, finite)
    ordinary = finite & ~fill
    scale = root_mean_square(magnitude[ordinary])
    if is_float(reference.dtype):
        atol = tolerance.atol * (scale or 1.0) if tolerance.scaled else tolerance.atol
        allowed = np.where(fill & tolerance.scaled, 0.0, atol) + tolerance.rtol * magnitude
        # NaN and infinity must be the same on both sides.
        same = (np.isnan(got) & np.isnan(want)) | (got == want)
        within = np.where(finite, difference <= allowed, same)
    elif tolerance.rtol or tolerance.atol:
        within = difference <= tolerance.atol + tolerance.rtol * magnitude
    else:
        within = np.asarray(output == reference)  # not in float64, which rounds large integers
    share = float(1.0 - np.count_nonzero(within) / within.size)
    notes = [changed] if changed else []
    passed = bool(within.all())
    if not passed:
        notes.append(_misfit(got, want, finite, within))
    relative = root_mean_square(difference[ordinary]) / (scale or 1.0)
    if tolerance.rms is not None and is_float(reference.dtype):
        if relative > tolerance.rms:
            passed = False
            notes.append(
                f"the RMS of its error is {relative:.2g} times that of the reference, "
                f"{tolerance.rms:g} is allowed"
            )
    elif not passed and is_float(reference.dtype) and bool(within[~ordinary].all()):
        true = truth.of(name, reference.shape)
        if true is not None:
            # If the reference is far from float64 (finfo.min is another number
            # there), the tolerance applies.
            near = ordinary & (np.abs(true) <= 10 * (1 + np.abs(want)))
            slack = (tolerance.atol + tolerance.rtol) * scale / 10
            factor = 3.0 if is_half(reference.dtype.name) else 2.0
            own = root_mean_square(np.abs(want[near] - true[near]))
            error = root_mean_square(np.abs(got[near] - true[near]))
            passed = error <= factor * own + slack and bool(within[~near].all())
            notes.append(
                f"its error against float64 is {error:.3g}; the reference's is {own:.3g}, and "
                f"{factor:g} times that is allowed"
            )
    return OutputParity(
        name=name,
        max_abs_error=float(difference[finite].max()) if finite.any() else None,
        rmse=root_mean_square(difference[finite]) if finite.any() else None,
        relative_rmse=relative if ordinary.any() else None,
        cosine=_cosine(got[finite], want[finite]) if is_float(reference.dtype) else None,
        mismatched_share=share,
        passed=passed,
        note="; ".join(notes),
    )


def _fill_values(magnitude: npt.NDArray[np.float64], finite: Mask) -> Mask:
    """Return which elements are a mask's fill value rather than a result."""
    none = np.zeros(magnitude.shape, dtype=bool)
    if magnitude.max() < _FILL_MAGNITUDE:
        return none
    ordered = np.unique(magnitude[finite])
    lower, upper = ordered[:-1], ordered[1:]
    is_gap = (upper >= _FILL_MAGNITUDE) & (lower * _FILL_RATIO <= upper)
    # Zeros and large numbers are an ordinary result, unless there is only one other number.
    is_gap &= (lower > 0) | (ordered.size == 2)  # noqa: PLR2004
    gaps = np.flatnonzero(is_gap)
    return finite & (magnitude >= upper[gaps[0]]) if gaps.size else none


def _misfit(got: Numbers, want: Numbers, finite: Mask, within: Mask) -> str:
    """Return a description of the mismatch."""
    wrong = ~within
    odd = wrong & ~finite
    if odd.any():
        lost = int(np.count_nonzero(odd & ~np.isfinite(got) & np.isfinite(want)))
        if lost:
            return f"{lost} of {got.size} elements are {NOT_FINITE}, but finite in the reference"
        return (
            f"{int(np.count_nonzero(odd))} of {got.size} elements differ that are {NOT_FINITE} "
            "in the reference"
        )
    count = int(np.count_nonzero(wrong))
    return f"{count} of {got.size} elements {'is' if count == 1 else 'are'} outside the tolerance"


def _shapes(reference: Numbers) -> str:
    shape = list(reference.shape)
    if reference.dtype.kind != "c":
        return str(shape)
    return f"{shape} or {[*shape, 2]} (real and imaginary parts)"


def root_mean_square(values: npt.NDArray[np.float64]) -> float:
    """Return the root mean square, without overflow or underflow; 0 for no values."""
    largest = float(values.max()) if values.size else 0.0
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.mean(np.square(values / largest))))


def _cosine(left: Numbers, right: Numbers) -> float | None:
    """Return the cosine of the angle between two vectors; ``None`` if one is zero."""
    lengths = [float(np.abs(each).max()) if each.size else 0.0 for each in (left, right)]
    if 0.0 in lengths:
        return None
    left, right = (
        each.ravel() / length for each, length in zip((left, right), lengths, strict=True)
    )
    product = float(np.vdot(left, right).real)
    return product / float(np.linalg.norm(left) * np.linalg.norm(right))
