"""Are models measured whose weights are not ordinary dense tensors?"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn

from real_models import IN_CALLER, benchmark, own_cache, parities, statuses  # noqa: E402

from lexer_core.errors import TargetError  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.onnxruntime,
    pytest.mark.filterwarnings("ignore:Sparse (CSR|invariant):UserWarning"),
    pytest.mark.filterwarnings("ignore:.*quantiz:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*quantiz:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning"),
]
__all__ = ["own_cache"]

ROWS = torch.randn(4, 4)


class Multiply(nn.Module):
    """Multiplies by a tensor of any kind."""

    def __init__(self, tensor: Any, *, parameter: bool = False) -> None:
        super().__init__()
        if parameter:
            self.table = nn.Parameter(tensor, requires_grad=False)
        else:
            self.register_buffer("table", tensor)

    def forward(self, x: Any) -> Any:
        table = self.table.dequantize() if self.table.is_quantized else self.table
        return table @ x


def quantized(values: Any) -> Any:
    return torch.quantize_per_tensor(values, 0.5, 0, torch.qint8)


def quantized_by_channel(values: Any) -> Any:
    scales = torch.ones(4, dtype=torch.float64)
    return torch.quantize_per_channel(values, scales, scales.long(), 0, torch.qint8)


KINDS = {
    "coo": lambda values: values.to_sparse(),
    "csr": lambda values: values.to_sparse_csr(),
    "csc": lambda values: values.to_sparse_csc(),
    "bsr": lambda values: values.to_sparse_bsr((2, 2)),
    "quantized": quantized,
    "quantized by channel": quantized_by_channel,
}


@pytest.mark.parametrize("parameter", [False, True], ids=["buffer", "parameter"])
@pytest.mark.parametrize("kind", KINDS)
def test_torch_measures_it_and_an_engine_that_cannot_says_why(kind: str, parameter: bool) -> None:
    model = Multiply(KINDS[kind](torch.eye(4)), parameter=parameter)

    report = benchmark(model, ROWS, **IN_CALLER)

    assert parities(report)["torch"] == "pass"
    row = report["onnxruntime"]
    assert row.status == "ok" or "cannot export Multiply to ONNX" in row.error.reason


def test_a_sparse_model_is_measured_in_a_separate_process() -> None:
    report = benchmark(Multiply(torch.eye(4).to_sparse()), ROWS, engines=["torch"])

    row = report["torch"]
    assert (row.status, row.parity.status, row.isolation) == ("ok", "pass", "process")
    assert row.model_bytes == 4 * 2 * 8 + 4 * 4  # indices and values
    assert set(report.model_fingerprint) >= {"weights", "modules"}


class Accumulating(nn.Module):
    """Writes to a sparse buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sums", torch.eye(4).to_sparse())

    def forward(self, x: Any) -> Any:
        y = self.sums @ x
        self.sums.mul_(2)
        return y


def test_a_sparse_buffer_that_a_call_changes_is_restored() -> None:
    model = Accumulating()

    report = benchmark(model, ROWS, **IN_CALLER, engines=["torch"])

    assert any("writes to its buffers (sums)" in note for note in report.notes)
    assert torch.equal(model.sums.to_dense(), torch.eye(4))


class Padding(nn.Module):
    """Holds a nested tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer(
            "ragged", torch.nested.nested_tensor([torch.ones(2), torch.full((3,), 2.0)])
        )

    def forward(self, x: Any) -> Any:
        return x + torch.nested.to_padded_tensor(self.ragged, 0.0).sum()


def test_what_cannot_be_identified_is_a_note() -> None:
    report = benchmark(Padding(), ROWS, **IN_CALLER)

    assert parities(report)["torch"] == "pass"
    assert any("weights changed: tensor 'ragged' is nested" in note for note in report.notes)


class Stubborn(torch.Tensor):
    """Raises if it is copied, compared or described."""

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name in ("clone", "isnan", "eq", "untyped_storage", "numel", "copy_"):
            raise NotImplementedError(f"Stubborn has no {name}")
        return super().__torch_function__(function, types, args, kwargs or {})


def test_a_buffer_that_cannot_be_saved_is_a_note() -> None:
    model = Multiply(torch.eye(4).as_subclass(Stubborn))

    report = benchmark(model, ROWS, **IN_CALLER, engines=["torch"])

    assert statuses(report) == {"torch": "ok"}
    assert any(
        "buffer 'table' cannot be saved and restored (NotImplementedError: Stubborn has no clone)"
        in note
        for note in report.notes
    )


def test_a_dynamically_quantized_model_is_measured() -> None:
    model = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(4, 4)), {nn.Linear}, dtype=torch.qint8
    )

    report = benchmark(model, ROWS, **IN_CALLER, engines=["torch"])

    assert parities(report) == {"torch": "pass"}


# -- weights without values ---------------------------------------------------------


def test_a_model_on_the_meta_device_is_refused() -> None:
    with pytest.raises(TargetError, match="Linear has no weights") as caught:
        benchmark(nn.Linear(4, 4, device="meta"), ROWS, **IN_CALLER)

    assert "it is on the meta device" in caught.value.message
    assert "Load them first" in caught.value.hint


def test_weights_that_were_not_loaded_are_named() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, device="meta"))

    with pytest.raises(TargetError, match=r"lacks weights: 1\.weight, 1\.bias are on the meta"):
        benchmark(model, ROWS, **IN_CALLER)


def test_a_model_made_under_fake_tensor_mode_is_refused() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        model = nn.Linear(4, 4)

    with pytest.raises(TargetError, match="has no weights"):
        benchmark(model, ROWS, **IN_CALLER)


@pytest.mark.parametrize("make", [lambda: nn.LazyLinear(3), nn.LazyBatchNorm1d])
def test_a_lazy_model_that_was_never_called_is_refused_until_it_is_called(make: Any) -> None:
    model = make()

    with pytest.raises(TargetError, match="it is lazy") as caught:
        benchmark(model, ROWS, **IN_CALLER)

    assert caught.value.hint == "Call it once with example inputs: model(...)."
    model(ROWS)
    assert parities(benchmark(model, ROWS, **IN_CALLER, engines=["torch"])) == {"torch": "pass"}
