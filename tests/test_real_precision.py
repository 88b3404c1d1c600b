"""Do real engines compute in the precisions that users ask for, also when they are deployed?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from written_module import written_module

import lexer_core
from lexer_core import LexerContext

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
openvino = pytest.importorskip("openvino")
pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime, pytest.mark.openvino]

FEW = {"rounds": 1, "warm_up_seconds": 0.02, "threads": 1, "canary": False, "isolation": "none"}
PRECISIONS = ("float32", "bfloat16", "float16", "int8-dynamic")
MODULE = """
import torch


class MixedNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.convolve = torch.nn.Conv1d(2, 8, 3)
        self.mix = torch.nn.Linear(8 * 14, 32)
        self.end = torch.nn.Linear(32, 5)

    def forward(self, x):
        hidden = self.convolve(x).relu().flatten(1)
        return self.end(self.mix(hidden).relu())
"""
CALL_SCRIPT = """
import json, runpy, sys
import numpy as np
run = runpy.run_path(sys.argv[1])["run"]
outputs = run(np.array(json.loads(sys.argv[2]), "float32"))
array = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs
array = array.float().numpy() if hasattr(array, "float") else array
print(json.dumps(np.asarray(array, "float32").tolist()))
assert "lexer_core" not in sys.modules
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    with written_module(tmp_path_factory.mktemp("nets"), "mixed_nets", MODULE) as module:
        yield module


@pytest.fixture(scope="module")
def array():
    return np.random.default_rng(1).standard_normal((4, 2, 16)).astype(np.float32)


@pytest.fixture(scope="module")
def model(nets):
    return nets.MixedNet()


@pytest.fixture(scope="module")
def expected(model, array):
    with torch.no_grad():
        return model.eval()(torch.from_numpy(array)).numpy()


@pytest.fixture(scope="module")
def report(model, array):
    return LexerContext().benchmark(
        model,
        {"x": torch.from_numpy(array)},
        engines=["torch", "onnxruntime", "openvino"],
        precision=PRECISIONS,
        **FEW,
    )


def capable():
    """Return the types that OpenVINO computes in on this machine."""
    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    names = {"BF16": "bfloat16", "FP16": "float16", "FP32": "float32"}
    return {name for capability, name in names.items() if capability in able}


def row_of(report, engine, precision):
    return report[f"{engine}[precision={precision}]"]


def test_each_engine_computes_what_it_can(report):
    supported = {
        "torch": {"float32", "bfloat16", "float16"},
        "onnxruntime": {"float32", "float16", "int8-dynamic"},
        "openvino": capable(),
    }

    for engine, able in supported.items():
        for precision in PRECISIONS:
            row = row_of(report, engine, precision)
            assert row.status == ("ok" if precision in able else "unsupported"), row
            if row.status == "ok":
                assert row.parity.status == "pass", row.parity


def test_rows_say_what_was_computed(report):
    computed = {
        (row.engine_name, row.precision): row.computed_precision
        for row in report
        if row.status == "ok"
    }

    assert computed["torch", "bfloat16"] == "bfloat16"
    assert computed["onnxruntime", "float32"] == "float32"
    assert computed["openvino", "float32"] == "float32"
    assert computed.get(("openvino", "bfloat16"), "bfloat16") == "bfloat16"
    # ONNXRuntime has kernels for float16 on some processors only.
    assert computed["onnxruntime", "float16"] in ("float32", "float16", "float32, float16")
    assert set(computed["onnxruntime", "int8-dynamic"].split(", ")) == {"int8-dynamic", "float32"}
    row = row_of(report, "onnxruntime", "int8-dynamic")
    assert "asked int8-dynamic, computes int8-dynamic, float32" in row.warnings
    assert "2 of 3 products with weights are quantised; Conv stays in float32" in row.warnings
    assert any("few fast operators" in note for note in row_of(report, "torch", "float16").warnings)


def test_a_lower_precision_has_its_rounding_errors(report):
    errors = {
        (row.engine_name, row.precision): row.parity.outputs[0].relative_rmse
        for row in report
        if row.status == "ok"
    }

    for (engine, precision), error in errors.items():
        low, high = {
            "float32": (0.0, 1e-6),
            "float16": (1e-6, 0.01),
            "bfloat16": (1e-4, 0.08),
            "int8-dynamic": (1e-4, 0.1),
        }[precision]
        assert low <= error <= high, (engine, precision, error)


@pytest.mark.parametrize(
    ("engine", "precision"),
    [
        ("torch", "bfloat16"),
        ("onnxruntime", "float16"),
        ("onnxruntime", "int8-dynamic"),
        ("openvino", "bfloat16"),
    ],
)
def test_a_deployed_row_computes_in_its_precision(
    report, nets, engine, precision, array, expected, tmp_path
):
    if engine == "openvino" and precision not in capable():
        pytest.skip(f"this processor does not compute in {precision} with OpenVINO")
    folder = row_of(report, engine, precision).save(tmp_path / "deployed")

    with lexer_core.load(folder, trusted=engine == "torch") as session:
        (loaded,) = (np.asarray(each, np.float32) for each in session(array).values())
    ended = subprocess.run(
        [sys.executable, "-c", CALL_SCRIPT, folder / "run.py", json.dumps(array.tolist())],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(nets.__file__).parent)},
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    scripted = np.array(json.loads(ended.stdout), np.float32)
    rounding = np.abs(loaded - expected).max()
    assert 1e-5 < rounding < 0.1
    # The script has the same rounding errors, which float32 would not have.
    np.testing.assert_allclose(scripted, loaded, atol=rounding / 4)
    assert np.abs(scripted - expected).max() > rounding / 2


def test_a_model_without_matrix_products_is_not_quantised(tmp_path):
    report = LexerContext().benchmark(
        torch.nn.Conv1d(2, 3, 3),
        torch.ones(1, 2, 8),
        engines=["onnxruntime"],
        precision=["int8-dynamic"],
        **FEW,
    )

    (row,) = report
    assert (row.status, row.error.phase) == ("unsupported", "export")
    assert row.error.reason == "the model has no MatMul or Gemm with constant weights to quantise."


def test_a_conversion_is_reused_by_the_next_benchmark(model, array):
    asked = {"engines": ["onnxruntime"], "precision": ["int8-dynamic"], **FEW}
    first, second = (
        LexerContext().benchmark(model, {"x": torch.from_numpy(array)}, **asked)[0]
        for _ in range(2)
    )

    assert second.export_cached
    assert second.export_ms == first.export_ms
