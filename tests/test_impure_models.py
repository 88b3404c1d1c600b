"""Are models measured fairly whose calls do more than read tensors?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
transformers = pytest.importorskip("transformers")

from impure_models import (  # noqa: E402
    CONSTANTS,
    GRADIENTS,
    WRITES,
    Merging,
    SameTwice,
    WithPacked,
    WritesAndNeedsGradients,
    rows,
    twice,
)
from real_models import IN_CALLER, benchmark, own_cache, parities, statuses  # noqa: E402

from lexer_core.model.value_state import state_of  # noqa: E402

if TYPE_CHECKING:
    from lexer_core.results import BenchmarkResult

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

RENEWED = "its calls change their inputs"
EVERY_ENGINE = ["torch", "onnxruntime", "openvino"]


def has_note(row: BenchmarkResult, text: str) -> bool:
    return any(text in warning for warning in row.warnings)


# -- inputs that forward writes to ---------------------------------------------------


@pytest.mark.parametrize("name", WRITES)
def test_a_model_that_changes_its_inputs_gets_new_ones_in_each_call(name: str) -> None:
    model, example = WRITES[name]
    inputs = example()
    before = state_of(inputs)

    report = benchmark(model(), inputs, **IN_CALLER, engines=EVERY_ENGINE)

    assert state_of(inputs) == before
    row = report["torch"]
    assert (row.status, row.withheld) == ("ok", "")
    assert row.parity.status == "pass"
    assert has_note(row, RENEWED)
    assert any("the model changes its inputs" in note for note in report.notes)
    measured = [row for row in report.results if row.status == "ok"]
    assert {row.parity.status for row in measured} == {"pass"}
    assert all(row.rank is not None or len(measured) == 1 for row in measured)
    assert not any(has_note(row, RENEWED) for row in measured if row.label != "torch")
    expected = {"onnxruntime", "openvino"} - {
        "resized": {"onnxruntime", "openvino"},
    }.get(name, set())
    assert {row.label for row in measured} == {"torch", *expected}


def test_a_tensor_that_is_passed_twice_is_one_tensor() -> None:
    report = benchmark(SameTwice(), twice(), **IN_CALLER)

    x = rows(2, 3)
    assert report["torch"].parity.status == "pass"
    # An export has two inputs. It computes what the model does for two tensors.
    assert report["onnxruntime"].parity.max_abs_error == pytest.approx(2.0)
    assert report["onnxruntime"].rank is None
    assert torch.equal(SameTwice()(x.clone(), x.clone()), x + 1 + 2 * x)


def test_a_pure_model_has_no_resets() -> None:
    row = benchmark(torch.nn.Linear(3, 3), rows(2, 3), **IN_CALLER, engines=["torch"])["torch"]

    assert row.loops > 1
    assert not has_note(row, RENEWED)


# -- objects -------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONSTANTS)
def test_an_object_that_calls_change_is_copied_for_each(name: str) -> None:
    model, example = CONSTANTS[name]

    row = benchmark(model(), example(), **IN_CALLER, engines=["torch"])["torch"]

    assert (row.status, row.parity.status, row.withheld) == ("ok", "pass", "")
    assert has_note(row, RENEWED)


def test_a_tensor_in_an_object_that_the_export_froze_makes_the_row_not_comparable() -> None:
    model, example = CONSTANTS["slots"]

    report = benchmark(model(), example(), **IN_CALLER)

    row = report["onnxruntime"]
    assert (row.status, row.parity.status, row.rank) == ("ok", "pass", None)
    assert row.withheld == (
        "not comparable: its export contains the tensors in argument 1 as constants, which the "
        "model reads in every call"
    )
    (comparison,) = report.comparisons
    assert comparison.verdict == "none"
    assert "as constants" in comparison.reason


CONFIG = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 32,
    "max_position_embeddings": 64,
}


class Step(torch.nn.Module):
    """One step of a small language model with a cache."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))

    def forward(self, ids: Any, cache: Any) -> Any:
        return self.model(input_ids=ids, past_key_values=cache, use_cache=True).logits


class BothCaches(torch.nn.Module):
    def forward(self, x: Any, cache: Any) -> Any:
        keys, values = cache.self_attention_cache.update(x, x, 0)
        return keys.mean() + values + cache.cross_attention_cache.layers[0].keys.sum()


class OfOutput(torch.nn.Module):
    def forward(self, x: Any, output: Any) -> Any:
        return x * output.logits + output["hidden_states"][0]


