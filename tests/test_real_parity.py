"""Which outputs of real engines are right?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn

from real_models import AGREE, IN_CALLER, Counting, benchmark, own_cache, parities  # noqa: E402

from lexer.api.lexer_context import LexerContext  # noqa: E402
from lexer_core.errors import ExportError, InputError  # noqa: E402
from lexer_core.export.cache import ExportCache  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]


class Function(nn.Module):
    """A module that calls a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def measure(function: Any, x: Any, **settings: Any) -> BenchmarkReport:
    return benchmark(Function(function), x, **{**IN_CALLER, **settings})


# -- complex numbers ---------------------------------------------------------------


def test_a_complex_output_is_compared_as_pairs() -> None:
    report = measure(torch.fft.rfft, torch.randn(2, 16))

    assert parities(report) == AGREE
    assert any("pairs of real and imaginary" in each for each in report["onnxruntime"].warnings)


def test_a_complex_input_is_passed_as_pairs() -> None:
    report = measure(torch.abs, torch.randn(3, 8, dtype=torch.complex64))

    assert parities(report) == AGREE


# -- ties --------------------------------------------------------------------------


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
@pytest.mark.parametrize("function", [lambda x: x.topk(5), lambda x: x.sort(-1)])
def test_indices_of_equal_values_may_differ(function: Any, exporter: str) -> None:
    x = torch.arange(40).remainder(3).float().expand(3, -1)

    report = measure(function, x, exporter=exporter)

    assert parities(report) == AGREE
    assert any("indices differ" in each for each in report["onnxruntime"].warnings)


# -- second inputs -----------------------------------------------------------------


def branch(x: Any) -> Any:
    return x * 2 if x.sum() > 0 else x - 1


def partly_numpy(x: Any) -> Any:
    return x * float(x.max())


FROZEN = pytest.mark.parametrize("function", [branch, partly_numpy])
IN_TORCHSCRIPT = {"exporter": "torchscript"}


@FROZEN
@pytest.mark.parametrize(
    "x", [torch.linspace(-1, 2, 24).reshape(3, 8), torch.ones(3, 8), -torch.ones(3, 8)]
)
def test_what_an_export_froze_is_found(function: Any, x: Any) -> None:
    report = measure(function, x, **IN_TORCHSCRIPT)

    assert parities(report) == {"torch": "pass", "onnxruntime": "fail"}
    row = report["onnxruntime"]
    assert row.rank is None
    assert row.parity.second_inputs == "fail"
    assert row.parity.reason.startswith("correct for the example inputs, wrong for second inputs")
    assert report["torch"].parity.second_inputs == "pass"


def test_what_an_export_froze_is_found_in_workers() -> None:
    report = measure(partly_numpy, torch.ones(2, 3), isolation="process", **IN_TORCHSCRIPT)

    assert parities(report) == {"torch": "pass", "onnxruntime": "fail"}
    assert report["onnxruntime"].parity.second_inputs == "fail"


@FROZEN
def test_second_inputs_can_be_turned_off(function: Any) -> None:
    report = measure(function, torch.randn(3, 8), second_inputs=False, **IN_TORCHSCRIPT)

    assert parities(report) == AGREE
    assert report["onnxruntime"].parity.second_inputs == ""


@FROZEN
def test_an_export_to_a_file_is_checked_too(function: Any, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="wrong for second inputs"):
        LexerContext().export(
            Function(function), torch.randn(3, 8), tmp_path / "x.onnx", **IN_TORCHSCRIPT
        )

    assert not (tmp_path / "x.onnx").exists()


def test_second_inputs_can_be_given() -> None:
    x = torch.full((2, 3), 4.0)

    right = measure(branch, x, second_input=x + 1, **IN_TORCHSCRIPT)
    wrong = measure(branch, x, second_input=-x, **IN_TORCHSCRIPT)

    assert parities(right) == AGREE
    assert parities(wrong) == {"torch": "pass", "onnxruntime": "fail"}


def test_given_second_inputs_must_be_like_the_first() -> None:
    with pytest.raises(InputError, match=r"second_input is x: float32\[4, 8\]") as caught:
        measure(branch, torch.ones(3, 8), second_input=torch.ones(4, 8))

    assert "x: float32[3, 8]" in caught.value.hint


def positive_only(x: Any) -> Any:
    if (x[0] < 1).any():
        raise ValueError("out of range")
    return x * 2


