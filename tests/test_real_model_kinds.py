"""Are models of many kinds measured, and do the engines agree?

One line per kind: what was right stays right.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
nn = torch.nn
functional = nn.functional

from real_models import (  # noqa: E402
    AGREE,
    BOTH,
    IN_CALLER,
    benchmark,
    output_names,
    own_cache,
    parities,
    statuses,
)

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

QUICK = {**IN_CALLER, "num_iterations": 5, "warm_up_seconds": 0.0}
ROWS = torch.randn(2, 8)


class Calls(nn.Module):
    """A module whose forward is a function of positional arguments."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Any) -> Any:
        return self.function(*tensors)


class Rotary(nn.Module):
    """Rotary position embeddings, with a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 10.0 ** -torch.arange(4.0), persistent=False)

    def forward(self, x: Any) -> Any:
        angles = torch.arange(x.shape[1])[:, None] * self.frequencies
        cosine, sine = torch.cat([angles, angles], 1).cos(), torch.cat([angles, angles], 1).sin()
        left, right = x.chunk(2, -1)
        return x * cosine + torch.cat([-right, left], -1) * sine


class Attention(nn.Module):
    def forward(self, query: Any, mask: Any) -> Any:
        return functional.scaled_dot_product_attention(query, query, query, attn_mask=mask)


class Optional(nn.Module):
    """Keyword-only and optional inputs."""

    def forward(self, x: Any, bias: Any = None, *, scale: Any, shift: Any = None) -> Any:
        y = x * scale
        y = y if bias is None else y + bias
        return y if shift is None else y + shift


def weight_normed() -> Any:
    return nn.utils.parametrizations.weight_norm(nn.Linear(8, 4))


def hooked() -> Any:
    model = nn.Linear(8, 4)
    model.register_forward_hook(lambda module, args, output: output * 2)
    model.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    return model


def deep() -> Any:
    return nn.Sequential(*[nn.Tanh() for _ in range(1500)])


def spectrum(x: Any) -> Any:
    return torch.stft(x, 16, window=torch.hann_window(16), return_complex=True).abs()


MODELS = {
    "STFT": lambda: (Calls(spectrum), torch.randn(1, 64)),
    "rotary embedding": lambda: (Rotary(), torch.randn(2, 5, 8)),
    "weight norm": lambda: (weight_normed(), ROWS),
    "DataParallel": lambda: (nn.DataParallel(nn.Linear(8, 4)), ROWS),
    "hooks": lambda: (hooked(), ROWS),
    "keyword-only": lambda: (Optional(), {"x": ROWS, "scale": torch.randn(8)}),
    "None": lambda: (Optional(), {"x": ROWS, "bias": None, "scale": ROWS, "shift": ROWS}),
    "*args": lambda: (Calls(lambda *parts: torch.cat(parts, 1)), (ROWS, ROWS, ROWS)),
    "denormals": lambda: (Calls(lambda x: x * 2), torch.full((2, 8), 1e-40)),
    "masked attention": lambda: (
        Attention(),
        (torch.randn(1, 2, 5, 8), torch.tril(torch.ones(5, 5)).bool()),
    ),
    "infinite mask": lambda: (
        Attention(),
        (torch.randn(1, 2, 5, 8), torch.full((5, 5), -torch.inf).triu(1)),
    ),
    "no parameters": lambda: (Calls(lambda x: x.sin()), ROWS),
    "tied weights": lambda: (tied(), ROWS),
}


def tied() -> Any:
    first = nn.Linear(8, 8)
    second = nn.Linear(8, 8)
    second.weight = first.weight
    return nn.Sequential(first, second)


@pytest.mark.filterwarnings("ignore:Checker does not support:UserWarning")
@pytest.mark.parametrize("kind", MODELS)
def test_the_engines_agree_on(kind: str) -> None:
    model, given = MODELS[kind]()

    report = benchmark(model, given, **QUICK)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool"],
)
def test_the_engines_agree_on_the_type(dtype: str) -> None:
    given = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(getattr(torch, dtype))

    report = benchmark(Calls(lambda x: x[:, :2].flip(1)), given, **QUICK)

    assert report["torch"].parity.status == "pass"
    row = report["onnxruntime"]
    assert row.status == "ok" or dtype in row.error.reason
    assert row.parity is None or row.parity.status == "pass"
    assert {each.dtype for each in report} == {dtype}


@pytest.mark.parametrize("dtype", ["bfloat16", "complex64", "float8_e4m3fn"])
def test_torch_measures_the_type(dtype: str) -> None:
    given = torch.ones(2, 3).to(getattr(torch, dtype))

    report = benchmark(Calls(lambda x: x.reshape(3, 2)), given, **QUICK)

    assert report["torch"].parity.status == "pass"
    row = report["onnxruntime"]
    assert row.error.reason if row.status != "ok" else row.parity.status == "pass"


def test_1500_layers_are_measured() -> None:
    report = benchmark(deep(), ROWS, **QUICK, engines=["torch"])

    assert parities(report) == {"torch": "pass"}


# -- numbers of inputs and outputs ---------------------------------------------------


class Scaled(nn.Module):
    def forward(self, x: Any, scale: Any) -> Any:
        return x * scale


class Repeating(nn.Module):
    """Returns nothing, its input, one result twice, and a view of it."""

    def forward(self, x: Any) -> Any:
        y = x * 2
        return None, x, y, y, y[:1], [None, y.T]


def test_an_input_may_have_no_dimensions() -> None:
    report = benchmark(Scaled(), (ROWS, torch.tensor(3.0)), **QUICK)

    assert parities(report) == AGREE
    assert str(report.input_specs[1]) == "scale: float32[]"
    assert {row.batch_size for row in report} == {2}


def test_all_inputs_may_have_no_dimensions() -> None:
    report = benchmark(Scaled(), (torch.tensor(2.0), torch.tensor(3.0)), **QUICK)

    assert parities(report) == AGREE
    assert {row.batch_size for row in report} == {None}


def test_a_tensor_may_be_empty() -> None:
    report = benchmark(
        Calls(lambda x, y: (torch.cat([x, y]), x.relu())), (torch.ones(0, 3), ROWS[:, :3]), **QUICK
    )

    assert parities(report) == AGREE


def test_outputs_may_be_nothing_the_input_each_other_or_a_view() -> None:
    report = benchmark(Repeating(), ROWS, **QUICK)

    assert parities(report) == AGREE
    for row in report:
        assert output_names(row) == ["output_1", "output_2", "output_3", "output_4", "output_5.1"]


# -- transformers ---------------------------------------------------------------------


@functools.cache
def transformers() -> Any:
    return pytest.importorskip("transformers")


def t5() -> Any:
    config = transformers().T5Config(
        d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, vocab_size=50
    )
    ids = torch.randint(1, 50, (1, 6))
    model = transformers().T5ForConditionalGeneration(config)
    return model, {"input_ids": ids, "decoder_input_ids": ids, "use_cache": False}


def vit() -> Any:
    config = transformers().ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=16,
        patch_size=8,
    )
    return transformers().ViTForImageClassification(config), torch.randn(2, 3, 16, 16)


@pytest.mark.parametrize("make", [t5, vit])
def test_a_transformer_is_measured(make: Callable[[], Any]) -> None:
    model, given = make()

    report = benchmark(model, given, **QUICK)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert output_names(report["onnxruntime"])[0] == "logits"
