"""Do the engines for other runtimes keep the contract, where the runtimes are installed?"""

from __future__ import annotations

from contextlib import ExitStack
from importlib.util import find_spec

import pytest
from installed import installed

from lexer_core.context import LexerContext
from lexer_core.testing import EngineConformance

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
pytest.importorskip("lexer_ort")

pytestmark = [
    pytest.mark.torch,
    pytest.mark.onnxruntime,
    # What the runtimes and their converters warn of is up to them.
    pytest.mark.filterwarnings("ignore"),
]

ENGINES = {
    "tract": ("tract",),
    "ncnn": ("ncnn", "pnnx"),
    "litert": ("ai_edge_litert", "litert_torch"),
}
"""For each engine, the modules without which its tests are skipped."""


def needs(name):
    """Skip a test if a module that the engine needs is not installed."""
    missing = [module for module in ENGINES[name] if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module", autouse=True)
def engines(tmp_path_factory):
    with ExitStack() as stack:
        for name in ENGINES:
            stack.enter_context(installed(name, tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture
def small_net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(16),
        torch.nn.ReLU6(),
        torch.nn.Conv2d(16, 32, 3, padding=1, groups=16),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(32, 10),
    ).eval()


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in ENGINES])
def test_its_outputs_agree_with_onnxruntime_on_a_convolution_net(name, small_net):
    report = LexerContext(num_iterations=20, warm_up_seconds=0.0, threads=1).benchmark(
        small_net, torch.randn(1, 3, 64, 64), engines=["onnxruntime", name]
    )

    assert report["onnxruntime"].status == "ok", report["onnxruntime"].error
    assert report[name].status == "ok", report[name].error
    assert report[name].parity.status == "pass"


@needs("tract")
class TestTract(EngineConformance):
    engine_name = "tract"


@needs("ncnn")
class TestNcnn(EngineConformance):
    engine_name = "ncnn"


@needs("litert")
class TestLiteRT(EngineConformance):
    engine_name = "litert"
