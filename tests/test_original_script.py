"""Does a script for the original SDK still run, with its configuration file?"""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from lexer_core import LexerContext  # noqa: E402
from lexer_core.artifact import load  # noqa: E402
from lexer_core.errors import ExportError  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from settings_place import Place

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]

SCRIPT = """
import torch
from torch import nn

from lexer.api.lexer_context import LexerContext
from lexer.decorators.lexer import Lexer


@Lexer(input_names=["input"], output_names=["output"])
class SmallNet(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 2))

    def forward(self, input):
        return self.layers(input)


lexer_context = LexerContext()
torch.manual_seed(0)
model = SmallNet(16)
lexer_context.export(torch_model=model, input=torch.randn(4, 8))
lexer_context.benchmark(torch_model=model, input=torch.randn(4, 8), num_iterations=30)
lexer_context.flush(name="small", target_directory=".")
"""

CONFIGURATION = """
    [exports]
    batch_size = 1
    enable_export_validation = true
    enable_onnx_checks = true
    [benchmarks]
    enable_onnxruntime = true
    enable_pytorch = {pytorch}
    num_iterations = 1000000
    [outputs]
    enable_csv = {csv}
    enable_stdout = {stdout}
"""


def run_script(place: Place, cache: Path, **values: str) -> str:
    place.write(CONFIGURATION.format(**values), below=place.home / "settings")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={
            **os.environ,
            "LEXER_CONFIG_PATH": str(place.home / "settings"),
            "LEXER_CACHE_DIR": str(cache),
            "LEXER_WARM_UP_SECONDS": "0.05",
            "LEXER_CANARY": "false",
            "LEXER_THREADS": "1",
            "COLUMNS": "160",
        },
        cwd=place.project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_runs_unchanged_prints_its_results_and_writes_its_artifact(
    place: Place, exports: Path
) -> None:
    printed = run_script(place, exports, pytorch="true", csv="true", stdout="true")

    assert "30 samples per engine" in printed  # the call is stronger than the file
    notes = load(place.project / "small.lexer").notes
    assert any("batch_size" in note for note in notes)  # it has no effect
    assert {"Torch", "ONNXRuntime"} <= {row.engine for row in load(place.project / "small.lexer")}
    assert {".csv", ".onnx", ".toml"} <= suffixes_in(place.project / "small.lexer")
    with zipfile.ZipFile(place.project / "small.lexer") as artifact:
        rows = list(csv.DictReader(io.StringIO(artifact.read("small.csv").decode())))
    assert {row["batch_size"] for row in rows} == {"4"}


def test_its_file_chooses_engines_and_outputs(place: Place, exports: Path) -> None:
    place.setenv("LEXER_ISOLATION", "none")  # in processes the other test runs it

    printed = run_script(place, exports, pytorch="false", csv="false", stdout="false")

    assert printed == ""
    engines = {row.engine for row in load(place.project / "small.lexer")}
    assert "ONNXRuntime" in engines
    assert "Torch" not in engines
    assert ".csv" not in suffixes_in(place.project / "small.lexer")


def suffixes_in(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as artifact:
        return {PurePosixPath(name).suffix for name in artifact.namelist()}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


# -- enable_export_validation ------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def a_model() -> torch.nn.Module:
    return torch.nn.Sequential(
        torch.nn.Linear(64, 256), torch.nn.GELU(), torch.nn.Linear(256, 64), torch.nn.Softmax(-1)
    )


def test_an_export_reports_that_its_outputs_match_the_model(
    own_cache: Path, tmp_path: Path
) -> None:
    context = LexerContext()

    checked = context.export(a_model(), torch.randn(4, 64), tmp_path / "a.onnx")
    unchecked = context.export(
        a_model(), torch.randn(4, 64), tmp_path / "b.onnx", enable_export_validation=False
    )

    assert any("agree with the model's own" in note for note in checked.notes)
    assert not any("the model's own" in note for note in unchecked.notes)


def test_an_export_beyond_the_tolerance_is_not_written(own_cache: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    strict = {"rtol": 0.0, "atol": 0.0}  # which no two implementations of GELU keep

    with pytest.raises(ExportError, match="outputs differ from those of Sequential"):
        LexerContext().export(a_model(), torch.randn(4, 64), path, **strict)
    assert not path.exists()

    LexerContext().export(a_model(), torch.randn(4, 64), path, **strict, validation=False)
    assert path.exists()


def test_an_export_without_a_path_is_deleted_with_its_context(own_cache: Path) -> None:
    context = LexerContext()
    path = context.export(a_model(), torch.randn(4, 64)).path
    assert path is not None
    assert path.name == "Sequential.onnx"
    assert path.exists()

    del context

    assert not path.exists()
