"""Does an engine lose its rank if its work is not in the measured calls?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from sly_engine import SLY_ENGINE
from toy_engine import write_toy_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.benchmark.fresh_calls import FreshCalls, Steps
from lexer_core.benchmark.varied_inputs import one_value_changed

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport

MILLISECOND, MICROSECOND = 1e-3, 1e-6

TRICKS = {
    "thunk": "the engine works in lexer_fetch_outputs, which is not timed",
    "remembers_inputs": "the engine works in lexer_fetch_outputs, which is not timed",
    "in_place": "the engine works in lexer_place_inputs, which is not timed",
    "by_object": "the engine remembers outputs",
    "by_bytes": "the engine remembers outputs",
    "always_the_first": "the engine remembers outputs: for other inputs, it returns the same ones",
}
UNCHECKED = ("crashes_on_others", "refuses_others")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> BenchmarkReport:
    """One benchmark of an honest engine, and of one engine for each trick."""
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("sly", SLY_ENGINE)
    model = write_toy_model(tmp_path_factory.mktemp("model"))
    names = ("writes_over_the_export", *TRICKS, *UNCHECKED)
    tricks = [EngineChoice("sly", {"trick": name}, label=name) for name in names]
    with site.on_path():
        return LexerContext().benchmark(
            model,
            np.arange(6, dtype=np.float32).reshape(2, 3),
            engines=["sly", *tricks],
            num_iterations=100,
            warm_up_seconds=0.05,
            canary=False,
        )


@pytest.mark.parametrize("trick", TRICKS)
def test_an_engine_that_hides_its_work_keeps_its_numbers_and_loses_its_rank(
    report: BenchmarkReport, trick: str
) -> None:
    row = report[trick]

    assert (row.status, row.num_samples, row.rank) == ("ok", 100, None)
    assert row.withheld.startswith(TRICKS[trick])
    assert {pair.verdict for pair in report.comparisons if trick in (pair.a, pair.b)} == {"none"}
    assert any(TRICKS[trick] in sentence for sentence in report.sentences)


def test_an_honest_engine_keeps_its_rank(report: BenchmarkReport) -> None:
    assert (report["sly"].withheld, report["sly"].rank) == ("", 1)


def test_an_engine_that_refuses_other_inputs_is_not_suspected(report: BenchmarkReport) -> None:
    row = report["refuses_others"]

    assert (row.status, row.withheld) == ("ok", "")
    assert row.rank is not None


def test_a_crash_on_other_inputs_costs_no_numbers(report: BenchmarkReport) -> None:
    row = report["crashes_on_others"]

    assert (row.status, row.num_samples, row.withheld) == ("ok", 100, "")
    assert any("calls on other inputs were not checked" in warning for warning in row.warnings)


def test_an_engine_that_writes_over_the_export_costs_only_its_own_row(
    report: BenchmarkReport,
) -> None:
    row = report["writes_over_the_export"]

    assert row.status == "failed"
    assert "wrote to the exported model" in row.error.reason
    assert all(other.status == "ok" for other in report if other.label != row.label)


# -- what is plausible -----------------------------------------------------------------


def calls(
    *,
    usual: float,
    placing: float = 0.0,
    running: float = 0.0,
    fetching: float = 0.0,
    copying: float = 50 * MICROSECOND,
    count: int = 1,
) -> FreshCalls:
    return FreshCalls(
        usual=usual,
        steps=Steps(placing=placing, running=running, fetching=fetching),
        undisturbed=0,
        calls=count,
        copying_inputs=copying,
        copying_outputs=copying,
    )


@pytest.mark.parametrize(
    "honest",
    [
        # A tiny model, for which hooks take longer than calls.
        calls(usual=6 * MICROSECOND, placing=60e-6, running=50e-6, fetching=60e-6, count=50),
        # A model that returns its input, of which a copy takes long.
        calls(usual=1 * MICROSECOND, fetching=40 * MILLISECOND, copying=60 * MILLISECOND),
        # One call that was disturbed.
        calls(usual=6 * MICROSECOND, running=0.9 * MILLISECOND),
        # A slow model on a machine that became slower.
        calls(usual=20 * MILLISECOND, placing=1e-3, running=55e-3, fetching=1e-3),
    ],
)
def test_overhead_and_disturbances_are_no_hidden_work(honest: FreshCalls) -> None:
    assert honest.problem == ""


def test_work_of_less_than_a_millisecond_is_seen_in_many_calls() -> None:
    few = calls(usual=1 * MICROSECOND, fetching=150 * MICROSECOND, count=5)
    many = calls(usual=1 * MICROSECOND, fetching=150 * MICROSECOND, count=50)

    assert few.problem == ""
    assert many.problem == (
        "the engine works in lexer_fetch_outputs, which is not timed: a call takes 1 µs, "
        "fetching its outputs 150 µs"
    )


# -- other inputs ------------------------------------------------------------------------


def test_one_value_is_moved_within_the_range_of_its_array() -> None:
    arrays = {
        "mask": np.array([True, False]),
        "ids": np.array([[5, 3, 9]]),
        "image": np.array([[1.5, 2.5], [3.5, 4.5]], np.float32),
    }
    changed = one_value_changed(arrays, 0)

    assert (changed["image"] != arrays["image"]).sum() == 1
    assert 1.5 <= changed["image"].min() < changed["image"].max() <= 4.5
    assert (changed["ids"] == arrays["ids"]).all()
    assert not changed["image"].flags.writeable


@pytest.mark.parametrize(
    ("array", "differing"),
    [
        (np.array([5, 3, 9]), 1),
        (np.array([1, 2, 3]), 0),  # offsets
        (np.array([0, 1, 1, 0]), 0),  # a mask
        (np.array([False, True]), 0),
        (np.zeros(3, np.float32), 1),
        (np.full(3, 2, np.float16), 1),
        (np.array(2.5), 1),
        (np.array([], np.float32), 0),
        (np.array([1 + 2j, 3]), 1),
        (np.array([[1.0, 2.0], [3.0, 4.0]]).T, 1),
    ],
)
def test_what_may_be_a_mask_or_an_offset_stays(array: np.ndarray, differing: int) -> None:
    assert (one_value_changed({"x": array}, 0)["x"] != array).sum() == differing


def test_each_number_changes_another_value_and_always_the_same() -> None:
    arrays = {"x": np.arange(6, dtype=np.float32)}
    first, again = ([one_value_changed(arrays, n)["x"].tobytes() for n in range(50)] for _ in "ab")

    assert first == again
    assert len(set(first)) == 50
