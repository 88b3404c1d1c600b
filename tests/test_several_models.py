"""Are several models measured in one table?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_engines import FakeSite
from scale_engine import SCALE_ENGINE, write_scale_model

from lexer_core import LexerContext, load
from lexer_core.cli.main import run
from lexer_core.comparison import rerun
from lexer_core.errors import TargetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

INPUT = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
QUICK = {
    "isolation": "none",
    "rounds": 15,
    "warm_up_seconds": 0.02,
    "canary": False,
    "show_progress": False,
    "engines": ["scale"],
}


@pytest.fixture(scope="module", autouse=True)
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("scale", SCALE_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "small": write_scale_model(folder / "small.onnx"),
        "large": write_scale_model(folder / "large.onnx", work=3, factor=5),
    }


@pytest.fixture(scope="module")
def report(models: dict[str, Any]) -> BenchmarkReport:
    return LexerContext().benchmark(models, INPUT, **QUICK)


def test_each_model_has_a_row_on_each_engine(report: BenchmarkReport) -> None:
    assert [(row.label, row.model) for row in report.results] == [
        ("small/scale", "small"),
        ("large/scale", "large"),
    ]
    assert {row.status for row in report} == {"ok"}
    assert report.model_name == "small, large"


def test_models_are_compared_with_each_other(report: BenchmarkReport) -> None:
    assert report.fastest is not None
    assert report.fastest.label == "small/scale"
    ratio = report.speedup("small/scale", "large/scale").ratio
    assert ratio.estimate == pytest.approx(3.0, rel=0.2)


def test_a_set_up_is_not_paid_back_by_another_model(report: BenchmarkReport) -> None:
    assert all(row.break_even_calls is None for row in report)
    assert "paid back" not in str(report)


def test_a_model_may_have_its_own_inputs(models: dict[str, Any]) -> None:
    other = {"x": np.ones((2, 3), dtype=np.float32)}
    pairs = {"small": models["small"], "large": (models["large"], other)}

    report = LexerContext().benchmark(pairs, INPUT, **QUICK)

    assert {row.status for row in report} == {"ok"}


@pytest.mark.parametrize("wrong", [{}, {"": "x.onnx"}, {3: "x.onnx"}, {"a\nb": "x.onnx"}])
def test_models_need_names(wrong: Any) -> None:
    with pytest.raises(TargetError):
        LexerContext().benchmark(wrong, INPUT, **QUICK)


def test_the_command_measures_several_targets(
    models: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = list(map(str, models.values()))
    options = ["--input", "x=float32[2,3]", "--engine", "scale", "--isolation", "none"]
    more = ["--rounds", "12", "--no-canary", "-o", str(tmp_path / "run.lexer")]

    status = run(["benchmark", *targets, *options, *more])

    saved = load(tmp_path / "run.lexer")
    assert status == 0
    assert [row.model for row in saved.results] == targets
    assert f"lexer benchmark {' '.join(targets)} " in saved.command
    assert all(target in capsys.readouterr().out for target in targets[:1])


def test_a_target_that_is_given_twice_is_refused(models: dict[str, Any]) -> None:
    target = str(models["small"])

    assert run(["benchmark", target, target, "--input", "x=float32[2,3]"]) == 2


def test_a_rerun_measures_one_model(report: BenchmarkReport, models: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"several models \(small, large\)"):
        rerun(report, models["small"], INPUT)
