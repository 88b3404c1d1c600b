"""Are an engine's outputs correct?

Pure functions on numpy arrays. An engine's outputs are compared with the
reference outputs, element by element in float64, by two rules in turn:

*tolerance*
    ``|output - reference| <= atol * scale + rtol * |reference|`` for every
    element, with the tolerances of torch.testing for the reference's element
    type. ``scale`` is the root mean square of the reference: with an unscaled
    absolute tolerance, zeros would pass for a softmax over a large vocabulary.
    If the reference is all zeros, ``atol`` is not scaled. Integers and booleans
    must be equal.
*float64*
    An output that exceeds its tolerance can still be as close to the true result
    as the reference is: ``RMSE(output, float64) <= k * RMSE(reference, float64)
    + (atol + rtol) * scale / 10``, where ``k`` is 2, or 3 for half-precision
    types. This is the rule of PyTorch's dynamo benchmarks. It applies only if the
    tolerance is exceeded and is not the user's own.

Fill values, such as the -1e9 or the ``finfo.min`` of a mask, would make the scale
meaningless. A group of elements that are at least 5000 and 100 times larger than
all others is therefore left out of the scale and of the float64 rule; each of
these elements must be within ``rtol``.

An output of another kind of number is wrong: floating point instead of integers, for
example. Another size, such as ``int32`` instead of ``int64``, is noted. Complex outputs
may be pairs of real and imaginary parts along a last axis. Indices may differ where
the values they refer to are equal, if these are another output of the same shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from lexer_core.errors import UsageError
from lexer_core.results import OutputParity, Parity
from lexer_core.tied_indices import differ_only_in_ties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    Outputs = Mapping[str, npt.NDArray[Any]]
    Numbers = npt.NDArray[Any]
    Mask = npt.NDArray[np.bool_]

__all__ = [
    "Float64Outputs",
    "Tolerance",
    "default_tolerance",
    "freezes_state",
    "judge",
    "with_second",
]

_FILL_MAGNITUDE = 5000.0
_FILL_RATIO = 100.0
_INDEX_BYTES = 4
"""Engines return indices as int32 or int64; smaller integers are results."""


@frozen
class Tolerance:
    """Relative and absolute tolerance; ``scaled``: ``atol`` is relative to the reference's RMS."""

    rtol: float
    atol: float
    scaled: bool = True


@frozen(kw_only=True, eq=False)
class Float64Outputs:
    """The model's outputs in float64, or the reason why there are none."""

    outputs: Mapping[str, npt.NDArray[Any]] | None
    reason: str = ""


_TOLERANCES = {
    "float16": Tolerance(1e-3, 1e-5),
    "bfloat16": Tolerance(1.6e-2, 1e-5),
    "float32": Tolerance(1.3e-6, 1e-5),
    "float64": Tolerance(1e-7, 1e-7),
    "complex64": Tolerance(1.3e-6, 1e-5),
    "complex128": Tolerance(1e-7, 1e-7),
}
_EXACT = Tolerance(0.0, 0.0)


def default_tolerance(dtype: np.dtype[Any]) -> Tolerance:
    """Return torch.testing's tolerance for an element type.

    The ``float8`` types, which torch.testing does not have, get their machine
    epsilon; integers and booleans must be equal.
    """
    known = _TOLERANCES.get(dtype.name)
    if known is not None:
        return known
    if _is_float(dtype):
        import ml_dtypes  # rarely needed

        spacing = ml_dtypes.finfo(dtype).eps  # type: ignore[no-untyped-call]
        return Tolerance(float(spacing), 1e-5)
    return _EXACT


