"""Is the model in an artifact the one that was measured, with all its weights?"""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from lexer_core import LexerContext
from lexer_core.artifact import load

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.onnxruntime

FEW = {"num_iterations": 20, "warm_up_seconds": 0.02, "threads": 1, "canary": False}
INPUT = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)


def outputs_of(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: INPUT})[0]


@pytest.fixture
def with_external_data(tmp_path):
    """A model whose weights are in a folder next to it."""
    weights = np.random.default_rng(1).standard_normal((16, 8)).astype(np.float32)
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "external",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2, 16])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 8])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = tmp_path / "given" / "net.onnx"
    (path.parent / "weights").mkdir(parents=True)
    onnx.save(
        model, str(path), save_as_external_data=True, location="weights/w.bin", size_threshold=0
    )
    return path


def test_an_onnx_file_is_saved_with_its_external_data(with_external_data, tmp_path):
    context = LexerContext()
    report = context.benchmark(with_external_data, {"x": INPUT}, engines=["onnxruntime"], **FEW)
    assert [row.status for row in report.results] == ["ok"], report

    path = context.flush("kept", tmp_path)

    kept = load(path).models[0].files
    assert [file.name for file in kept] == ["kept.onnx", "w.bin"]
    assert np.array_equal(outputs_of(kept[0]), outputs_of(with_external_data))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unzipped")
    assert np.array_equal(
        outputs_of(tmp_path / "unzipped" / "kept.onnx"), outputs_of(with_external_data)
    )


@pytest.mark.torch
@pytest.mark.parametrize("cached", [False, True])
def test_an_exported_model_is_saved_and_has_the_models_outputs(tmp_path, monkeypatch, cached):
    torch = pytest.importorskip("torch")
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU()).eval()
    context = LexerContext(**FEW)
    for _ in range(2 if cached else 1):
        report = context.benchmark(
            model, torch.from_numpy(INPUT), engines=["torch", "onnxruntime"], use_cache=cached
        )
    assert report["onnxruntime"].export_cached is cached

    read = load(context.flush("net", tmp_path))

    assert read == report
    (kept,) = read.models
    assert kept.labels == ("onnxruntime",)
    assert [spec.shape for spec in kept.inputs] == [(2, 16)]
    with torch.no_grad():
        expected = model(torch.from_numpy(INPUT)).numpy()
    assert np.allclose(outputs_of(kept.files[0]), expected, atol=1e-5)


@pytest.mark.torch
def test_a_benchmark_of_torch_alone_is_saved_without_a_model(tmp_path):
    torch = pytest.importorskip("torch")
    context = LexerContext(**FEW)
    report = context.benchmark(torch.nn.Linear(16, 8), torch.from_numpy(INPUT), engines=["torch"])

    read = load(context.flush("net", tmp_path))

    assert read == report
    assert read.models == ()
    assert read["torch"].samples.tobytes() == report["torch"].samples.tobytes()
