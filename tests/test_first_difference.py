"""Does a report name the module in which wrong outputs first differ?"""

from __future__ import annotations

import csv
import html
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn

from fake_engines import FakeSite  # noqa: E402
from faulty_graph_engine import faulty_engine  # noqa: E402
from real_models import IN_CALLER, benchmark, own_cache  # noqa: E402

import lexer_core  # noqa: E402
from lexer.api.lexer_context import LexerContext  # noqa: E402
from lexer_core.engines.choice import EngineChoice  # noqa: E402
from lexer_core.errors import ExportError  # noqa: E402
from lexer_core.model.keeping_module import keeping_module  # noqa: E402
from lexer_core.model.module_calls import WatchedModules  # noqa: E402
from lexer_core.model.reference import call_module  # noqa: E402
from lexer_core.records import CallInputs, CallStructure, TensorRef  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport
    from lexer_core.results import FirstDifference

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]


@pytest.fixture(scope="module", autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    with FakeSite(tmp_path_factory.mktemp("site")).on_path() as site:
        site.add_engine("faulty", faulty_engine("lexer_ort"))
        site.add_engine("faulty-openvino", faulty_engine("lexer_openvino"))
        yield site


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.proj = nn.Linear(16, 16)

    def forward(self, x: Any) -> Any:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / 4, dim=-1)
        return self.proj(weights @ v)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.attn = Attention()
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.norm(x))
        return x + torch.tanh(self.mlp(x))


class Net(nn.Module):
    """Nested blocks, residuals, a module that is called twice, functions outside of modules."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.ModuleList([Block(), Block()])
        self.shared = nn.Linear(16, 16)
        self.drop = nn.Dropout()
        self.head = nn.Linear(16, 5)

    def forward(self, image: Any) -> Any:
        x = self.stem(image).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = self.shared(torch.sigmoid(self.shared(x)))
        return torch.sin(self.head(self.drop(x.mean(1))))


def measure(*faults: str, engine: str = "faulty", **settings: Any) -> BenchmarkReport:
    torch.manual_seed(0)
    model = Net().train()
    with torch.no_grad():
        model.stem(torch.randn(8, 3, 16, 16))  # other statistics than 0 and 1
    rows = [EngineChoice(engine, label=each, options={"fault": each}) for each in faults]
    image = torch.randn(2, 3, 16, 16)
    return benchmark(model, image, **{**IN_CALLER, "engines": ["torch", *rows], **settings})


def located(report: BenchmarkReport, label: str) -> FirstDifference:
    parity = report[label].parity
    assert parity is not None
    assert parity.status == "fail"
    assert parity.first_difference is not None
    return parity.first_difference


PLACES = {
    # A convolution is fused with its batch normalisation.
    "stem.1 Conv 1": "'stem.1', or in 'stem.0'",
    "blocks.0.norm LayerNormalization 1": "'blocks.0.norm'",
    "blocks.0.attn.qkv MatMul 1": "'blocks.0.attn.qkv'",
    "blocks.1.attn Softmax 1": "'blocks.1.attn', before it calls 'blocks.1.attn.proj'",
    "blocks.1.attn.proj MatMul 1": "'blocks.1.attn.proj'",
    "blocks.0 Tanh 1": "'blocks.0', outside its submodules",
    "shared MatMul 1": "'shared', call 1 of 2",
    "shared MatMul 2": "'shared', call 2 of 2",
    ". Sigmoid 1": "the model itself, before it calls 'shared'",
    "head Gemm 1": "'head'",
    ". Sin 1": "the model itself, outside its submodules",
}
"""Where a fault is planted, and what the report says."""


@pytest.fixture(scope="module")
def report() -> BenchmarkReport:
    return measure(*PLACES)


def test_a_fault_is_located_wherever_it_is(report: BenchmarkReport) -> None:
    assert {each: located(report, each).place for each in PLACES} == PLACES


def test_a_row_that_agrees_has_no_first_difference(report: BenchmarkReport) -> None:
    assert report["torch"].parity.first_difference is None


def test_every_form_of_the_report_names_the_module(report: BenchmarkReport, tmp_path: Path) -> None:
    report.save(tmp_path / "run.lexer")
    loaded = lexer_core.load(tmp_path / "run.lexer")
    words = "They first differ in 'blocks.0.norm' (max error"

    assert words in " ".join(str(loaded).split())
    assert words in loaded.to_markdown()
    assert words in html.unescape(loaded.to_html())
    (row,) = (
        each
        for each in csv.DictReader(loaded.to_csv().splitlines())
        if each["label"].startswith("blocks.0.norm")
    )
    assert row["parity_module"] == "blocks.0.norm"


@pytest.mark.openvino
def test_a_fault_of_another_engine_is_located() -> None:
    pytest.importorskip("openvino")
    places = {each: PLACES[each] for each in list(PLACES)[:4]}

    report = measure(*places, engine="faulty-openvino")

    assert {each: located(report, each).place for each in places} == places


def test_a_fault_in_a_fused_kernel_is_located_by_keeping_less() -> None:
    # The fault is there only if the kernel's inner result is not kept.
    fault = "!blocks.0.attn.qkv MatMul 1 linear"

    report = measure(fault)

    found = located(report, fault)
    assert found.module == "blocks.0.attn"
    assert "disappears when results inside it are kept" in found.reason
    assert found.reason in " ".join(report.sentences)


def test_an_engine_that_fails_with_further_outputs_keeps_its_row() -> None:
    fault = "head Gemm 1 RAISE"

    report = measure(fault)

    assert report[fault].status == "ok"
    assert "too many outputs" in located(report, fault).reason


def test_an_interrupt_while_locating_keeps_what_was_measured() -> None:
    interrupted, other = "head Gemm 1 INTERRUPT", "head Gemm 1"

    report = measure(interrupted, other)

    assert report.stopped_because != "interrupted"
    assert located(report, interrupted).reason == "interrupted"
    assert located(report, other).reason == "interrupted"


def test_locating_can_be_turned_off() -> None:
    report = measure("head Gemm 1", locate_differences=False)

    assert report["head Gemm 1"].parity.status == "fail"
    assert report["head Gemm 1"].parity.first_difference is None


def test_a_file_without_modules_is_not_searched() -> None:
    # Nothing in this file says what belongs to which module.
    report = measure("None MatMul 1", exporter="torchscript")

    assert "does not name the modules" in located(report, "None MatMul 1").reason
    assert "In which module they first differ is unknown" in " ".join(report.sentences)


class Outlier(nn.Module):
    """One weight is so large that 8-bit integers represent the others of its layer as zero."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(4))
        with torch.no_grad():
            self.layers[1].bias[0] = -100.0  # what the weight is multiplied with is always 0
            self.layers[2].weight[0, 0] = 300.0

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x).relu()
        return x


