"""Does a report name the module in which wrong outputs first differ?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn

from fake_engines import FakeSite  # noqa: E402
from faulty_graph_engine import faulty_engine  # noqa: E402
from real_models import IN_CALLER, benchmark, own_cache  # noqa: E402

from lexer_core.engines.choice import EngineChoice  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    "stem.0 Conv 1": "stem.0",
    "blocks.0.attn.qkv Gemm 1": "blocks.0.attn.qkv",
}


def test_the_module_with_another_weight_is_named() -> None:
    report = measure(*PLACES)

    assert {each: located(report, each).module for each in PLACES} == PLACES
