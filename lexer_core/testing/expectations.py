"""Are these outputs correct?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import UnsupportedError
from lexer_core.testing.outcomes import CheckFailed
from lexer_core.validation import judge

if TYPE_CHECKING:
    from lexer_core.testing.model_zoo import Arrays

__all__ = ["expect_outputs", "expect_outputs_or_caveat", "expect_same"]


def expect_outputs(got: Arrays, wanted: Arrays, *, after: str, hint: str = "") -> None:
    """Compare names, element types, shapes and values.

    Parameters
    ----------
    got, wanted
        The engine's outputs and the expected ones, by name.
    after
        When they were computed, for the message: ``"after a second call"``.
    hint
        How to fix a difference.

    Raises
    ------
    CheckFailed
        They differ; the message says how.
    """
    difference = _difference(got, wanted)
    if difference:
        raise CheckFailed(f"{after}, {difference}", hint)


def expect_same(got: Arrays, before: Arrays, *, after: str, hint: str = "") -> None:
    """Compare outputs of the same engine bit by bit; raise like :func:`expect_outputs`."""
    for name, array in before.items():
        if got[name].tobytes() != array.tobytes():
            raise CheckFailed(f"{after}, output {name!r} {_example(got[name], array)}", hint)


def expect_outputs_or_caveat(
    got: Arrays, wanted: Arrays, *, caveat: str, after: str, hint: str = ""
) -> None:
    """Compare like :func:`expect_outputs`; refuse wrong outputs of a session with a caveat.

    Raises
    ------
    UnsupportedError
        The outputs differ, and the session has a caveat.
    """
    try:
        expect_outputs(got, wanted, after=after, hint=hint)
    except CheckFailed as failed:
        if caveat:
            raise UnsupportedError(caveat) from failed
        raise


def _difference(got: Arrays, wanted: Arrays) -> str:
    missing = [name for name in wanted if name not in got]
    surplus = [name for name in got if name not in wanted]
    if missing or surplus:
        return f"the outputs are named {_listed(got)} instead of {_listed(wanted)}"
    for name, right in wanted.items():
        array = got[name]
        if array.shape != right.shape:
            return f"output {name!r} has shape {array.shape} instead of {right.shape}"
        if array.dtype != right.dtype:
            return f"output {name!r} is {array.dtype} instead of {right.dtype}"
    parity = judge(got, wanted, reference_name="the reference")
    if parity.status == "pass" or not wanted:
        return ""
    for judged in parity.outputs:
        if not judged.passed:
            return f"output {judged.name!r} {_example(got[judged.name], wanted[judged.name])}"
    raise AssertionError(f"unreachable: outputs differ, but none fails ({parity.reason})")


def _example(got: Any, wanted: Any) -> str:
    """Describe the first element that differs."""
    import numpy as np  # imported already, since there are arrays

    wrong = ~((got == wanted) | ((got != got) & (wanted != wanted)))  # noqa: PLR0124 - NaN
    places = np.argwhere(wrong)
    if not len(places):
        return "has equal values with different bits"
    place = tuple(int(number) for number in places[0])
    where = f"[{', '.join(map(str, place))}]" if place else ""
    return f"is {got[place]}{f' at {where}' if where else ''} instead of {wanted[place]}"


def _listed(arrays: Arrays) -> str:
    return ", ".join(map(repr, arrays)) or "nothing"
