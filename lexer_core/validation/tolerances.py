"""How much may an output differ from the reference?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.validation.element_types import is_float

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Tolerance", "default_tolerance", "tolerance_for"]


@frozen
class Tolerance:
    """Relative and absolute tolerance; ``scaled``: ``atol`` is relative to the reference's RMS."""

    rtol: float
    atol: float
    scaled: bool = True


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
    dtype: np.dtype[Any], rtol: float | None, atol: float | None, *, tf32: bool = False
) -> Tolerance:
    """Return the tolerance for an element type; ``None`` stands for the default.

    ``tf32``: products of float32 numbers are computed in TF32.
    """
    is_own = rtol is not None or atol is not None
    in_tf32 = tf32 and not is_own and dtype.name == "float32"
    default = _TF32 if in_tf32 else default_tolerance(dtype)
    return Tolerance(
        default.rtol if rtol is None else rtol,
        default.atol if atol is None else atol,
        scaled=atol is None,
    )
