"""Are TorchScript modules measured and exported like other modules?"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn

from real_models import AGREE, BOTH, IN_CALLER, benchmark, own_cache, parities, statuses  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.torch,
    pytest.mark.onnxruntime,
    pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning"),
]
__all__ = ["own_cache"]

IMAGE = torch.randn(2, 3, 8, 8)


def convolution() -> Any:
    """A module with buffers, in training mode."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


class VoiceActivity(nn.Module):
    """Checks an integer argument, and keeps a state in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("state", torch.zeros(1, 4))
        self.filters = nn.Conv1d(1, 4, 8, stride=4)

    def forward(self, audio: torch.Tensor, rate: int) -> torch.Tensor:
        if rate not in [8000, 16000]:
            raise ValueError("unsupported sampling rate")
        y = self.filters(audio[:, None]).mean(2) + self.state
        self.state = y[:1] * 0.5
        return y


class Holder(nn.Module):
    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Any) -> Any:
        return {"mean": self.inner(x).mean((2, 3))}


def scripted() -> Any:
    return torch.jit.script(convolution())


def frozen() -> Any:
    return torch.jit.freeze(torch.jit.script(convolution().eval()))


def traced() -> Any:
    return torch.jit.trace(convolution().eval(), IMAGE)


def holding_scripted() -> Any:
    return Holder(scripted())


def holding_frozen() -> Any:
    return Holder(frozen())


def loaded(folder: Path) -> Any:
    torch.jit.save(scripted(), folder / "model.pt")
    return torch.jit.load(folder / "model.pt")


@pytest.mark.parametrize("make", [scripted, frozen, traced, holding_scripted, holding_frozen])
def test_it_is_measured_and_exported(make: Callable[[], Any]) -> None:
    report = benchmark(make(), IMAGE, **IN_CALLER)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert "torchscript" in report["onnxruntime"].exporter


def test_a_loaded_file_is_measured_in_separate_processes_and_left_as_it_was(
    tmp_path: Path,
) -> None:
    model = loaded(tmp_path)

    report = benchmark(model, IMAGE)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert {row.isolation for row in report} == {"process"}
    assert report.model_name == "Sequential"
    assert model.training


def test_a_frozen_module_is_sent_to_other_processes() -> None:
    report = benchmark(frozen(), IMAGE, engines=["torch"])

    assert parities(report) == {"torch": "pass"}
    assert report["torch"].isolation == "process"


def test_a_model_with_a_state_and_an_integer_argument_is_judged_by_its_first_call() -> None:
    model = torch.jit.script(VoiceActivity())

    report = benchmark(model, (torch.randn(1, 64), 16000), **IN_CALLER)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert any("writes to its buffers (state)" in note for note in report.notes)
    assert not model.state.any()


def test_what_the_exporter_does_not_know_costs_only_the_rows_that_need_it() -> None:
    model = torch.jit.optimize_for_inference(torch.jit.script(convolution().eval()))

    report = benchmark(model, IMAGE, **IN_CALLER)

    assert parities(report) == {"torch": "pass", "onnxruntime": ""}
    error = report["onnxruntime"].error
    assert "to_mkldnn has no translation to ONNX" in error.reason
    assert "Benchmark the original module" in error.hint


def test_engines_that_trace_refuse_it_with_a_reason() -> None:
    from lexer_core.errors import ExportError
    from lexer_core.model.adapt import adapt_model, model_source
    from lexer_core.records import CPU
    from lexer_torch.export import export_program

    source = model_source(adapt_model(scripted(), IMAGE))

    with pytest.raises(ExportError, match=r"TorchScript module, which torch\.export does not"):
        export_program(source, CPU)


def test_a_module_without_forward_fails_as_the_model_does() -> None:
    from lexer_core.errors import ModelError

    class Without(nn.Module):
        @torch.jit.export
        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.jit.script(Without())

    with pytest.raises(ModelError, match="Without raised"):
        benchmark(model, torch.ones(2, 2), **IN_CALLER)
