"""Do the profiles of real engines say where the time goes?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
nn = torch.nn

from real_models import IN_CALLER, own_cache  # noqa: E402

from lexer_core import LexerContext  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime, pytest.mark.openvino]
__all__ = ["own_cache"]

try:
    import openvino  # noqa: F401
except ImportError:
    ENGINES = ("torch", "onnxruntime")
else:
    ENGINES = ("torch", "onnxruntime", "openvino")


class Block(nn.Module):
    """Two convolutions, a norm and an activation, which engines fuse."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.wider = nn.Conv2d(8, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.back = nn.Conv2d(width, 8, 3, padding=1)

    def forward(self, x: Any) -> Any:
        return self.back(torch.relu(self.norm(self.wider(x))))


class Net(nn.Module):
    """Blocks, of which one has ten times the work, and an activation of the model's own."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width) for width in (16, 160, 16)))
        self.head = nn.Linear(8, 4)

    def forward(self, image: Any) -> Any:
        # An engine that fuses this activation into the last convolution crosses a border.
        return self.head(torch.relu(self.blocks(image)).mean((2, 3)))


def profile(model: Any, input: Any, *engines: str, **settings: Any) -> BenchmarkReport:
    settings |= {**IN_CALLER, "canary": False, "second_inputs": False, "engines": engines}
    return LexerContext().profile(model, input, **settings)


def share(report: BenchmarkReport, label: str, module: str) -> float:
    parts = report[label].profile.parts
    return sum(part.share for part in parts if f"{part.module}.".startswith(f"{module}."))


@pytest.fixture(scope="module")
def report() -> BenchmarkReport:
    torch.manual_seed(0)
    return profile(Net().eval(), torch.randn(1, 8, 32, 32), *ENGINES)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "net.onnx"
    LexerContext().export(Net().eval(), torch.randn(1, 8, 32, 32), path, validation=False)
    return path


@pytest.mark.parametrize("label", ENGINES)
def test_the_block_with_most_of_the_work_has_most_of_the_time(report, label):
    assert report[label].profile.status == "modules"
    assert share(report, label, "blocks.1") > 0.5
    assert share(report, label, "blocks.0") < 0.3


@pytest.mark.parametrize("label", ENGINES)
def test_shares_add_up_and_nearly_all_time_has_a_module(report, label):
    parts = report[label].profile.parts

    assert sum(part.share for part in parts) == pytest.approx(1.0)
    assert sum(part.share for part in parts if part.module is None) < 0.2
    assert all(part.ms == pytest.approx(part.share * report[label].p50_ms) for part in parts)


def test_a_kernel_that_crosses_the_border_of_a_module_belongs_to_what_contains_it(report):
    # ONNXRuntime and OpenVINO fuse the model's own activation into the last block.
    for label in ENGINES[1:]:
        modules = {part.module for part in report[label].profile.parts}
        assert "" in modules, label
        assert not any(module and module.startswith("blocks.2.back") for module in modules), label


def test_torch_knows_operators_by_the_module_that_calls_them(report):
    parts = {(part.module, part.operator) for part in report["torch"].profile.parts}

    assert {
        ("blocks.0.wider", "conv2d"),
        ("blocks.0", "relu"),
        ("head", "linear"),
        ("", "mean"),
    } <= parts


def test_modules_are_in_the_order_in_which_they_are_executed(report):
    modules = [part.module for part in report["torch"].profile.parts if part.module]

    assert list(dict.fromkeys(module[:8] for module in modules)) == [
        *("blocks.0", "blocks.1", "blocks.2", "head")
    ]


class Layers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(64, 256), nn.Tanh())
        self.second = nn.Linear(256, 64)

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))


@pytest.mark.parametrize("precision", ["float16", "int8-dynamic"])
def test_a_converted_file_keeps_its_modules(precision):
    found = profile(Layers().eval(), torch.randn(8, 64), "onnxruntime", precision=precision)

    (label,) = found.labels
    assert share(found, label, "first") + share(found, label, "second") > 0.9
    assert share(found, label, "first") > 0.1


def test_profiling_leaves_the_users_module_as_it_was():
    model = Net().eval()

    profile(model, torch.randn(1, 8, 8, 8), "torch")

    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


@pytest.mark.parametrize("label", ENGINES[1:])
def test_without_metadata_the_types_of_operators_are_left(label, exported, tmp_path):
    model = onnx.load(exported)
    for node in model.graph.node:
        node.ClearField("metadata_props")
    onnx.save(model, tmp_path / "bare.onnx")

    found = profile(tmp_path / "bare.onnx", {"image": torch.randn(1, 8, 32, 32).numpy()}, label)

    kept = found[label].profile
    assert kept.status == "operators"
    assert "does not say from which modules" in kept.reason
    assert {part.module for part in kept.parts} == {None}
    assert any("Conv" in part.operator for part in kept.parts)
    assert "no modules: " in found.to_text(width=300)


def test_an_exported_file_is_profiled_like_the_module(exported):
    found = profile(exported, {"image": torch.randn(1, 8, 32, 32).numpy()}, "onnxruntime")

    assert share(found, "onnxruntime", "blocks.1") > 0.5


def test_the_body_of_a_loop_is_part_of_the_loop(tmp_path):
    graph = onnx.parser.parse_graph(
        """g (float[64, 64] x) => (float[64, 64] y)
           <int64 count = {8}, bool go = {1}> {
            y = Loop (count, go, x) <
                body = b (int64 i, bool c, float[64, 64] v) => (bool d, float[64, 64] w) {
                    d = Identity(c) w = MatMul(v, x)
                }
            >
        }"""
    )
    opset = onnx.helper.make_opsetid("", 18)
    model = onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9)
    onnx.save(model, tmp_path / "loop.onnx")

    found = profile(tmp_path / "loop.onnx", {"x": torch.eye(64).numpy()}, "onnxruntime")

    assert [part.operator for part in found["onnxruntime"].profile.parts] == ["Loop"]
