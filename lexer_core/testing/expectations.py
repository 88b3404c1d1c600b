"""Are these outputs the right ones?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.testing.outcomes import CheckFailed
from lexer_core.validation import judge

if TYPE_CHECKING:
    from lexer_core.testing.model_zoo import Arrays

__all__ = ["expect_outputs", "expect_same"]


def expect_outputs(got: Arrays, wanted: Arrays, *, after: str, hint: str = "") -> None:
    """Compare names, element types, shapes and values.

    Parameters
    ----------
    got, wanted
        The engine's outputs and the reference's, by name.
    after
        What was done to get them, for the message: ``"after a second call"``.
    hint
        What a difference would mean.

    Raises
    ------
    CheckFailed
        They differ; the message says in what.
    """
    difference = _difference(got, wanted)
    if difference:
        raise CheckFailed(f"{after}, {difference}", hint)


def expect_same(got: Arrays, before: Arrays, *, after: str, hint: str = "") -> None:
    """Compare two outputs of the same engine bit by bit; raises like :func:`expect_outputs`."""
    for name, array in before.items():
        if got[name].tobytes() != array.tobytes():
            raise CheckFailed(f"{after}, output {name!r} {_example(got[name], array)}", hint)


def _difference(got: Arrays, wanted: Arrays) -> str:
    missing = [name for name in wanted if name not in got]
    surplus = [name for name in got if name not in wanted]
    if missing or surplus:
        return f"the outputs are called {_listed(got)}; they should be {_listed(wanted)}"
    for name, right in wanted.items():
        array = got[name]
        if array.shape != right.shape:
            return f"output {name!r} has shape {array.shape}; it should be {right.shape}"
        if array.dtype != right.dtype:
            return f"output {name!r} is {array.dtype}; it should be {right.dtype}"
    parity = judge(got, wanted, reference_name="the reference")
    if parity.status == "pass" or not wanted:
        return ""
    for judged in parity.outputs:
        if not judged.passed:
            return f"output {judged.name!r} {_example(got[judged.name], wanted[judged.name])}"
    raise AssertionError(f"unreachable: outputs were refused for {parity.reason}")


def _example(got: Any, wanted: Any) -> str:
    """The first element that differs, with what it should be."""
    import numpy as np  # arrays are at hand, so it is imported already

    wrong = ~((got == wanted) | ((got != got) & (wanted != wanted)))  # noqa: PLR0124 - NaN
    places = np.argwhere(wrong)
    if not len(places):
        return "is the same number with other bits"
    place = tuple(int(number) for number in places[0])
    where = f"[{', '.join(map(str, place))}]" if place else ""
    return f"has {got[place]} at {where or 'its only element'}; it should be {wanted[place]}"


def _listed(arrays: Arrays) -> str:
    return ", ".join(map(repr, arrays)) or "nothing"
