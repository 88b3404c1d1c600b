"""What goes wrong with real models and engines: who pays for it, and what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from real_models import (  # noqa: E402
    IN_CALLER,
    AmazingNet,
    Branching,
    Crashes,
    CrashesExporter,
    Homebound,
    Leaves,
    Raises,
    ReturnsNothing,
    WithOwnLexer,
    benchmark,
    own_cache,
    parities,
    statuses,
)

from lexer.decorators.lexer import Lexer  # noqa: E402
from lexer_core.errors import InputError, ModelError, SettingError  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

ROW = torch.ones(3, 8)


# -- the model itself --------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_model_that_raises_is_quoted(isolation: str) -> None:
    with pytest.raises(ModelError) as caught:
        benchmark(Raises(), ROW, engines=["torch"], isolation=isolation)

    assert caught.value.message == "Raises raised ValueError: the flux capacitor is empty"
    assert "x: float32[3, 8]" in caught.value.hint


def test_an_argument_that_only_kwargs_accept_is_pointed_out() -> None:
    class Bert(torch.nn.Module):
        def forward(self, input_ids: Any = None, **kwargs: Any) -> Any:
            return input_ids + kwargs.get("offset", 0)

    with pytest.raises(ModelError) as caught:
        benchmark(Bert(), {"ids": ROW}, **IN_CALLER)

    assert "'ids' is not a parameter of forward, but passed in **kwargs" in caught.value.hint


def test_a_model_that_calls_sys_exit_is_quoted_too() -> None:
    with pytest.raises(ModelError, match="Leaves raised SystemExit: 3"):
        benchmark(Leaves(), ROW, **IN_CALLER)


def test_a_model_that_returns_nothing_is_refused() -> None:
    with pytest.raises(ModelError, match="ReturnsNothing returned nothing"):
        benchmark(ReturnsNothing(), ROW, **IN_CALLER)


def test_a_shape_that_the_model_rejects_is_shown_with_its_message() -> None:
    with pytest.raises(ModelError, match="mat1 and mat2") as caught:
        benchmark(WithOwnLexer(), torch.ones(3, 5), **IN_CALLER)

    assert "x: float32[3, 5]" in caught.value.hint


def test_a_model_that_crashes_its_process_ends_the_run_but_not_the_caller() -> None:
    with pytest.raises(ModelError) as caught:
        benchmark(Crashes(), ROW)

    assert caught.value.message == "Crashes crashed its process: exit code 7."
    assert workers() == []


def workers() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "lexer_core.worker.main" in " ".join(child.cmdline())]


# -- names and inputs --------------------------------------------------------------


def named(**names: Any) -> Any:
    class Net(AmazingNet):
        pass

    return Lexer(**names)(Net)()


@pytest.mark.parametrize(
    ("model", "input", "words"),
    [
        (named(input_names=["image", "mask"]), torch.ones(1, 3, 8, 8), "'image', 'mask'"),
        (AmazingNet(), (torch.ones(1, 3, 8, 8),) * 2, "too many positional arguments"),
        (AmazingNet(), {"pixels": torch.ones(1, 3, 8, 8)}, "'pixels'"),
        (AmazingNet(), {}, "missing"),
        (AmazingNet(), None, "needs example inputs"),
        (AmazingNet(), "a picture", "contains no tensor"),
    ],
    ids=["names", "too many", "unknown", "empty", "none", "text"],
)
def test_inputs_that_do_not_fit_forward_are_refused(model: Any, input: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        benchmark(model, input)

    assert words in caught.value.message


def test_a_wrong_number_of_output_names_is_refused_with_what_the_model_returns() -> None:
    with pytest.raises(InputError, match="2 output names") as caught:
        benchmark(named(output_names=["logits", "more"]), torch.ones(1, 3, 8, 8), **IN_CALLER)

    assert 'output_names=["output"]' in caught.value.hint


def test_a_batch_size_that_is_not_a_number_of_items_is_refused() -> None:
    with pytest.raises(SettingError, match="'items_per_call' in the call is 0"):
        benchmark(AmazingNet(), torch.ones(1, 3, 8, 8), batch_size=0)


# -- one engine's trouble ----------------------------------------------------------


def test_a_failed_export_does_not_affect_the_row_of_torch() -> None:
    report = benchmark(Branching(), ROW, **IN_CALLER)

    assert statuses(report) == {"torch": "ok", "onnxruntime": "failed"}
    assert report["torch"].num_samples == 20
    assert report["torch"].parity.status == "pass"
    error = report["onnxruntime"].error
    assert error.phase == "export"
    assert "cannot export Branching to ONNX" in error.reason
    assert "branches on the values of a tensor" in error.reason
    assert "ONNXRuntime" in str(report)


def test_an_exporter_that_crashes_does_not_affect_the_next_engines() -> None:
    report = benchmark(CrashesExporter(), ROW, engines=["onnxruntime", "torch"])

    assert statuses(report) == {"onnxruntime": "failed", "torch": "ok"}
    assert report["onnxruntime"].error.phase == "export"
    assert "exit code 9" in report["onnxruntime"].error.reason
    assert report["torch"].parity.status == "pass"
    assert workers() == []


def test_a_model_that_cannot_be_sent_is_measured_in_the_parent_process_with_a_warning(
    tmp_path: Path,
) -> None:
    with (tmp_path / "log").open("w") as file:
        report = benchmark(Homebound(file), ROW)

    assert parities(report) == {"torch": "pass", "onnxruntime": "pass"}
    row = report["torch"]
    assert row.isolation == "none"
    assert any("parent process" in warning for warning in row.warnings)
    assert row.peak_memory_bytes is None
    # An exported file can be sent.
    assert report["onnxruntime"].isolation == "process"
    assert any("cannot be sent to another process" in note for note in report.notes)


class Packed(torch.nn.Module):
    """A recurrent network that takes a PackedSequence."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = torch.nn.LSTM(8, 4, batch_first=True)

    def forward(self, packed: Any) -> Any:
        return self.rnn(packed)[1][0]


