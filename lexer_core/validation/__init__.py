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

*precision*
    For an engine that was asked to compute in a lower precision than the model's own:
    ``RMSE(output, reference) <= share * scale``, and no element further off than ``6 *
    share * scale + rtol * |reference|``. ``share`` is 1 % for float16, 8 % for bfloat16
    and 10 % for int8 (a signal-to-noise ratio of 20 dB). It replaces the two other rules.

Fill values, such as the -1e9 or the ``finfo.min`` of a mask, would make the scale
meaningless. A group of elements that are at least 5000 and 100 times larger than
all others is therefore left out of the scale and of the float64 rule; each of
these elements must be within ``rtol``.

An output of another kind of number is wrong: floating point instead of integers, for
example. Another size, such as ``int32`` instead of ``int64``, is noted. Complex outputs
may be pairs of real and imaginary parts along a last axis. Indices may differ where
the values they refer to are equal, if these are another output of the same shape.
"""

from lexer_core.validation.judgement import freezes_state, judge, with_second
from lexer_core.validation.one_output import NOT_FINITE, Float64Outputs
from lexer_core.validation.tolerances import Tolerance, default_tolerance

__all__ = [
    "NOT_FINITE",
    "Float64Outputs",
    "Tolerance",
    "default_tolerance",
    "freezes_state",
    "judge",
    "with_second",
]