def judge(
    outputs: Outputs,
    reference_outputs: Outputs,
    *,
    reference_name: str,
    float64: Callable[[], Float64Outputs] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    not_judged: str = "",
) -> Parity:
    """Compare an engine's outputs with the reference outputs.

    Parameters
    ----------
    outputs, reference_outputs
        Arrays by name, of any shape and any numpy or ml_dtypes type.
    reference_name
        Name of the reference, for the reader.
    float64
        Returns the reference outputs in float64. Called at most once, and only if
        an output exceeds its tolerance.
    rtol, atol
        The user's own tolerances. Default: those of the element type. An ``atol``
        of the user's is absolute, not scaled. Either of them turns off the float64
        rule.
    not_judged
        Why there is no verdict, for example because the model is not
        deterministic. The errors are still computed.

    Returns
    -------
    Parity
        Errors are over the elements that are finite on both sides, in the output's
        unit; at the top level, the worst of all outputs. ``None`` if there is
        nothing to compare, and for the cosine of a zero vector. ``rtol`` and
        ``atol`` are the largest that were applied, ``atol`` before scaling.

    Raises
    ------
    UsageError
        A tolerance is negative.
    """
    if any(value is not None and not value >= 0 for value in (rtol, atol)):
        raise UsageError(
            f"tolerances must be 0 or more, not rtol={rtol}, atol={atol}.",
            hint="Omit a tolerance to use the default of the element type.",
        )
    is_own_tolerance = rtol is not None or atol is not None
    truth = _Truth(None if is_own_tolerance or not_judged else float64)
    judged = [
        _judge_output(
            name, outputs[name], reference, _tolerance(reference.dtype, rtol, atol), truth
        )
        for name, reference in reference_outputs.items()
        if name in outputs
    ]
    notes = [
        note
        for each in judged
        if each.passed
        for note in _type_notes(each.name, outputs[each.name], reference_outputs[each.name])
    ]
    values = {
        each.name: _Values(reference_outputs[each.name], rtol, atol)
        for each in judged
        if each.passed and _kind(reference_outputs[each.name].dtype) in "if"
    }
    for position, each in enumerate(judged):
        output, reference = outputs[each.name], reference_outputs[each.name]
        if not each.passed and _may_be_indices(output, reference):
            judged[position] = explained = _explain_indices(each, output, reference, values)
            notes += [f"output {each.name!r}: {explained.note}"] if explained.passed else []
    reasons = _wrong_names(outputs, reference_outputs)
    reasons += [f"{each.name}: {each.note}" for each in judged if not each.passed]
    summary = _summary(
        judged, [_tolerance(a.dtype, rtol, atol) for a in reference_outputs.values()]
    )

    judged_outputs: Any = tuple(judged)

    def verdict(status: Any, rule: Any, reason: str) -> Parity:
        return Parity(
            status=status,
            reference=reference_name,
            rule=rule,
            reason=reason,
            outputs=judged_outputs,
            notes=tuple(notes),
            **summary,
        )

    if not_judged:
        return verdict("not_judged", "", not_judged)
    if not reference_outputs:
        return verdict("not_judged", "", f"{reference_name} has no outputs")
    rule = "float64" if truth.was_used else "tolerance"
    if reasons:
        if truth.reason:
            reasons.append(f"judged by tolerance only, without float64 outputs: {truth.reason}")
        return verdict("fail", rule, "; ".join(reasons))
    return verdict("pass", rule, "")


def with_second(first: Parity, second: Parity) -> Parity:
    """Add to a comparison that of the outputs for second inputs."""
    if first.status != "pass" or second.status != "fail":
        return attrs.evolve(first, second_inputs=second.status)
    return attrs.evolve(
        second,
        second_inputs="fail",
        reason="correct for the example inputs, wrong for second inputs with other values, as if "
        f"a value or a branch were frozen: {second.reason}",
    )


