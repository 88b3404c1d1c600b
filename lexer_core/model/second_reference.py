"""What does the model return for second inputs?

An engine must be right for these, too: see :mod:`lexer_core.model.second_inputs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from lexer_core.errors import LexerError
from lexer_core.model.reference import float64_outputs, outputs_for
from lexer_core.model.second_inputs import second_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.reference import Reference
    from lexer_core.validation import Float64Outputs

    Arrays = Mapping[str, npt.NDArray[Any]]

__all__ = ["SecondReference", "second_reference"]


_SLOW_CALL_SECONDS = 10.0


@frozen(kw_only=True, eq=False)
class SecondReference:
    """Second inputs and the model's outputs for them, or the reason why there are none.

    Parameters
    ----------
    arrays
        The inputs by name; empty if there are none.
    outputs
        The outputs by name.
    reason
        Why there are no second inputs.
    """

    arrays: Mapping[str, npt.NDArray[Any]] = attrs.field(factory=dict)
    outputs: Mapping[str, npt.NDArray[Any]] = attrs.field(factory=dict)
    reason: str = ""

    def float64(self, adapted: AdaptedModel) -> Float64Outputs:
        """Return the outputs in float64."""
        return float64_outputs(_with_arrays(adapted, self.arrays), tuple(self.outputs))


def second_reference(
    adapted: AdaptedModel, reference: Reference, given: Arrays | None = None
) -> SecondReference:
    """Run the model with second inputs.

    Parameters
    ----------
    adapted
        The model and its first inputs.
    reference
        The outputs for the first inputs.
    given
        The second inputs. Default: made from the first, unless a call is slow.

    Returns
    -------
    SecondReference
        Of inputs that the model accepts: it does not raise, and its outputs are
        finite if they were for the first inputs.

    Raises
    ------
    ModelError
        The model raises with the given inputs.
    """
    if given is not None:
        return SecondReference(arrays=given, outputs=_outputs(adapted, reference, given))
    if reference.seconds > _SLOW_CALL_SECONDS:
        return SecondReference(reason=f"a call takes {reference.seconds:.0f} s")
    attempts = second_inputs(adapted.inputs.arrays)
    reason = "no input has values that can be changed"
    for arrays in attempts:
        try:
            outputs = _outputs(adapted, reference, arrays)
        except LexerError as error:
            reason = error.message.rstrip(".")
            continue
        reason = _problem(outputs, reference.outputs, adapted.inputs.arrays, arrays)
        if not reason:
            return SecondReference(arrays=arrays, outputs=outputs)
    return SecondReference(reason=reason)


def _outputs(adapted: AdaptedModel, reference: Reference, arrays: Arrays) -> Arrays:
    return outputs_for(_with_arrays(adapted, arrays), reference.output_names)


def _with_arrays(adapted: AdaptedModel, arrays: Arrays) -> AdaptedModel:
    return attrs.evolve(adapted, inputs=attrs.evolve(adapted.inputs, arrays=arrays))


def _problem(outputs: Arrays, first_outputs: Arrays, first: Arrays, arrays: Arrays) -> str:
    """Return why outputs are not suitable to judge engines by."""
    for name, output in outputs.items():
        if _all_finite(first_outputs[name]) and not _all_finite(output):
            return f"output {name!r} is not finite"
    sizes_differ = any(each.shape != first_outputs[name].shape for name, each in outputs.items())
    whole_numbers_differ = any(
        array.dtype.kind in "iu" and not np.array_equal(array, first[name])
        for name, array in arrays.items()
    )
    if sizes_differ and whole_numbers_differ:
        # Such as the sizes of image levels: a graph may be made for these sizes.
        return "integers in the inputs determine the shapes of the outputs"
    return ""


def _all_finite(array: npt.NDArray[Any]) -> bool:
    if array.dtype.kind in "biu":
        return True
    return bool(np.isfinite(array if array.dtype.kind == "c" else array.astype(np.float64)).all())
