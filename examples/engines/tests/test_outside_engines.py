"""Do the engines for other runtimes keep the contract, where the runtimes are installed?"""

from __future__ import annotations

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

ENGINES = {"tract": ("tract",)}
"""For each engine, the modules without which its tests are skipped."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Return a function that installs an engine until the end of this module."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        known = set()

        def install(name):
            for module in ENGINES[name]:
                pytest.importorskip(module)
            if name not in known:
                known.add(name)
                stack.enter_context(installed(name, tmp_path_factory.mktemp(name)))

        yield install


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


@pytest.mark.parametrize("name", ENGINES)
def test_its_outputs_agree_with_onnxruntime_on_a_convolution_net(name, site, small_net):
    site(name)

    report = LexerContext(num_iterations=20, warm_up_seconds=0.0, threads=1).benchmark(
        small_net, torch.randn(1, 3, 64, 64), engines=["onnxruntime", name]
    )

    assert report["onnxruntime"].status == "ok", report["onnxruntime"].error
    assert report[name].status == "ok", report[name].error
    assert report[name].parity.status == "pass"


class Outside(EngineConformance):
    """Install the engine before the checks."""

    @pytest.fixture(scope="class", autouse=True)
    def engine_is_installed(self, site):
        site(self.engine_name)


class TestTract(Outside):
    engine_name = "tract"
