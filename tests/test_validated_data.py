"""Does data from a JSON or TOML file match a record?"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence  # noqa: TC003  resolved by validated()
from types import GenericAlias
from typing import Any, Literal, TypeVar

import numpy as np
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from lexer_core.validated_data import (
    InvalidDataError,
    check_version,
    parse_json,
    parse_toml,
    validated,
)


@frozen(kw_only=True)
class Point:
    x: float
    y: float | None = None


def _positive(instance, attribute, value):
    if value <= 0:
        raise ValueError(f"{attribute.name} must be positive")


@frozen(kw_only=True)
class Drawing:
    name: str
    points: tuple[Point, ...] = ()
    axes: Sequence[int | str] = ()
    colours: Mapping[str, str] = field(factory=dict)
    kind: Literal["line", "area"] = "line"
    closed: bool = False
    width: int = field(default=1, validator=_positive)
    anything: object = None
    cached: int = 0


def test_nested_data_becomes_records():
    data = {
        "name": "d",
        "points": [{"x": 1}, {"x": 2.5, "y": None}],
        "axes": [1, "time"],
        "colours": {"line": "red"},
        "kind": "area",
        "closed": True,
        "anything": [1, {"a": None}],
    }

    assert validated(data, Drawing) == Drawing(
        name="d",
        points=(Point(x=1.0), Point(x=2.5)),
        axes=(1, "time"),
        colours={"line": "red"},
        kind="area",
        closed=True,
        anything=[1, {"a": None}],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 7}, "name: expected a string, got 7"),
        ({"points": [{"x": 1}, {"x": "2"}]}, "points[1].x: expected a number, got '2'"),
        ({"points": [{"y": 1}]}, "'points[0].x' is missing"),
        ({"points": {}}, "points: expected a list, got {}"),
        ({"points": [[]]}, "points[0]: expected a mapping, got []"),
        ({"axes": [1.5]}, "axes[0]: expected a whole number or a string, got 1.5"),
        ({"colours": {"line": 1}}, "colours.line: expected a string, got 1"),
        ({"kind": "dot"}, "kind: expected one of 'line', 'area', got 'dot'"),
        ({"closed": 1}, "closed: expected true or false, got 1"),
        ({"width": True}, "width: expected a whole number, got True"),
        ({"width": 2**63}, "width: expected a whole number of 64 bits, got 9223372036854775808"),
        ({"width": 0}, "width must be positive"),
    ],
)
def test_an_error_names_the_place_and_what_was_expected(change, message):
    with pytest.raises(InvalidDataError) as caught:
        validated({"name": "d"} | change, Drawing)

    assert str(caught.value) == message


def test_a_number_that_no_float_can_hold_is_invalid():
    with pytest.raises(InvalidDataError, match="fits in a float"):
        validated({"x": 10**400}, Point)


def test_unknown_fields_are_ignored():
    assert validated({"x": 1, "z": 2}, Point) == Point(x=1.0)


def test_a_skipped_field_is_not_read():
    data = {"name": "d", "cached": 9}

    drawing = validated(data, Drawing, skip=lambda attribute: attribute.name == "cached")

    assert drawing.cached == 0


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000, "1" * 100_000])
def test_text_that_is_not_json_is_invalid(text):
    with pytest.raises(InvalidDataError, match="not valid JSON"):
        parse_json(text)


@pytest.mark.parametrize("text", ["a", "[[[", "a = " + "[" * 100_000])
def test_text_that_is_not_toml_is_invalid(text):
    with pytest.raises(InvalidDataError, match="not valid TOML"):
        parse_toml(text)


def test_a_newer_version_is_refused_with_a_hint():
    with pytest.raises(InvalidDataError, match="version 3 is not supported") as caught:
        check_version({"schema": 3}, "schema", 2)

    assert caught.value.hint == "Install a newer lexer-core."


@pytest.mark.parametrize("data", [{}, [], {"schema": True}, {"schema": "2"}, {"schema": 1}])
def test_a_missing_or_different_version_is_refused(data):
    with pytest.raises(InvalidDataError):
        check_version(data, "schema", 2)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "points", "x", "axes", "kind"]), inner)
        ),
        max_leaves=12,
    )
)
def test_any_data_is_read_or_invalid(data):
    with contextlib.suppress(InvalidDataError):
        assert isinstance(validated(data, Drawing), Drawing)


def test_the_type_of_an_array_may_be_an_alias():
    # As numpy.typing.NDArray is from numpy 2.5 on, which needs Python 3.12.
    item = TypeVar("item", bound=np.generic)

    class Alias:
        __value__ = np.ndarray[tuple[Any, ...], np.dtype[item]]

    kind = GenericAlias(Alias, (np.float64,))
    array = np.ones(2)

    assert validated(array, kind, "samples") is array
    with pytest.raises(InvalidDataError):
        validated([1.0], kind, "samples")