def test_the_layer_that_a_precision_does_not_suit_is_named_in_processes() -> None:
    torch.manual_seed(0)
    label = "onnxruntime[precision=int8-dynamic]"

    report = benchmark(Outlier(), torch.randn(4, 32), engines=["torch", label])

    found = located(report, label)
    assert (found.module, found.kind) == ("layers.2", "Linear")
    assert (found.compared, found.skipped) == (4, 0)


class Overflowing(nn.Module):
    """An inner result is too large for float16."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(16, 16)
        self.act = nn.ReLU(inplace=True)
        self.down = nn.Linear(16, 16)
        with torch.no_grad():
            self.up.weight *= 1e6
            self.down.weight *= 1e-6

    def forward(self, x: Any) -> Any:
        return x + self.down(self.act(self.up(x)))


def test_a_module_that_overflows_in_an_engine_that_runs_it_is_named() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), Overflowing())
    label = "torch[precision=float16]"

    report = benchmark(model, torch.randn(4, 16), **{**IN_CALLER, "engines": ["torch", label]})

    found = located(report, label)
    assert found.module == "1.up"
    assert found.max_abs_error is None
    assert "They first differ in '1.up' (" in " ".join(report.sentences)
    assert "NaN or infinite" in found.note
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


class Alternating(nn.Module):
    """Calls one of two equal modules in turn, by a count that no model keeps."""

    calls = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.pair = nn.ModuleList([Overflowing(), Overflowing()])
        self.pair[1].load_state_dict(self.pair[0].state_dict())

    def forward(self, x: Any) -> Any:
        return self.pair[next(self.calls) % 2](x)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (Alternating(), "Alternating does not call the same modules each time"),
        (torch.compile(Overflowing(), backend="eager"), "the model uses torch.compile"),
    ],
    ids=["alternating", "compiled"],
)
def test_a_model_whose_modules_cannot_be_watched_keeps_its_row(model: Any, reason: str) -> None:
    label = "torch[precision=float16]"

    report = benchmark(model, torch.randn(4, 16), **{**IN_CALLER, "engines": ["torch", label]})

    assert report[label].status == "ok"
    assert located(report, label).reason == reason


class NeedsGradients(nn.Module):
    """Raises in the middle unless gradients are enabled."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        y = self.first(x)
        torch.autograd.grad(y.sum(), self.first.weight)
        return self.second(y)


def test_calls_that_raise_are_not_watched() -> None:
    x = np.ones((2, 4), np.float32)
    inputs = CallInputs(arrays={"x": x}, structure=CallStructure(args=(TensorRef("x"),)))

    model = NeedsGradients()

    with WatchedModules(model) as watched:
        call_module(model, inputs)

    calls = [(each.module, each.call, each.is_input) for each in watched.tensors]
    assert calls == [(name, 1, taken) for name in ("first", "second") for taken in (True, False)]


def test_a_module_that_returns_inner_results_can_be_compiled() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True))
    x = torch.randn(2, 4)
    keeping = keeping_module(model, [("0", 1, False, 0), ("1", 1, True, 0), ("1", 1, False, 0)])

    output, kept = torch.compile(keeping, backend="eager", fullgraph=True)(x)

    before = model[0](x)
    torch.testing.assert_close(output, before.relu())
    torch.testing.assert_close(kept, [before, before, before.relu()])


class Sly(nn.Module):
    """Its export computes something else."""

    def forward(self, x: Any) -> Any:
        return x * 3 if torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export() else x * 2


def test_an_export_that_is_refused_names_the_module(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(4, 4), Sly(), nn.Linear(4, 2))

    with pytest.raises(ExportError, match=r"They first differ in '1'\."):
        LexerContext().export(model, torch.randn(2, 4), tmp_path / "net.onnx")
