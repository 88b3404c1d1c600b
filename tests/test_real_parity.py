"""Which outputs of real engines are right?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn

from real_models import IN_CALLER, benchmark, own_cache, parities  # noqa: E402

if TYPE_CHECKING:
    from lexer_core.report import BenchmarkReport

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

AGREE = {"torch": "pass", "onnxruntime": "pass"}


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