def filled(cache: Any) -> Any:
    for layer in range(2):
        cache.update(torch.randn(1, 2, 8, 8), torch.randn(1, 2, 8, 8), layer)
    return cache


def static() -> Any:
    return transformers.StaticCache(config=transformers.LlamaConfig(**CONFIG), max_cache_len=16)


@pytest.mark.parametrize("make", [transformers.DynamicCache, static])
def test_the_tensors_of_a_cache_are_inputs_of_the_export(make: Any) -> None:
    cache = filled(make())
    before = state_of(cache)

    report = benchmark(Step(), (torch.tensor([[3]]), cache), **IN_CALLER, engines=EVERY_ENGINE)

    assert set(statuses(report).values()) == {"ok"}
    assert set(parities(report).values()) == {"pass"}
    assert [row.withheld for row in report.results] == ["", "", ""]
    assert {"cache.layers.0.keys", "cache.layers.1.values"} <= {
        spec.name for saved in report.models for spec in saved.inputs
    }
    assert has_note(report["torch"], RENEWED)
    assert state_of(cache) == before


def test_the_caches_of_an_encoder_and_a_decoder_are_inputs_of_the_export() -> None:
    cache = transformers.EncoderDecoderCache(
        filled(transformers.DynamicCache()), filled(transformers.DynamicCache())
    )

    report = benchmark(BothCaches(), (torch.randn(1, 2, 1, 8), cache), **IN_CALLER)

    assert parities(report) == {"torch": "pass", "onnxruntime": "pass"}
    assert [row.withheld for row in report.results] == ["", ""]


def test_an_output_of_transformers_can_be_an_input() -> None:
    from transformers.modeling_outputs import CausalLMOutputWithPast

    output = CausalLMOutputWithPast(logits=rows(2, 3), hidden_states=(rows(2, 3),))

    report = benchmark(OfOutput(), (rows(2, 3), output), **IN_CALLER)

    assert parities(report) == {"torch": "pass", "onnxruntime": "pass"}
    assert not has_note(report["torch"], RENEWED)


def test_a_packed_sequence_can_be_an_input() -> None:
    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(4, 4), torch.randn(2, 4)])

    row = benchmark(WithPacked(), (packed,), **IN_CALLER, engines=["torch"])["torch"]

    assert (row.status, row.parity.status) == ("ok", "pass")


# -- gradients in forward ------------------------------------------------------------


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("name", GRADIENTS)
def test_forward_may_compute_gradients(name: str, isolation: str) -> None:
    model, example, mode = GRADIENTS[name]

    report = benchmark(model(), example(), engines=["torch"], isolation=isolation)

    row = report["torch"]
    assert (row.status, row.parity.status, row.withheld) == ("ok", "pass", "")
    needs_grad = mode == "gradients enabled"
    assert has_note(row, mode) == (needs_grad or isolation == "process")
    assert any("gradients enabled" in note for note in report.notes) == needs_grad


def test_torch_compile_gets_new_inputs_and_leaves_inference_mode_like_torch() -> None:
    report = benchmark(WritesAndNeedsGradients(), rows(5, 3), engines=["torch", "torch-compile"])

    assert parities(report) == {"torch": "pass", "torch-compile": "pass"}
    assert all(has_note(row, RENEWED) for row in report)
    assert all(has_note(row, "called under torch.no_grad()") for row in report)


# -- the user's model afterwards -----------------------------------------------------


def test_a_model_whose_modes_change_its_weights_is_the_same_afterwards() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(Merging(16), torch.nn.Dropout(), Merging(16)).train()
    model[1].eval()
    model[2].weight.requires_grad_(True)
    hook = model[0].register_forward_hook(lambda module, args, output: None)
    model[0].table = torch.ones(2)
    state = {name: each.clone() for name, each in model.state_dict().items()}
    tensors = [*model.parameters()]
    trained = [each.training for each in model.modules()]
    required = [each.requires_grad for each in tensors]

    report = benchmark(model, rows(2, 16), **IN_CALLER, engines=EVERY_ENGINE)

    assert set(parities(report).values()) == {"pass"}
    assert all(one is other for one, other in zip(tensors, model.parameters(), strict=True))
    for name, each in model.state_dict().items():
        assert each.numpy().tobytes() == state[name].numpy().tobytes()
    assert [each.training for each in model.modules()] == trained
    assert [each.requires_grad for each in model.parameters()] == required
    assert [each.grad for each in tensors] == [None] * len(tensors)
    assert list(model[0]._forward_hooks) == [hook.id]
    assert model[0].table.tolist() == [1.0, 1.0]
    assert not model[0].merged
