"""Do all outputs of an engine agree with the reference's?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.errors import UsageError
from lexer_core.results import OutputParity, Parity
from lexer_core.validation.element_types import is_pairs, number_kind, type_change
from lexer_core.validation.indices import Values, explain_indices, may_be_indices
from lexer_core.validation.one_output import Truth, judge_output
from lexer_core.validation.tolerances import Tolerance, tolerance_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from lexer_core.validation.one_output import Float64Outputs

    Outputs = Mapping[str, npt.NDArray[Any]]
    Numbers = npt.NDArray[Any]

__all__ = ["freezes_state", "judge", "with_second"]


def judge(
    outputs: Outputs,
    reference_outputs: Outputs,
    *,
    reference_name: str,
    float64: Callable[[], Float64Outputs] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
    not_judged: str = "",
    computed: str = "",
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
    computed
        What the outputs were computed in, if that is not what their element types say: a
        precision, or ``"tf32"`` for float32 outputs of products in TF32. Its tolerance
        applies to floating-point outputs.

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
    truth = Truth(None if is_own_tolerance or not_judged else float64)
    judged = [
        judge_output(
            name,
            outputs[name],
            reference,
            tolerance_for(reference.dtype, rtol, atol, computed=computed),
            truth,
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
    tolerances = [
        tolerance_for(a.dtype, rtol, atol, computed=computed) for a in reference_outputs.values()
    ]
    is_lower = any(each.rms is not None for each in tolerances)
    notes += _precision_note(judged, computed, tolerances) if is_lower and not not_judged else []
    values = {
        each.name: Values(reference_outputs[each.name], rtol, atol, computed)
        for each in judged
        if each.passed and number_kind(reference_outputs[each.name].dtype) in "if"
    }
    for position, each in enumerate(judged):
        output, reference = outputs[each.name], reference_outputs[each.name]
        if not each.passed and may_be_indices(output, reference):
            judged[position] = explained = explain_indices(each, output, reference, values)
            notes += [f"output {each.name!r}: {explained.note}"] if explained.passed else []
    reasons = _wrong_names(outputs, reference_outputs)
    reasons += [f"{each.name}: {each.note}" for each in judged if not each.passed]
    summary = _summary(judged, tolerances)

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
    rule = "float64" if truth.was_used else "precision" if is_lower else "tolerance"
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


def _type_notes(name: str, output: Numbers, reference: Numbers) -> list[str]:
    """Return what a reader should know about the element type of an output that passed."""
    if is_pairs(output, reference):
        return [f"output {name!r} is complex, returned as pairs of real and imaginary parts"]
    changed = type_change(output, reference)
    return [f"output {name!r} is {changed}"] if changed else []


def _precision_note(
    judged: list[OutputParity], computed: str, tolerances: list[Tolerance]
) -> list[str]:
    """Return how far outputs are off, and the tolerance that a lower precision has."""
    errors = [each.relative_rmse for each in judged if each.relative_rmse is not None]
    if not errors or not all(each.passed for each in judged):
        return []
    allowed = max(each.rms or 0.0 for each in tolerances)
    note = (
        f"outputs were judged as {computed}: the RMS of their error is {max(errors):.2g} times "
        f"their own, {allowed:g} is allowed"
    )
    return [note]


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
