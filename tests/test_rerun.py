"""Measuring a base's models again beside a new one, with an engine that needs no framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from scale_engine import SCALE_ENGINE, write_scale_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.artifact import load, save
from lexer_core.comparison import rerun
from lexer_core.comparison.rerun_execution import execute_rerun
from lexer_core.errors import InputError, SettingError, TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)
QUICK = {
    "rounds": 12,
    "warm_up_seconds": 0.02,
    "threads": 1,
    "canary": False,
    "isolation": "none",
}
"""Without processes, which take most of the time and are not needed by most tests."""

IN_PROCESSES = {"isolation": "process"}


@pytest.fixture(scope="module", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("scale", SCALE_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    return write_scale_model(folder / "model.onnx")


@pytest.fixture(scope="module")
def base(model: Path, folder: Path) -> Path:
    """A saved benchmark of two rows: one engine, with other options in each."""
    slow = EngineChoice("scale", {"unit": 300}, label="slow")
    report = LexerContext().benchmark(
        model,
        INPUT,
        engines=["scale", slow],
        num_iterations=40,
        seed=3,
        **QUICK | IN_PROCESSES | {"rounds": None},
    )
    return save(report, folder / "base.lexer")


def again(base: Path | BenchmarkReport, model: Path, **asked: Any) -> Any:
    return execute_rerun(base, model, **QUICK | asked)


def notes_of(done: Any) -> tuple[str, ...]:
    return done.comparison.pairs[0].notes


@pytest.fixture(scope="module")
def same(base: Path, model: Path) -> Any:
    # Enough rounds for an interval, also if a noisy machine takes some away as warm-up.
    return again(base, model, **IN_PROCESSES | {"rounds": 40})


def test_the_same_model_is_no_regression(same: Any) -> None:
    assert [case.label for case in same.comparison.cases] == ["scale", "slow"]
    for case in same.comparison.cases:
        assert case.verdict != "REGRESSION", case
        assert case.method == "rerun"
        assert case.ratio.estimate == pytest.approx(1.0, rel=0.3)
        assert case.ratio.low < case.ratio.estimate < case.ratio.high
        assert case.changes == ()


def test_both_models_are_measured_with_the_options_of_the_base(same: Any) -> None:
    for report in (same.new, same.base):
        assert [row.label for row in report.results] == ["scale", "slow"]
        assert [row.options["unit"] for row in report] == [200, 300]
        assert {row.status for row in report} == {"ok"}


def test_both_models_take_part_in_the_same_rounds(same: Any) -> None:
    for label in ("scale", "slow"):
        new, old = same.new[label], same.base[label]
        assert np.unique(new.sample_rounds).tolist() == np.unique(old.sample_rounds).tolist()
    assert any(
        "40 interleaved rounds: scale, slow" in note for note in same.comparison.pairs[0].notes
    )


def test_a_slower_model_is_a_regression_in_every_row(base: Path, folder: Path) -> None:
    comparison = again(base, write_scale_model(folder / "slower.onnx", work=2)).comparison

    assert {case.verdict for case in comparison.cases} == {"REGRESSION"}
    assert comparison["scale"].ratio.estimate == pytest.approx(2, rel=0.3)
    assert comparison.regressions == comparison.cases


def test_a_faster_model_is_an_improvement(folder: Path, model: Path) -> None:
    slower = write_scale_model(folder / "slow_base.onnx", work=3)
    report = LexerContext().benchmark(slower, INPUT, engines=["scale"], **QUICK)

    comparison = rerun(report, model, **QUICK)

    assert comparison["scale"].verdict == "IMPROVED"


def test_other_outputs_are_a_change_and_no_failure(base: Path, folder: Path) -> None:
    changed = write_scale_model(folder / "weights.onnx", factor=3)
    # Enough rounds for an interval, also if a noisy machine takes some away as warm-up.
    done = again(base, changed, input=INPUT, rounds=40)

    for case in done.comparison.cases:
        assert case.verdict != "NOT COMPARABLE"
        assert case.ratio.low is not None
        (change,) = [change for change in case.changes if change.name.startswith("outputs")]
        # x * 3 in place of x * 2, and the largest x is 5.
        assert "differ by up to 5 " in change.name
    assert not any(row.withheld for row in (*done.new, *done.base))


def test_the_inputs_of_the_base_are_made_again(same: Any, base: Path) -> None:
    assert same.new.input_specs == load(base).input_specs
    assert any("inputs of the same shapes and types" in note for note in notes_of(same))


def test_the_recorded_options_recreate_the_inputs_of_the_base(base: Path, model: Path) -> None:
    recorded = attrs.evolve(load(base), input_options=["x=float32[2,3]:0..7"], seed=3)

    done = again(recorded, model)

    assert done.new.input_options == ("x=float32[2,3]:0..7",)
    assert done.new.seed == 3
    assert not any("shapes and types" in note for note in notes_of(done))


def test_inputs_that_the_base_does_not_take_are_refused(base: Path, folder: Path) -> None:
    other = write_scale_model(folder / "other.onnx", input="pixels")

    with pytest.raises(InputError, match=r"models in base\.lexer"):
        again(base, other, input={"pixels": INPUT})


def test_a_new_model_that_does_not_take_the_base_s_inputs_is_refused(
    base: Path, folder: Path
) -> None:
    other = write_scale_model(folder / "other.onnx", input="pixels")

    with pytest.raises(InputError, match="'x'"):
        again(base, other)


def test_a_row_without_a_model_is_compared_through_the_canary_and_says_so(
    base: Path, model: Path
) -> None:
    without = attrs.evolve(load(base), models=())

    done = again(without, model, canary=True, **IN_PROCESSES)

    assert done.comparison.method == "canary"
    for case in done.comparison.cases:
        assert case.method == "canary"
        assert "was saved without the model" in case.reason
        assert "relative to the reference workload" in case.reason
    assert len(done.base) == 0
    assert [row.status for row in done.new.results] == ["ok", "ok"]


def test_the_base_s_own_model_stands_in_for_one_that_was_not_kept(base: Path, model: Path) -> None:
    without = attrs.evolve(load(base), models=())

    done = again(without, model, base_model=model, input=INPUT)

    assert {case.method for case in done.comparison.cases} == {"rerun"}
    assert [row.status for row in done.base.results] == ["ok", "ok"]


def test_an_engine_that_is_not_here_costs_its_own_row(base: Path, model: Path) -> None:
    report = load(base)
    rows = [report["scale"], attrs.evolve(report["slow"], engine_name="departed")]

    done = again(attrs.evolve(report, results=rows), model)

    assert done.comparison["scale"].method == "rerun"
    gone = done.comparison["slow"]
    assert gone.verdict == "NOT COMPARABLE"
    assert "departed" in gone.reason
    assert done.new["slow"].status == "failed"


def test_an_option_that_the_engine_has_no_more_costs_its_own_row(base: Path, model: Path) -> None:
    report = load(base)
    rows = [report["scale"], attrs.evolve(report["slow"], options={"depth": 3})]

    gone = again(attrs.evolve(report, results=rows), model).comparison["slow"]

    assert gone.verdict == "NOT COMPARABLE"
    assert "depth" in gone.reason


def test_a_new_model_that_fails_costs_its_row_a_verdict_and_not_the_run(
    base: Path, folder: Path
) -> None:
    done = again(base, write_scale_model(folder / "dies.onnx", dies=True), **IN_PROCESSES)

    for case in done.comparison.cases:
        assert case.verdict == "NOT COMPARABLE"
        assert "failed" in case.reason
    assert {row.status for row in done.base} == {"ok"}


def test_a_base_s_model_that_fails_is_said(base: Path, model: Path, folder: Path) -> None:
    dying = write_scale_model(folder / "dying.onnx", dies=True)
    report = load(base)
    kept = [attrs.evolve(each, files=(dying,)) for each in report.models]

    done = again(attrs.evolve(report, models=kept), model, canary=True, **IN_PROCESSES)

    for case in done.comparison.cases:
        assert case.method == "canary"
        assert "the base's model failed while loading the model" in case.reason


def test_a_row_that_failed_in_the_base_is_not_measured(base: Path, model: Path) -> None:
    report = load(base)
    rows = [report["scale"], attrs.evolve(report["slow"], status="failed", p50_ms=None)]

    done = again(attrs.evolve(report, results=rows), model)

    assert done.comparison["slow"].verdict == "NOT COMPARABLE"
    assert "no results in the base" in done.comparison["slow"].reason
    assert [row.label for row in done.new.results] == ["scale"]


def test_a_base_of_which_nothing_can_be_measured_is_refused(base: Path, model: Path) -> None:
    report = load(base)
    rows = [attrs.evolve(row, engine_name="departed") for row in report.results]

    with pytest.raises(UsageError, match="no row of the base") as caught:
        again(attrs.evolve(report, results=rows), model)

    assert "departed" in caught.value.hint


def test_what_the_new_model_left_may_be_the_next_base(
    base: Path, model: Path, folder: Path
) -> None:
    kept = folder / "next.lexer"
    done = again(base, model, save=kept)

    report = load(kept)

    assert [row.label for row in report.results] == ["scale", "slow"]
    assert [sorted(each.labels) for each in report.models] == [["scale", "slow"]]
    assert report == done.new
    assert done.comparison.pairs[0].new.title == "next"
    assert rerun(kept, model, **QUICK)["scale"].method == "rerun"


def test_threads_and_launches_are_the_base_s_unless_said_otherwise(base: Path, model: Path) -> None:
    report = load(base)
    report = attrs.evolve(report, settings={**report.settings, "launches": 2})

    asked = {name: value for name, value in QUICK.items() if name != "threads"}
    done = execute_rerun(report, model, **asked)

    assert {row.launches for row in (*done.new, *done.base)} == {2}
    assert {row.threads for row in (*done.new, *done.base)} == {1}
    assert {case.new_launches for case in done.comparison.cases} == {2}


def test_more_threads_than_there_are_here_are_not_asked_for(base: Path, model: Path) -> None:
    report = load(base)
    rows = [attrs.evolve(row, threads=4096) for row in report.results]

    asked = {name: value for name, value in QUICK.items() if name != "threads"}
    done = execute_rerun(attrs.evolve(report, results=rows), model, **asked)

    assert all(row.threads < 4096 for row in done.new)
    assert any("4096 threads" in note for note in done.comparison.pairs[0].notes)


def test_the_precision_of_a_row_is_asked_for_again(base: Path, model: Path) -> None:
    report = load(base)
    rows = [attrs.evolve(row, precision="float16") for row in report.results]

    done = again(attrs.evolve(report, results=rows), model, **IN_PROCESSES)

    assert {row.precision for row in (*done.new, *done.base)} == {"float16"}
    assert all("precision float16 threads 1" in row.log for row in (*done.new, *done.base))


def test_cases_that_do_not_fit_into_memory_together_stay_beside_their_base(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [EngineChoice("scale", label=label) for label in "abc"]
    report = LexerContext().benchmark(model, INPUT, engines=rows, **QUICK)
    monkeypatch.setattr("lexer_core.benchmark.run.available_memory_bytes", lambda: 1)

    done = again(report, model)

    assert any("measured in 2 groups" in note for note in done.new.notes)
    for label in "abc":
        assert done.comparison[label].method == "rerun"
        new, old = done.new[label], done.base[label]
        assert np.unique(new.sample_rounds).tolist() == np.unique(old.sample_rounds).tolist()
    assert set(done.new["b"].sample_rounds).isdisjoint(done.new["c"].sample_rounds)


def test_too_few_rounds_leave_it_open(base: Path, model: Path) -> None:
    case = again(base, model, rounds=4).comparison["scale"]

    assert case.verdict == "INCONCLUSIVE"
    assert case.reason == "4 rounds, 10 needed"


def test_each_side_has_processes_of_its_own_unless_there_are_to_be_none(
    same: Any, base: Path, model: Path
) -> None:
    assert {row.isolation for row in (*same.new, *same.base)} == {"process"}
    done = again(base, model)
    assert {row.isolation for row in (*done.new, *done.base)} == {"none"}


@pytest.mark.parametrize("threshold", [0.0, -0.1, float("nan"), float("inf")])
def test_a_threshold_that_is_none_is_refused_before_anything_is_measured(
    base: Path, model: Path, threshold: float
) -> None:
    with pytest.raises(SettingError, match="threshold"):
        rerun(base, model, threshold=threshold)


def test_the_threshold_decides_what_counts(base: Path, folder: Path) -> None:
    slower = write_scale_model(folder / "slower.onnx", work=2)

    comparison = again(base, slower, threshold=3.0).comparison

    assert {case.verdict for case in comparison.cases} == {"OK"}
    assert comparison["scale"].reason == "slower, but by less than the threshold"
    assert comparison.pairs[0].threshold == 3.0


def test_a_base_that_is_not_there_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"absent\.lexer"):
        rerun(tmp_path / "absent.lexer", model)
