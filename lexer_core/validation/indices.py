"""Are indices that differ from the reference's as good as these?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from lexer_core.tied_indices import differ_only_in_ties
from lexer_core.validation.element_types import is_float, wide
from lexer_core.validation.one_output import root_mean_square
from lexer_core.validation.tolerances import tolerance_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from lexer_core.results import OutputParity

    Numbers = npt.NDArray[Any]

__all__ = ["Values", "explain_indices", "may_be_indices"]

_INDEX_BYTES = 4
"""Engines return indices as int32 or int64; smaller integers are results."""


@frozen(eq=False)
class Values:
    """An output of the reference that indices may refer to."""

    reference: Numbers
    rtol: float | None
    atol: float | None
    computed: str

    def explain(self, output: Numbers, indices: Numbers) -> bool:
        """Return whether an engine's indices differ from the reference's only in ties."""
        if self.reference.shape != indices.shape:
            return False
        values = wide(self.reference)
        tolerance = tolerance_for(
            self.reference.dtype, self.rtol, self.atol, computed=self.computed
        )
        magnitude = np.where(np.isfinite(values), np.abs(values), 0.0)
        atol = tolerance.atol
        if tolerance.scaled and is_float(self.reference.dtype):
            atol *= root_mean_square(magnitude) or 1.0
        allowed = atol + tolerance.rtol * magnitude
        return differ_only_in_ties(output, indices, values, np.asarray(allowed))


def explain_indices(
    judged: OutputParity, output: Numbers, reference: Numbers, values: Mapping[str, Values]
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


def may_be_indices(output: Numbers, reference: Numbers) -> bool:
    """Return whether both hold integers that are large enough for indices."""
    return output.shape == reference.shape and all(
        each.dtype.kind in "iu" and each.dtype.itemsize >= _INDEX_BYTES
        for each in (output, reference)
    )