def packed_sequence() -> Any:
    return torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(2, 3, 8), torch.tensor([3, 2]), batch_first=True
    )


def test_a_packed_sequence_is_measured_in_another_process(capfd: Any) -> None:
    report = benchmark(Packed(), packed_sequence())

    assert report["torch"].isolation == "process"
    assert report["torch"].parity.status == "pass"
    assert capfd.readouterr().out == ""


def test_nothing_that_an_exporter_prints_in_the_parent_process_is_shown(capfd: Any) -> None:
    report = benchmark(Packed(), packed_sequence(), **IN_CALLER)

    assert statuses(report) == {"torch": "ok", "onnxruntime": "failed"}
    said = capfd.readouterr()
    assert said.out == ""
    assert "def forward" not in said.err


# -- the command line --------------------------------------------------------------

MODELS = """
import os
import time
from pathlib import Path

import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(x)


class Raises(Net):
    def forward(self, x):
        raise ValueError("the flux capacitor is empty")


class Slow(Net):
    calls = 0

    def forward(self, x):
        self.calls += 1
        time.sleep(0.002)
        if self.calls == 300:  # warm-up is over by then
            Path("measuring").touch()
        return self.linear(x)
"""

INTERRUPTED_IMPORT = """
import os
import signal
import time

try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    raise RecursionError("what numpy's import makes of it")
"""

ONE_THREAD = ["--warm-up-seconds", "0.05", "--threads", "1"]
QUICK = [*ONE_THREAD, "--iterations", "20", "--isolation", "none", "--no-progress"]
X = ["--input", "x=float32[3,8]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "models.py").write_text(MODELS)
    (folder / "broken.py").write_text(INTERRUPTED_IMPORT)
    return folder


def lexer(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lexer_core", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def onnx_file(folder: Path) -> str:
    written = lexer(folder, "export", "models.py:Net", *X, "-o", "net.onnx")
    assert (written.returncode, written.stderr) == (0, "")
    return "net.onnx"


def test_an_engine_that_cannot_run_a_file_is_left_out(folder: Path, onnx_file: str) -> None:
    done = lexer(folder, "benchmark", onnx_file, *QUICK, "--format", "json")

    assert done.returncode == 0
    report = json.loads(done.stdout)
    found = {row["engine"]: row["status"] for row in report["results"]}
    assert (found.get("Torch"), found["ONNXRuntime"]) == (None, "ok")
    assert any("cannot run an .onnx file: Torch" in note for note in report["notes"])


def test_a_requested_engine_that_fails_is_status_3_with_the_table(
    folder: Path, onnx_file: str
) -> None:
    engines = ["--engine", "torch", "--engine", "onnxruntime"]

    done = lexer(folder, "benchmark", onnx_file, *QUICK, *engines)

    assert done.returncode == 3
    assert "Torch" in done.stdout
    assert "ONNXRuntime" in done.stdout
    assert done.stderr == ""


def test_nothing_measured_is_status_4(folder: Path, onnx_file: str) -> None:
    done = lexer(folder, "benchmark", onnx_file, *QUICK, "--engine", "torch")

    assert done.returncode == 4
    assert "Nothing was measured" in done.stdout


def test_a_model_that_raises_is_status_2_and_quoted_without_a_traceback(folder: Path) -> None:
    done = lexer(folder, "benchmark", "models.py:Raises", *X, *QUICK)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: Raises raised ValueError: the flux capacitor is empty")
    assert "Traceback" not in done.stderr


def test_ctrl_c_in_a_round_prints_what_was_measured_and_leaves_nothing_behind(
    folder: Path,
) -> None:
    lasting = [*ONE_THREAD, "--margin", "1e-6", "--engine", "torch"]
    with subprocess.Popen(
        [sys.executable, "-m", "lexer_core", "benchmark", "models.py:Slow", *X, *lasting],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            deadline = time.monotonic() + 120
            while not (folder / "measuring").exists():
                assert running.poll() is None, running.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            begun = psutil.Process(running.pid).children(recursive=True)
            os.killpg(running.pid, signal.SIGINT)  # as a terminal does
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()

    assert running.returncode == 130
    assert "interrupted" in out
    assert "Torch" in out
    assert "Traceback" not in err
    assert begun != []
    assert [process for process in begun if process.is_running()] == []


def test_ctrl_c_in_an_import_that_hides_it_is_still_an_interruption(folder: Path) -> None:
    done = lexer(folder, "benchmark", "broken.py:Net", *X, *QUICK)

    assert done.returncode == 130
