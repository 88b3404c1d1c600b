"""``lexer compare``, on saved files."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from saved_runs import a_run
from toy_engine import TOY_ENGINE, write_toy_model

import lexer_core
from lexer_core import EngineChoice, LexerContext, artifact
from lexer_core.cli.main import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport


def save(report: BenchmarkReport, path: Path) -> str:
    artifact.save(report, path)
    return str(path)


def a_seeded_run(seed: int, seconds: float = 0.02, **facts: object) -> BenchmarkReport:
    return a_run(np.random.default_rng(seed), seconds={"torch": seconds}, **facts)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("runs")
    runs = {
        "base": a_seeded_run(1),
        "same": a_seeded_run(2),
        "slow": a_seeded_run(3, 0.024),
        "single": a_seeded_run(4, launches=1, rounds=20),
        "elsewhere": a_seeded_run(5, environment={"cpu_model": "another"}),
    }
    return {name: save(report, folder / f"{name}.lexer") for name, report in runs.items()}


def test_saved_runs_are_compared(files: dict[str, str], capsys: pytest.CaptureFixture) -> None:
    status = run(["compare", files["base"], files["slow"]])
    shown = capsys.readouterr().out

    assert status == 0
    assert "slow against base, AmazingNet: 1 REGRESSION" in shown
    assert "1.20" in shown


@pytest.mark.parametrize(
    ("new", "fail_on", "status"),
    [
        ("same", "regression", 0),
        ("same", "not-comparable", 0),
        ("slow", None, 0),
        ("slow", "regression", 1),
        ("slow", "inconclusive", 1),
        ("single", "regression", 0),
        ("single", "inconclusive", 1),
        ("elsewhere", "inconclusive", 0),
        ("elsewhere", "not-comparable", 1),
    ],
)
def test_the_exit_status_is_the_gate(
    files: dict[str, str], new: str, fail_on: str | None, status: int
) -> None:
    gate = [] if fail_on is None else ["--fail-on", fail_on]

    assert run(["compare", files["base"], files[new], *gate]) == status


@pytest.mark.parametrize("threshold", ["30%", "0.3"])
def test_the_threshold_is_a_share_or_a_percentage(
    files: dict[str, str], capsys: pytest.CaptureFixture, threshold: str
) -> None:
    gate = ["--threshold", threshold, "--fail-on", "regression"]

    assert run(["compare", files["base"], files["slow"], *gate]) == 0
    assert "Threshold 30%" in capsys.readouterr().out


def test_of_several_runs_one_regression_fails_the_gate(
    files: dict[str, str], capsys: pytest.CaptureFixture
) -> None:
    runs = [files["base"], files["same"], files["slow"], files["elsewhere"]]

    assert run(["compare", *runs, "--fail-on", "regression", "--format", "json"]) == 1
    pairs = json.loads(capsys.readouterr().out)["pairs"]
    assert [pair["new"]["title"] for pair in pairs] == ["same", "slow", "elsewhere"]
    assert [pair["cases"][0]["verdict"] for pair in pairs] == ["OK", "REGRESSION", "NOT COMPARABLE"]


def test_the_comment_is_written_beside_the_table(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    comment = tmp_path / "comment.md"
    run(["compare", files["base"], files["slow"], "-o", str(comment)])

    assert comment.read_text().startswith("<!-- lexer compare -->\n### Lexer: 1 REGRESSION")
    assert "slow against base" in capsys.readouterr().out


def test_files_of_one_name_are_called_by_their_paths(tmp_path: Path) -> None:
    paths = []
    for at, name in enumerate(["main", "branch"]):
        (tmp_path / name).mkdir()
        paths.append(save(a_seeded_run(at), tmp_path / name / "run.lexer"))
    comparison = lexer_core.compare(*paths)

    assert [comparison.base.title, comparison.pairs[0].new.title] == paths
    assert comparison.base.path == paths[0]


def test_what_is_no_saved_run_is_bad_usage(
    files: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    broken = tmp_path / "broken.lexer"
    broken.write_bytes(b"no run at all")

    assert run(["compare", files["base"], str(broken)]) == 2
    assert "broken.lexer" in capsys.readouterr().err
    assert run(["compare", files["base"], str(tmp_path / "missing.lexer")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert run(["compare", files["base"], str(tmp_path)]) == 2


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["base"],
        ["base", "same", "--threshold", "much"],
        ["base", "same", "--threshold", "0"],
        ["base", "same", "--fail-on", "anything"],
        ["base", "same", "-o", "comparison.xyz"],
    ],
)
def test_bad_usage_exits_with_2(files: dict[str, str], words: list[str]) -> None:
    assert run(["compare", *(files.get(word, word) for word in words)]) == 2


def test_help_imports_neither_numpy_nor_a_framework() -> None:
    code = """
import sys
from lexer_core.cli.main import run
assert run(["compare", "--help"]) == 0
heavy = {"numpy", "scipy", "rich", "torch", "onnx", "onnxruntime"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "--fail-on" in done.stdout


# --- measured, saved, and compared ---

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE)
    with site.on_path():
        yield site


def test_a_model_with_twice_the_work_is_found_in_files_that_were_measured(
    toys: FakeSite, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    model = write_toy_model(tmp_path)
    paths = []
    for name, work in (("base", 2), ("new", 4)):
        if name == "new":
            model.write_bytes(b"another model of the same name")
        report = LexerContext().benchmark(
            model,
            INPUT,
            engines=[EngineChoice("toy", {"work": work}, label="toy")],
            launches=3,
            rounds=12,
            warm_up_seconds=0.05,
        )
        paths.append(save(report, tmp_path / f"{name}.lexer"))
    # A wide threshold: what is asked here is not how quiet this machine is.
    status = run(
        ["compare", *paths, "--threshold", "20%", "--fail-on", "regression", "--format", "json"]
    )
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    (case,) = pair["cases"]

    assert (case["base_launches"], case["new_launches"]) == (3, 3)
    assert 1.2 < case["ratio"]["estimate"] < 3.5
    assert case["verdict"] in ("REGRESSION", "INCONCLUSIVE")
    assert status == (case["verdict"] == "REGRESSION")
    assert ("options", "work", "2", "4") in {
        (change["kind"], change["name"], change["base"], change["new"])
        for change in case["changes"]
    }
    assert "file" in {change["name"] for change in pair["changes"]}
