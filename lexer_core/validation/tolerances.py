"""How much may an output differ from the reference?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.precisions import is_lower
from lexer_core.validation.element_types import is_float

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Tolerance", "default_tolerance", "tolerance_for"]


@frozen
class Tolerance:
    """How much outputs may differ from the reference.

    Parameters
    ----------
    rtol, atol
        Relative and absolute tolerance of each element.
    scaled
        Whether ``atol`` is relative to the reference's root mean square.
    rms
        The largest root mean square of the error, relative to that of the reference;
        ``None``: only each element counts.
    """

    rtol: float
    atol: float
    scaled: bool = True
    rms: float | None = None


_TOLERANCES = {
    "float16": Tolerance(1e-3, 1e-5),
    "bfloat16": Tolerance(1.6e-2, 1e-5),
    "float32": Tolerance(1.3e-6, 1e-5),
    "float64": Tolerance(1e-7, 1e-7),
    "complex64": Tolerance(1.3e-6, 1e-5),
    "complex128": Tolerance(1e-7, 1e-7),
}
_EXACT = Tolerance(0.0, 0.0)
_TF32 = Tolerance(1e-3, 1e-2)
"""For float32 outputs of products in TF32, which has as many mantissa bits as float16. The
errors of the layers add up, and small elements have those of large ones, so 1 % of the
root mean square is allowed."""


def _lower(rtol: float, rms: float) -> Tolerance:
    # Of a million normally distributed errors, none is above five standard deviations.
    return Tolerance(rtol, 6.0 * rms, rms=rms)


_QUANTISED = _lower(0.0, 0.1)
_LOWER = {
    "float16": _lower(1e-3, 0.01),
    "bfloat16": _lower(1.6e-2, 0.08),
}
"""For a model that was asked to compute in a precision below its own.

The rounding errors of all layers add up, and small elements have those of large ones, so the
root mean square of all errors counts. For float16 it is 1 %, as for TF32, which has as many
mantissa bits; bfloat16 has three bits less, so 8 times that. Others are quantised, and judged by
their signal-to-noise ratio (Nagel et al. 2021, "A White Paper on Neural Network
Quantization"): 20 dB, which is 10 %."""


def default_tolerance(dtype: np.dtype[Any]) -> Tolerance:
    """Return torch.testing's tolerance for an element type.

    The ``float8`` types, which torch.testing does not have, get their machine
    epsilon; integers and booleans must be equal.
    """
    known = _TOLERANCES.get(dtype.name)
    if known is not None:
        return known
    if is_float(dtype):
        import ml_dtypes  # rarely needed

        spacing = ml_dtypes.finfo(dtype).eps  # type: ignore[no-untyped-call]
        return Tolerance(float(spacing), 1e-5)
    return _EXACT


def tolerance_for(
    dtype: np.dtype[Any], rtol: float | None, atol: float | None, *, computed: str = ""
) -> Tolerance:
    """Return the tolerance for an element type; ``None`` stands for the default.

    ``computed``: a precision that was asked for, or ``"tf32"`` for products of float32
    numbers in TF32.
    """
    is_own = rtol is not None or atol is not None
    default = default_tolerance(dtype)
    if not is_own and is_float(dtype):
        default = _by_precision(dtype.name, computed) or default
    return Tolerance(
        default.rtol if rtol is None else rtol,
        default.atol if atol is None else atol,
        scaled=atol is None,
        rms=default.rms,
    )


def _by_precision(dtype: str, computed: str) -> Tolerance | None:
    """Return the tolerance of what was asked for; ``None`` for that of the element type."""
    if computed == "tf32":
        return _TF32 if dtype == "float32" else None
    if computed == "float32":
        return _TOLERANCES["float32"] if dtype == "float64" else None
    if not is_lower(computed):
        return None
    asked = _LOWER.get(computed, _QUANTISED)
    own = _LOWER.get(dtype, asked)
    return own if (own.rms or 0.0) > (asked.rms or 0.0) else asked