def freezes_state(
    outputs: Outputs,
    second_call: Outputs,
    first_call: Outputs,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> bool:
    """Return whether an engine does not keep the state that a model keeps between calls.

    Parameters
    ----------
    outputs
        The engine's outputs in its second call.
    second_call, first_call
        The model's own outputs, which differ because of the state.
    rtol, atol
        The user's own tolerances.
    """
    second, first = (
        judge(outputs, each, reference_name="", rtol=rtol, atol=atol)
        for each in (second_call, first_call)
    )
    if second.status == "pass":
        return False
    # Rounding errors add up in the state: what matters is which call it resembles.
    return second.rmse is None or first.rmse is None or second.rmse >= first.rmse


class _Truth:
    """The float64 outputs, computed when they are first needed."""

    def __init__(self, ask: Callable[[], Float64Outputs] | None) -> None:
        self._ask = ask
        self._answer: Float64Outputs | None = None
        self.was_used = False

    @property
    def reason(self) -> str:
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
        return _wide(found)


def _judge_output(
    name: str, output: Numbers, reference: Numbers, tolerance: Tolerance, truth: _Truth
) -> OutputParity:
    if _is_pairs(output, reference):
        wide = _wide(output)
        output = (wide[..., 0] + 1j * wide[..., 1]).astype(reference.dtype)
    if output.shape != reference.shape:
        return OutputParity(
            name=name,
            passed=False,
            note=f"shape {list(output.shape)} instead of {_shapes(reference)}",
        )
    changed = _type_change(output, reference)
    if _kind(output.dtype) != _kind(reference.dtype):
        return OutputParity(name=name, passed=False, note=f"{changed}: another kind of number")
    if reference.size == 0:
        return OutputParity(
            name=name, max_abs_error=0.0, rmse=0.0, mismatched_share=0.0, passed=True, note=changed
        )
    got, want = _wide(output), _wide(reference)
    finite = np.isfinite(got) & np.isfinite(want)
    with np.errstate(invalid="ignore", over="ignore"):
        difference = np.where(finite, np.abs(got - want), 0.0)
    magnitude = np.where(finite, np.abs(want), 0.0)
    fill = _fill_values(magnitude, finite)
    ordinary = finite & ~fill
    scale = _rms(magnitude[ordinary])
    if _is_float(reference.dtype):
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
    if not passed and _is_float(reference.dtype) and bool(within[~ordinary].all()):
        true = truth.of(name, reference.shape)
        if true is not None:
            # If the reference is far from float64 (finfo.min is another number
            # there), the tolerance applies.
            near = ordinary & (np.abs(true) <= 10 * (1 + np.abs(want)))
            slack = (tolerance.atol + tolerance.rtol) * scale / 10
            factor = 3.0 if _is_half(reference.dtype.name) else 2.0
            own = _rms(np.abs(want[near] - true[near]))
            error = _rms(np.abs(got[near] - true[near]))
            passed = error <= factor * own + slack and bool(within[~near].all())
            notes.append(
                f"its error against float64 is {error:.3g}; the reference's is {own:.3g}, and "
                f"{factor:g} times that is allowed"
            )
    return OutputParity(
        name=name,
        max_abs_error=float(difference[finite].max()) if finite.any() else None,
        rmse=_rms(difference[finite]) if finite.any() else None,
        cosine=_cosine(got[finite], want[finite]) if _is_float(reference.dtype) else None,
        mismatched_share=share,
        passed=passed,
        note="; ".join(notes),
    )


@frozen(eq=False)
class _Values:
    """An output of the reference that indices may refer to."""

    reference: Numbers
    rtol: float | None
    atol: float | None

    def explain(self, output: Numbers, indices: Numbers) -> bool:
        """Return whether an engine's indices differ from the reference's only in ties."""
        if self.reference.shape != indices.shape:
            return False
        values = _wide(self.reference)
        tolerance = _tolerance(self.reference.dtype, self.rtol, self.atol)
        magnitude = np.where(np.isfinite(values), np.abs(values), 0.0)
        atol = tolerance.atol
        if tolerance.scaled and _is_float(self.reference.dtype):
            atol *= _rms(magnitude) or 1.0
        allowed = atol + tolerance.rtol * magnitude
        return differ_only_in_ties(output, indices, values, np.asarray(allowed))


def _explain_indices(
    judged: OutputParity, output: Numbers, reference: Numbers, values: Mapping[str, _Values]
) -> OutputParity:
    """Accept indices that differ from the reference's only where the values are equal."""
    tied = next((name for name, each in values.items() if each.explain(output, reference)), "")
    if not tied:
        hint = "if these are indices of tied values, both are right"
        return attrs.evolve(judged, note=f"{judged.note}; {hint}")
    return attrs.evolve(
        judged,
        max_abs_error=0.0,
        rmse=0.0,
        mismatched_share=0.0,
        passed=True,
        note=f"{np.count_nonzero(output != reference)} of {reference.size} indices differ, "
        f"only where the values in output {tied!r} are equal",
    )


def _may_be_indices(output: Numbers, reference: Numbers) -> bool:
    return output.shape == reference.shape and all(
        each.dtype.kind in "iu" and each.dtype.itemsize >= _INDEX_BYTES
        for each in (output, reference)
    )


def _type_notes(name: str, output: Numbers, reference: Numbers) -> list[str]:
    """Return what a reader should know about the element type of an output that passed."""
    if _is_pairs(output, reference):
        return [f"output {name!r} is complex, returned as pairs of real and imaginary parts"]
    changed = _type_change(output, reference)
    return [f"output {name!r} is {changed}"] if changed else []


def _type_change(output: Numbers, reference: Numbers) -> str:
    if output.dtype.newbyteorder("=") == reference.dtype.newbyteorder("="):
        return ""
    return f"{output.dtype.name} instead of {reference.dtype.name}"


def _is_pairs(output: Numbers, reference: Numbers) -> bool:
    """Whether a complex output was returned with a last axis of real and imaginary parts."""
    return (
        reference.dtype.kind == "c"
        and _kind(output.dtype) == "f"
        and output.shape == (*reference.shape, 2)
    )


def _shapes(reference: Numbers) -> str:
    shape = list(reference.shape)
    if reference.dtype.kind != "c":
        return str(shape)
    return f"{shape} or {[*shape, 2]} (real and imaginary parts)"


def _kind(dtype: np.dtype[Any]) -> str:
    """Return the kind of number: ``b``, ``i``, ``f`` or ``c``."""
    if dtype.kind == "V":  # ml_dtypes
        return "f" if "float" in dtype.name else "i"
    return "i" if dtype.kind == "u" else dtype.kind


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
            return f"{lost} of {got.size} elements are NaN or infinite, but finite in the reference"
        return (
            f"{int(np.count_nonzero(odd))} of {got.size} elements differ that are NaN or infinite "
            "in the reference"
        )
    count = int(np.count_nonzero(wrong))
    return f"{count} of {got.size} elements {'is' if count == 1 else 'are'} outside the tolerance"


def _wrong_names(outputs: Outputs, reference_outputs: Outputs) -> list[str]:
    missing = [name for name in reference_outputs if name not in outputs]
    surplus = [name for name in outputs if name not in reference_outputs]
    reasons = []
    if missing:
        reasons.append(f"output {', '.join(map(repr, missing))} is missing")
    if surplus:
        reasons.append(f"{', '.join(map(repr, surplus))} is not an output of the reference")
    return reasons


def _summary(judged: list[OutputParity], tolerances: list[Tolerance]) -> dict[str, Any]:
    def worst(pick: Callable[[Any], Any], name: str) -> float | None:
        values = [value for each in judged if (value := getattr(each, name)) is not None]
        return pick(values) if values else None

    return {
        "max_abs_error": worst(max, "max_abs_error"),
        "rmse": worst(max, "rmse"),
        "cosine": worst(min, "cosine"),
        "mismatched_share": worst(max, "mismatched_share"),
        "rtol": max((each.rtol for each in tolerances), default=None),
        "atol": max((each.atol for each in tolerances), default=None),
    }


def _tolerance(dtype: np.dtype[Any], rtol: float | None, atol: float | None) -> Tolerance:
    default = default_tolerance(dtype)
    return Tolerance(
        default.rtol if rtol is None else rtol,
        default.atol if atol is None else atol,
        scaled=atol is None,
    )


def _is_float(dtype: np.dtype[Any]) -> bool:
    # ml_dtypes types have kind V; their only integers have up to 4 bits.
    if dtype.kind == "V":
        return "float" in dtype.name
    return dtype.kind in "fc"


def _wide(array: Numbers) -> Numbers:
    """Convert to float64 or complex128."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _rms(values: npt.NDArray[np.float64]) -> float:
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


def _is_half(dtype: str) -> bool:
    """Whether a floating-point type has at most 16 bits."""
    return dtype in ("float16", "bfloat16") or dtype.startswith("float8_")
