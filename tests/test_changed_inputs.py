"""What if an engine's calls change their inputs?"""

from __future__ import annotations

import collections
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_engines import FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import LexerContext
from lexer_core.model.value_state import state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lexer_core.results import BenchmarkResult

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)

_BEFORE, _, _REST = TOY_ENGINE.partition("@hookimpl\ndef lexer_time_calls")
HONEST = _BEFORE + _REST[_REST.index("@hookimpl") :]
"""The toy without its own timing loop; its samples are the core's."""


def _running(statement: str) -> str:
    """Return a toy whose calls execute a statement at their end."""
    old = "            pass\n        return placed\n"
    assert old in HONEST
    return HONEST.replace(
        old,
        f"            pass\n        outputs = placed.copy()\n        {statement}\n"
        "        return outputs\n",
    )


WRITES = _running("placed += 1")
WRITES_LATER = _running("placed += self.calls > 3")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, BenchmarkResult]]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    for name, source in {"pure": HONEST, "writes": WRITES, "later": WRITES_LATER}.items():
        site.add_engine(name, source)
    model = write_toy_model(tmp_path_factory.mktemp("model"))
    with site.on_path():
        report = LexerContext().benchmark(
            model,
            INPUT,
            engines=["pure", "writes", "later"],
            num_iterations=30,
            warm_up_seconds=0.02,
            canary=False,
        )
        yield {row.label: row for row in report}


def test_an_engine_whose_calls_change_their_inputs_gets_new_ones(
    rows: dict[str, BenchmarkResult],
) -> None:
    row = rows["writes"]

    assert (row.status, row.num_samples, row.withheld) == ("ok", 30, "")
    assert row.parity is not None
    assert row.parity.status == "pass"
    assert any("change their inputs" in warning for warning in row.warnings)
    assert row.rank is not None


def test_a_pure_engine_is_timed_as_ever(rows: dict[str, BenchmarkResult]) -> None:
    assert not any("inputs" in warning for warning in rows["pure"].warnings)
    assert rows["pure"].withheld == ""


def test_an_engine_that_changes_its_inputs_only_later_is_not_compared(
    rows: dict[str, BenchmarkResult],
) -> None:
    row = rows["later"]

    assert (row.status, row.rank) == ("ok", None)
    assert "its outputs disagree" in row.withheld or "changed their inputs" in row.withheld


# -- the state of a value ------------------------------------------------------------


class Slots:
    __slots__ = ("items",)

    def __init__(self) -> None:
        self.items = [1]


class Attributes:
    def __init__(self) -> None:
        self.array = np.zeros(2)
        self.me = self


CHANGES: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "an array": (lambda: np.zeros(2), lambda value: value.__setitem__(0, 1)),
    "the sign of zero": (lambda: np.zeros(2), lambda value: value.__setitem__(0, -0.0)),
    "a list": (lambda: [np.zeros(2)], lambda value: value.append(1)),
    "a dict": (lambda: {"a": 1, "b": 2}, lambda value: value.pop("a")),
    "the order of a dict": (lambda: {"a": 1, "b": 2}, lambda d: d.update(a=d.pop("a"))),
    "a set": (lambda: {1, 2}, lambda value: value.add(3)),
    "a deque": (lambda: collections.deque([1]), lambda value: value.rotate(1) or value.append(2)),
    "an attribute": (Attributes, lambda value: setattr(value, "more", 1)),
    "an attribute's content": (Attributes, lambda value: value.array.fill(1)),
    "a slot": (Slots, lambda value: value.items.append(2)),
    "an argument": (lambda: partial(print, [1], key=[2]), lambda p: p.keywords["key"].append(3)),
    "a generator": (lambda: random.Random(3), lambda value: value.random()),
    "a generator of numpy": (lambda: np.random.default_rng(3), lambda value: value.random()),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_noticed(what: str) -> None:
    make, change = CHANGES[what]
    value = make()
    before = state_of(value)

    assert state_of(value) == before
    assert before.is_complete
    change(value)
    assert state_of(value) != before


def test_equal_values_have_the_same_state() -> None:
    value = {"x": [np.array([np.nan]), float("nan")]}
    before = state_of(value)

    value["x"] = [np.array([np.nan]), float("nan")]

    assert state_of(value) == before


def test_the_state_of_an_object_that_hides_it_is_incomplete() -> None:
    assert not state_of({"x": iter([1, 2])}).is_complete
    assert state_of({"x": print, "y": Slots, "z": np}).is_complete
