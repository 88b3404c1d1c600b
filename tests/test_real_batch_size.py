"""Are items counted only where it is known what they are?"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from real_models import IN_CALLER, AmazingNet, benchmark, own_cache  # noqa: E402

from lexer_core import Lexer, LexerContext  # noqa: E402

pytestmark = [pytest.mark.torch]
__all__ = ["own_cache"]

TORCH = {**IN_CALLER, "engines": ["torch"]}
IMAGE = torch.randn(4, 3, 16, 16)


class Waveform(nn.Module):
    def forward(self, audio: Any) -> Any:
        return audio.reshape(-1, 4).mean(1)


class Detector(nn.Module):
    """Takes a list of images, as torchvision's detectors do."""

    def forward(self, images: Any) -> Any:
        return [image.mean((1, 2)) for image in images]


class Tagger(nn.Module):
    def __init__(self, kind: Any, **options: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"core": kind(8, 8, **options)})

    def forward(self, x: Any) -> Any:
        return self.layers["core"](x)[0]


class Attending(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, **options)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x: Any) -> Any:
        return self.encoder(x)


def test_a_batch_of_images_is_counted() -> None:
    report = benchmark(AmazingNet(), IMAGE, **TORCH)

    row = report["torch"]
    assert row.batch_size == 4
    assert row.throughput_per_sec == pytest.approx(4 / row.samples.mean())
    assert "4 items per call" in str(report)
    assert not any("items_per_call" in note for note in report.notes)


@pytest.mark.parametrize(
    ("model", "input", "reason"),
    [
        (Waveform(), torch.randn(16000), "no input has two dimensions"),
        (Detector(), ([torch.randn(3, 8, 8)] * 3,), "the inputs are in a list"),
        (nn.Conv2d(3, 4, 3), torch.randn(3, 8, 8), "no output has 3 in dimension 0"),
        (Tagger(nn.LSTM), torch.randn(50, 2, 8), "LSTM 'layers.core' has batch_first=False"),
        (nn.GRU(8, 8), torch.randn(50, 2, 8), "GRU has batch_first=False"),
        (Attending(), torch.randn(50, 2, 8), "has batch_first=False"),
    ],
    ids=["waveform", "list", "single image", "LSTM", "GRU", "Transformer"],
)
def test_where_nothing_is_known_a_call_is_one_item_and_the_report_says_so(
    model: Any, input: Any, reason: str
) -> None:
    report = benchmark(model, input, **TORCH)

    row = report["torch"]
    assert row.batch_size is None
    assert row.throughput_per_sec == pytest.approx(1 / row.samples.mean())
    assert "1 item per call (assumed)" in str(report)
    assert any(reason in note and "set items_per_call" in note for note in report.notes)


@pytest.mark.parametrize(
    "model",
    [Tagger(nn.LSTM, batch_first=True), Attending(batch_first=True)],
    ids=["LSTM", "Transformer"],
)
def test_batch_first_is_counted(model: Any) -> None:
    assert benchmark(model, torch.randn(2, 50, 8), **TORCH)["torch"].batch_size == 2


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.filterwarnings("ignore:The tensor attribute")
@pytest.mark.parametrize("form", ["scripted", "traced", "program"])
def test_a_time_dimension_is_seen_in_torchscript_and_programs(form: str) -> None:
    model, sequence = Tagger(nn.GRU).eval(), torch.randn(50, 2, 8)
    if form == "scripted":
        model = torch.jit.script(nn.Sequential(nn.GRU(8, 8)))
    elif form == "traced":
        model = torch.jit.trace(model, sequence)
    else:
        model = torch.export.export(model, (sequence,))

    report = benchmark(model, sequence, **TORCH)

    assert report["torch"].batch_size is None
    assert any("batch_first=False" in note for note in report.notes)


@Lexer(items_per_call=5)
class Five(Waveform):
    """Its class knows how many items its inputs hold."""


@pytest.mark.parametrize(
    ("model", "arguments", "items"),
    [
        (Waveform(), {"batch_size": 1}, 1),
        (Waveform(), {"items_per_call": 2}, 2),
        (Five(), {}, 5),
        (Five(), {"batch_size": 7}, 7),
    ],
)
def test_the_users_number_wins(model: Any, arguments: dict[str, int], items: int) -> None:
    report = benchmark(model, torch.randn(16000), **TORCH, **arguments)

    row = report["torch"]
    assert row.batch_size == items
    assert row.throughput_per_sec == pytest.approx(items / row.samples.mean())
    assert "(assumed)" not in str(report)
    assert not any("items_per_call" in note for note in report.notes)


def test_the_environment_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEXER_ITEMS_PER_CALL", "3")

    assert benchmark(AmazingNet(), IMAGE, **TORCH)["torch"].batch_size == 3


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x: Any) -> Any:
        if len(x) == 3:
            raise RuntimeError("no three")
        return self.head(x)


def test_a_batch_size_with_which_the_model_fails_costs_only_its_configuration() -> None:
    report = LexerContext(show_progress=False).tune(
        Picky(),
        torch.randn(1, 16),
        vary={"batch": [1, 2, 3]},
        maximize="throughput",
        engines=["torch"],
        isolation="none",
        warm_up_seconds=0.02,
        max_seconds=3.0,
        launches=1,
    )

    fates = {each.batch: each.fate for each in report.configurations}
    failed = report["torch[batch=3]"]
    assert fates[3] == "failed"
    assert {fates[1], fates[2]} <= {"winner", "tie", "slower", "not_reached"}
    assert (failed.error.phase, failed.num_samples) == ("reference", 0)
    assert "Picky raised RuntimeError: no three" in report.to_text(width=120)
