"""``lexer compare --rerun``, with an engine that needs no framework."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from scale_engine import SCALE_ENGINE, write_scale_model

from lexer_core.artifact import load
from lexer_core.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUICK = ["--rounds=12", "--warm-up-seconds=0.02", "--threads=1", "--isolation=none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A base, and models to measure beside its own."""
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("scale", SCALE_ENGINE)
    folder = tmp_path_factory.mktemp("runs")
    write_scale_model(folder / "model.onnx")
    write_scale_model(folder / "slower.onnx", work=2)
    with site.on_path(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        asked = ["--engine=scale", "--engine=slow=scale[unit=300]", "--input=x=float32[2,3]:1"]
        assert run(["benchmark", "model.onnx", *asked, *QUICK, "-o", "base.lexer"]) == 0
        yield folder


def again(*arguments: str) -> int:
    return run(["compare", "--rerun", *arguments, *QUICK])


def test_a_model_that_is_slower_fails_the_gate(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = again("base.lexer", "slower.onnx", "--fail-on=regression")
    shown = capsys.readouterr().out

    assert status == 1
    assert "2 REGRESSION" in shown
    assert "measured again in 12 interleaved rounds: scale, slow" in shown


def test_the_same_model_passes_the_gate_and_is_kept_as_the_next_base(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = again("base.lexer", "model.onnx", "--fail-on=regression", "--save=next.lexer")
    capsys.readouterr()
    report = load("next.lexer")

    assert status == 0
    assert report.command.startswith("lexer benchmark model.onnx ")
    assert "--rounds 12 --threads 1" in report.command
    assert "--input 'x=float32[2,3]:1' --seed 0" in report.command
    assert "--engine scale --engine 'slow=scale[unit=300]'" in report.command
    # The values of inputs are not saved, but their options are, also in the next base.
    assert again("next.lexer", "model.onnx", "--save=last.lexer") == 0
    assert "--input 'x=float32[2,3]:1' --seed 0" in load("last.lexer").command


def test_inputs_may_be_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(folder / "real.npz", x=np.full((2, 3), 7, np.float32))

    assert again("base.lexer", "model.onnx", "--inputs=real.npz", "--format=json") == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert not any("same shapes and types" in note for note in pair["notes"])
    assert {case["method"] for case in pair["cases"]} == {"rerun"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rerun", "base.lexer"], "needs a base and a TARGET"),
        (["--rerun", "base.lexer", "model.onnx", "slower.onnx"], "needs a base and a TARGET"),
        (["base.lexer", "base.lexer", "--save=x.lexer"], "--save requires --rerun"),
        (["base.lexer", "base.lexer", "--rounds=3"], "--rounds requires --rerun"),
        (["--rerun", "absent.lexer", "model.onnx"], "absent.lexer"),
        (["--rerun", "base.lexer", "absent.onnx"], "absent.onnx"),
        (
            ["--rerun", "base.lexer", "model.onnx", "--batch-size=2"],
            "--batch-size requires --input",
        ),
        (["--rerun", "base.lexer", "model.onnx", "--input=x=float32[3,3]"], "float32[3, 3]"),
        (
            ["--rerun", "base.lexer", "model.onnx", "--base-target=m:N", "--base-folder=absent"],
            "'absent'",
        ),
        (["--rerun", "base.lexer", "model.onnx", "--base-target=m.onnx"], "is an .onnx file"),
        (["--rerun", "base.lexer", "model.onnx", "--save=no/folder.lexer"], "cannot write"),
    ],
)
def test_what_cannot_be_rerun_says_why(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run(["compare", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_a_new_model_that_runs_nowhere_is_nothing_measured(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scale_model(folder / "dies.onnx", dies=True)
    quick = [option for option in QUICK if "isolation" not in option]

    assert run(["compare", "--rerun", "base.lexer", "dies.onnx", *quick]) == 4
    assert "2 NOT COMPARABLE" in capsys.readouterr().out


def test_a_rerun_that_is_broken_off_shows_what_it_has_and_passes_no_gate(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scale_model(folder / "interrupts.onnx", interrupts=1500)
    asked = [
        "--threads=1",
        "--warm-up-seconds=0.02",
        "--margin=0.0001%",
        "--min-seconds=60",
        "--max-seconds=60",
    ]

    status = run(["compare", "--rerun", "base.lexer", "interrupts.onnx", *asked])

    assert status == 130
    assert "measured again in " in capsys.readouterr().out
