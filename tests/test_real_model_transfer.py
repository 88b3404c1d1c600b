"""Does a model reach its worker, wherever its class is defined?"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from real_models import benchmark, own_cache, parities  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

NET = """
import dataclasses
import torch
from lexer.decorators.lexer import Lexer

FACTOR = 2.0


def helper(x):
    return x * FACTOR


@dataclasses.dataclass
class Question:
    x: torch.Tensor


@dataclasses.dataclass
class Answer:
    y: torch.Tensor


@Lexer(input_names=["x"], output_names=["y"])
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, question):
        x = question.x if isinstance(question, Question) else question
        return Answer(helper(self.linear(x)))
"""
"""A model with a helper, a global and its own types, all of which the worker needs."""

SCRIPT = (
    NET
    + """
from lexer.api.lexer_context import LexerContext

print("started")
report = LexerContext(warm_up_seconds=0.05, threads=1).benchmark(
    torch_model=Net(), input=Question(torch.ones(1, 4)), num_iterations=20, engines=ENGINES
)
for row in report.results:
    print(row.label, row.status, row.isolation, row.parity.status, row.num_samples)
"""
)

TORCH_ALONE = SCRIPT.replace("ENGINES", "['torch']")
TORCH_IN_WORKER = "started\ntorch ok process pass 20\n"


def python(arguments: Sequence[str], folder: Path, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "LEXER_SHOW_PROGRESS": "false"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_a_model_defined_in_a_script_without_a_main_guard(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.replace("ENGINES", "['torch', 'onnxruntime']"))

    printed = python(["script.py"], tmp_path)

    # If a worker imported the script, it would start again.
    assert printed == TORCH_IN_WORKER + "onnxruntime ok process pass 20\n"


def test_a_model_defined_by_python_dash_c(tmp_path: Path) -> None:
    assert python(["-c", TORCH_ALONE], tmp_path) == TORCH_IN_WORKER


def test_a_model_defined_by_a_script_on_standard_input(tmp_path: Path) -> None:
    assert python(["-"], tmp_path, stdin=TORCH_ALONE) == TORCH_IN_WORKER


def test_a_model_defined_in_a_module_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NET)
    code = TORCH_ALONE.replace(NET, "import torch\nfrom nets import Net, Question\n")

    assert python(["-c", code], tmp_path) == TORCH_IN_WORKER


@pytest.mark.parametrize("namespace", [{"__name__": "a cell"}, {}], ids=["named", "nameless"])
def test_a_model_defined_in_a_cell_without_a_module(namespace: dict[str, Any]) -> None:
    exec(compile(NET, "<cell>", "exec"), namespace)

    report = benchmark(namespace["Net"](), torch.ones(1, 4), engines=["torch"])

    assert parities(report) == {"torch": "pass"}
    assert report.results[0].isolation == "process"
    assert report.input_specs[0].name == "x"


def test_a_model_defined_in_a_module_that_workers_cannot_find_is_measured_in_the_caller(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hidden.py"
    path.write_text(NET)
    spec = importlib.util.spec_from_file_location("hidden_nets", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "hidden_nets", module)
        spec.loader.exec_module(module)
        report = benchmark(module.Net(), torch.ones(1, 4), engines=["torch"])

    assert parities(report) == {"torch": "pass"}
    assert report.results[0].isolation == "none"
    assert any("hidden_nets" in note for note in report.notes)


def test_a_model_defined_in_a_file_on_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NET)
    folder = tmp_path / "folder"
    folder.mkdir()
    quick = ["--iterations", "20", "--warm-up-seconds", "0.05", "--threads", "1"]
    target = ["benchmark", "../nets.py:Net", "--input", "x=float32[2,4]"]
    target += ["--engine", "torch", "--engine", "onnxruntime"]

    printed = python(["-m", "lexer_core", *target, *quick, "--format", "json"], folder)

    report = json.loads(printed)
    assert report["schema_version"] == 1
    assert [(row["engine"], row["status"]) for row in report["results"]] == [
        ("Torch", "ok"),
        ("ONNXRuntime", "ok"),
    ]
    for row in report["results"]:
        assert (row["isolation"], row["num_samples"], row["batch_size"]) == ("process", 20, 2)
        assert row["parity"]["status"] == "pass"
