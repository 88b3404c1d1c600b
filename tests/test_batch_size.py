"""How many items does one call process, as far as inputs and outputs show?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lexer_core.model.batch_size import BatchSize, confirm_batch_size, guess_batch_size
from lexer_core.model.structure import flatten_call
from lexer_core.records import CallInputs, TensorSpec


def inputs(**arguments: Any) -> CallInputs:
    call = flatten_call((), arguments, ())
    return CallInputs(arrays=call.leaves, structure=call.structure)


def array(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    "arguments",
    [
        {"image": array(4, 3, 8, 8)},
        {"ids": array(4, 16), "mask": array(4, 16)},
        {"x": array(4, 2), "scale": array(), "weights": array(7)},
        {"x": array(4, 2), "parts": [array(4, 3), array(4, 5)]},
        {"batch": {"x": array(4, 2)}},
    ],
)
def test_it_is_dimension_0_if_the_inputs_share_it(arguments: dict[str, Any]) -> None:
    assert guess_batch_size(inputs(**arguments)) == BatchSize(items=4)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"audio": array(16000)}, "no input has two dimensions"),
        ({"scale": array()}, "no input has two dimensions"),
        ({"images": [array(3, 8, 8)] * 3}, "the inputs are in a list"),
        ({"images": {"all": (array(3, 8, 8), array(3, 9, 9))}}, "the inputs are in a list"),
        ({"x": array(4, 2), "y": array(3, 2)}, "the inputs differ in dimension 0"),
        ({"x": array(4, 2), "parts": [array(3, 2)]}, "the inputs differ in dimension 0"),
        ({"x": array(0, 2)}, "dimension 0 is empty"),
    ],
)
def test_it_is_unknown_otherwise(arguments: dict[str, Any], reason: str) -> None:
    guess = guess_batch_size(inputs(**arguments))

    assert guess == BatchSize(unknown_because=reason)
    (note,) = guess.notes
    assert note == f"each call counts as 1 item ({reason}); set items_per_call to count its items"


@pytest.mark.parametrize(
    ("shapes", "items"),
    [
        ([(3, 10)], 3),
        ([(), (3, 10)], 3),
        ([("batch", 10)], 3),
        ([(10,)], None),  # a single image of three channels
        ([()], None),
        ([], None),
    ],
)
def test_an_output_must_share_it(shapes: list[Any], items: int | None) -> None:
    outputs = [TensorSpec(name="y", dtype="float32", shape=shape) for shape in shapes]

    confirmed = confirm_batch_size(BatchSize(items=3), outputs)

    assert confirmed.items == items
    assert bool(confirmed.unknown_because) == (items is None)