def test_second_inputs_that_the_model_rejects_are_not_used() -> None:
    report = measure(positive_only, torch.ones(2, 2), **IN_TORCHSCRIPT)

    assert parities(report) == AGREE
    assert report["onnxruntime"].parity.second_inputs == ""
    assert any("out of range" in note for note in report.notes)


def test_second_inputs_whose_outputs_are_not_finite_are_not_used() -> None:
    report = measure(lambda x: (x - 0.99).log(), torch.ones(2, 2))

    assert parities(report) == AGREE
    assert any("output 'output' is not finite" in note for note in report.notes)


class CrashesForOthers(nn.Module):
    """Ends its process for inputs that are not ones."""

    def forward(self, x: Any) -> Any:
        if not torch.compiler.is_compiling() and not bool((x == 1).all()):
            os._exit(7)
        return x * 2


def test_a_crash_with_second_inputs_does_not_end_the_run() -> None:
    report = benchmark(CrashesForOthers(), torch.ones(2, 2))

    assert parities(report) == AGREE
    assert any("not compared for second inputs" in note for note in report.notes)


# -- exports of earlier runs -------------------------------------------------------


def other_when_exported(x: Any) -> Any:
    is_traced = torch.compiler.is_compiling() or torch.onnx.is_in_onnx_export()
    return x + 1 if is_traced else x + 2


def test_a_cached_export_that_stays_wrong_is_made_again_once() -> None:
    again = "the cached export gave wrong outputs; the model was exported again"
    rows = [measure(other_when_exported, torch.ones(3, 8))["onnxruntime"] for _ in range(4)]

    assert [row.parity.status for row in rows] == ["fail"] * 4
    assert [again in row.warnings for row in rows] == [False, True, False, False]
    assert [row.export_cached for row in rows] == [False, False, True, True]


def test_a_file_that_stays_wrong_is_refused_and_made_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    made = []
    for _ in range(4):
        with pytest.raises(ExportError, match="differ"):
            LexerContext().export(
                Function(other_when_exported), torch.ones(3, 8), tmp_path / "wrong.onnx"
            )
        made += [entry.created_at for entry in ExportCache().entries()]

    assert len(made) == 4
    assert len(set(made)) == 2


# -- state -------------------------------------------------------------------------


class KeepsHidden(nn.Module):
    """Goes on from the hidden state of the call before."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(8, 8)
        self.hidden = None

    def forward(self, x: Any) -> Any:
        y, self.hidden = self.layer(x, self.hidden)
        return y


class CountsInAttribute(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return x + 1 if self.calls == 1 else x * 2


class Overwrites(nn.Module):
    """Writes to a buffer, and returns the same in every call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cache", torch.zeros(3, 8))

    def forward(self, x: Any) -> Any:
        self.cache[:] = x
        return self.cache * 2


class Tally:
    def __init__(self) -> None:
        self.calls = 0


class CountsInObject(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally()

    def forward(self, x: Any) -> Any:
        self.tally.calls += 1
        return x * self.tally.calls


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("model", [KeepsHidden, CountsInAttribute, Counting])
def test_an_engine_that_froze_the_state_of_a_model_gets_no_rank(model: Any, isolation: str) -> None:
    report = benchmark(model(), torch.randn(3, 8), **{**IN_CALLER, "isolation": isolation})

    assert parities(report) == AGREE
    assert report["torch"].withheld == ""
    row = report["onnxruntime"]
    assert "which is frozen in this engine's graph: its second call is wrong" in row.withheld
    assert row.rank is None
    assert any("only first calls are compared" in note for note in report.notes)


def test_state_without_influence_on_the_outputs_does_not_matter() -> None:
    report = benchmark(Overwrites(), torch.randn(3, 8), **IN_CALLER)

    assert parities(report) == AGREE
    assert report["onnxruntime"].withheld == ""


def test_state_that_cannot_be_reset_is_not_called_random() -> None:
    report = benchmark(CountsInObject(), torch.randn(3, 8), **IN_CALLER)

    assert parities(report) == {"torch": "not_judged", "onnxruntime": "not_judged"}
    assert "the model keeps state in an object" in report["torch"].parity.reason


def test_the_file_of_a_model_that_keeps_state_has_a_note(tmp_path: Path) -> None:
    exported = LexerContext().export(KeepsHidden(), torch.randn(3, 8), tmp_path / "x.onnx")

    assert any("the model keeps state between calls" in note for note in exported.notes)
