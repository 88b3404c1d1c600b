"""Is the .onnx file that is made of a model that model?"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import onnx
import torch
from torch import nn

from lexer_core.errors import ExportError, ModelError, SettingError, UnsupportedError
from lexer_core.export.trace_errors import explain_trace_error
from lexer_core.model.adapt import adapt_model, model_source, with_output_names
from lexer_core.model.reference import reference_outputs
from lexer_core.records import CPU, ExportedModel, ModelSource, SessionConfig
from lexer_ort import engine as hooks
from lexer_ort import export as export_module
from lexer_ort.export import export_with_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]

BOTH = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


class Calls(nn.Module):
    """A module whose forward is a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: Any) -> Any:
        return self.function(*tensors)


def source_of(
    model: nn.Module,
    input: Any,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    dynamic_axes: Mapping[str, Mapping[int, str]] | None = None,
) -> tuple[ModelSource, dict[str, Any]]:
    """What the core gives an exporter, and the model's own outputs."""
    adapted = adapt_model(
        model.eval(),
        input,
        input_names=input_names,
        output_names=output_names,
        dynamic_axes=dynamic_axes or {},
    )
    reference = reference_outputs(adapted)
    named = with_output_names(adapted, tuple(reference.outputs))
    return model_source(named), dict(reference.outputs)


def export(source: ModelSource, workdir: Path, **options: Any) -> ExportedModel:
    exported = hooks.lexer_export_model(source, "onnx", workdir, options)
    assert exported is not None
    return exported


def run(exported: ExportedModel, source: ModelSource) -> dict[str, Any]:
    session = hooks.lexer_create_session(exported, CPU, SessionConfig(threads=1))
    placed = hooks.lexer_place_inputs(session, source.inputs)
    outputs = dict(hooks.lexer_fetch_outputs(session, session.run(placed)))
    session.close()
    return outputs


def assert_same(
    outputs: Mapping[str, Any], expected: Mapping[str, Any], rtol: float = 1e-5
) -> None:
    assert list(outputs) == list(expected)
    for name, array in expected.items():
        assert outputs[name].dtype == array.dtype
        np.testing.assert_allclose(
            outputs[name].astype(np.float64), array.astype(np.float64), rtol=rtol, atol=1e-6
        )


def round_trip(model: nn.Module, input: Any, workdir: Path, **options: Any) -> ExportedModel:
    source, expected = source_of(model, input)
    exported = export(source, workdir, **options)
    assert_same(run(exported, source), expected)
    return exported


# -- kinds of models ---------------------------------------------------------------


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, pixels: Any, scale: Any) -> Any:
        return {"logits": self.linear(pixels) * scale, "pair": (pixels.sum(), pixels > 0)}


@BOTH
def test_several_inputs_and_nested_outputs_keep_their_names(tmp_path, exporter):
    source, expected = source_of(TwoInputs(), (torch.randn(2, 4), torch.tensor(3.0)))

    exported = export(source, tmp_path, exporter=exporter)

    assert [spec.name for spec in exported.inputs] == ["pixels", "scale"]
    assert [spec.name for spec in exported.outputs] == list(expected)
    assert_same(run(exported, source), expected)


@BOTH
def test_declared_names_are_the_names_of_the_graph(tmp_path, exporter):
    source, expected = source_of(
        TwoInputs(),
        (torch.randn(2, 4), torch.tensor(3.0)),
        input_names=["image", "factor"],
        output_names=["scores", "total", "positive"],
    )

    exported = export(source, tmp_path, exporter=exporter)

    assert [spec.name for spec in exported.inputs] == ["image", "factor"]
    assert_same(run(exported, source), expected)


def test_nested_and_keyword_inputs_are_flattened(tmp_path):
    class Nested(nn.Module):
        def forward(self, parts: Any, *, bias: Any, factor: float = 2.0) -> Any:
            return parts["a"] * factor + parts["b"][0] + bias

    inputs = {
        "parts": {"a": torch.randn(3), "b": [torch.randn(3)]},
        "bias": torch.randn(3),
        "factor": 5.0,
    }

    exported = round_trip(Nested(), inputs, tmp_path)

    assert len(exported.inputs) == 3


@BOTH
def test_integer_and_boolean_tensors_stay_what_they_are(tmp_path, exporter):
    model = Calls(lambda ids, mask: (ids + 1, ids.float() * mask, ~mask))

    exported = round_trip(
        model,
        (torch.arange(4), torch.tensor([True, False, True, True])),
        tmp_path,
        exporter=exporter,
    )

    assert [spec.dtype for spec in exported.inputs] == ["int64", "bool"]
    assert [spec.dtype for spec in exported.outputs] == ["int64", "float32", "bool"]


def test_weights_of_every_type_are_written(tmp_path):
    class Adds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for dtype in (torch.float16, torch.bool, torch.int64, torch.float64):
                self.register_buffer(str(dtype)[6:], torch.tensor([1, 0, 1]).to(dtype))

        def forward(self, x: Any) -> Any:
            buffers = list(self.buffers())
            return x + sum(buffer.to(x.dtype) for buffer in buffers), *buffers

    round_trip(Adds(), torch.randn(2, 3), tmp_path)


def test_half_precision_runs_in_half_precision(tmp_path):
    source, expected = source_of(nn.Linear(8, 4).half(), torch.randn(2, 8).half())

    exported = export(source, tmp_path)

    assert exported.outputs[0].dtype == "float16"
    assert_same(run(exported, source), expected, rtol=1e-2)


def test_bfloat16_is_exported_and_unsupported_where_it_has_no_kernel(tmp_path):
    source, _ = source_of(
        nn.Sequential(nn.Linear(8, 4), nn.ReLU()).bfloat16(), torch.randn(2, 8).bfloat16()
    )

    exported = export(source, tmp_path)

    assert exported.inputs[0].dtype == "bfloat16"
    with pytest.raises(UnsupportedError, match="bfloat16"):
        run(exported, source)


@BOTH
def test_an_input_that_is_returned_unchanged_does_not_clash(tmp_path, exporter):
    round_trip(
        Calls(lambda a, b: (a, b, a + b)),
        (torch.randn(2), torch.randn(2)),
        tmp_path,
        exporter=exporter,
    )


@BOTH
def test_one_tensor_returned_twice_is_two_outputs(tmp_path, exporter):
    def twice(x: Any) -> Any:
        result = x.relu()
        return result, result

    round_trip(Calls(twice), torch.randn(3), tmp_path, exporter=exporter)


def test_an_input_that_the_graph_loses_is_noted_and_not_needed(tmp_path):
    source, expected = source_of(Calls(lambda a, b: a + 1), (torch.randn(2), torch.randn(2)))

    exported = export(source, tmp_path, exporter="torchscript")

    assert len(exported.inputs) == 1
    assert "does not use input" in exported.notes[0]
    assert_same(run(exported, source), expected)


def sine(x):
    return torch.from_numpy(np.sin(x.numpy()))


@pytest.mark.parametrize(
    ("function", "count", "which"),
    [
        (sine, 1, "its inputs"),
        (lambda x: torch.full((3, 8), float(x.max())), 1, "its inputs"),
        (lambda x, y: y + sine(x), 2, "input 'x'"),
    ],
)
def test_an_export_that_froze_an_input_is_an_error(tmp_path, function, count, which):
    names = ["x", "y"][:count]
    source, _ = source_of(Calls(function), (torch.randn(3, 8),) * count, names)

    with pytest.raises(ExportError) as caught:
        export(source, tmp_path, exporter="torchscript")

    assert f"does not depend on {which}: values that" in caught.value.message
    assert "exporter=dynamo" in caught.value.hint


def test_the_other_exporter_sees_what_numpy_computes(tmp_path):
    round_trip(Calls(sine), torch.randn(3, 8), tmp_path, exporter="dynamo")


@BOTH
@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.arange(8.0)[: x.shape[0]],  # of the input, only the shape
        lambda x: torch.ones(3),
        lambda x: x * 0 + 1,
    ],
)
def test_a_model_may_ignore_the_values_of_its_inputs(tmp_path, exporter, function):
    source, outputs = source_of(Calls(function), torch.randn(3, 8), ["x"])

    exported = export(source, tmp_path, exporter=exporter)

    assert_same(run(exported, source), outputs)


class Conditional(nn.Module):
    def forward(self, x, n):
        return torch.cond(n.sum() > 0, lambda x: x * n.sum(), lambda x: x - 1, (x,))


def test_an_input_of_a_branch_of_the_graph_is_used(tmp_path):
    source, outputs = source_of(Conditional(), (torch.ones(2), torch.ones(3)), ["x", "n"])

    exported = export(source, tmp_path)

    assert_same(run(exported, source), outputs)
    assert not any("does not use" in note for note in exported.notes)


def test_dropout_and_batch_norm_are_exported_as_they_infer(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.9), nn.ReLU())

    round_trip(model, torch.randn(1, 3, 8, 8), tmp_path)


# -- shapes ------------------------------------------------------------------------


def test_shapes_are_static_unless_asked(tmp_path):
    source, _ = source_of(nn.Linear(4, 2), torch.randn(2, 4))

    assert export(source, tmp_path).inputs[0].shape == (2, 4)


@BOTH
@pytest.mark.parametrize("batch", [1, 2])
def test_a_dynamic_axis_takes_other_lengths(tmp_path, exporter, batch):
    model = nn.Linear(4, 2)
    source, _ = source_of(
        model, torch.randn(batch, 4), ["x"], ["y"], dynamic_axes={"x": {0: "batch"}}
    )
    other, expected = source_of(model, torch.randn(5, 4), ["x"], ["y"])

    exported = export(source, tmp_path, exporter=exporter)

    assert exported.inputs[0].shape == ("batch", 4)
    assert exported.outputs[0].shape == ("batch", 2)
    assert_same(run(exported, other), expected)


def test_axes_of_one_name_are_one_axis(tmp_path):
    source, _ = source_of(
        Calls(lambda a, b: a + b),
        (torch.randn(3, 4), torch.randn(3, 4)),
        ["a", "b"],
        ["sum"],
        dynamic_axes={"a": {0: "n"}, "b": {0: "n"}},
    )

    exported = export(source, tmp_path)

    assert [spec.shape for spec in (*exported.inputs, *exported.outputs)] == [("n", 4)] * 3


def test_an_axis_that_the_code_fixes_cannot_be_dynamic(tmp_path):
    source, _ = source_of(
        Calls(lambda x: x.reshape(2, 3) + 1),
        torch.randn(2, 3),
        ["x"],
        ["y"],
        dynamic_axes={"x": {0: "batch"}},
    )

    with pytest.raises(ExportError) as raised:
        export(source, tmp_path)

    assert "axis 0 of input 'x' is in dynamic_axes" in raised.value.message
    assert "fixes its size to 2" in raised.value.message
    assert "dynamic_axes" in raised.value.hint


# -- programs ----------------------------------------------------------------------


def traced(source: ModelSource) -> ModelSource:
    from lexer_core.export.traced_source import TracedSource

    model = TracedSource(source)
    with model.in_eval_mode():
        model._trace()
    assert model.source.program is not None
    return model.source


@pytest.mark.parametrize("axes", [{}, {"x": {0: "batch"}}])
def test_a_program_is_not_traced_again(tmp_path, monkeypatch, axes):
    model = nn.Linear(4, 2)
    source, expected = source_of(model, torch.randn(1, 4), ["x"], ["y"], dynamic_axes=axes)
    source = traced(source)
    monkeypatch.setattr(
        torch.export, "export", lambda *_, **__: pytest.fail("the model was traced again")
    )

    exported = export(source, tmp_path)

    assert exported.inputs[0].shape == ("batch" if axes else 1, 4)
    assert_same(run(exported, source), expected)


def test_a_program_of_the_users_own_is_exported(tmp_path):
    program = torch.export.export(nn.Linear(4, 2).eval(), (torch.randn(3, 4),))
    adapted = adapt_model(program, torch.randn(3, 4), input_names=["x"], output_names=["y"])
    reference = reference_outputs(adapted)
    source = model_source(with_output_names(adapted, tuple(reference.outputs)))

    exported = export(source, tmp_path)

    assert [spec.name for spec in (*exported.inputs, *exported.outputs)] == ["x", "y"]
    assert_same(run(exported, source), reference.outputs)


# -- options and files -------------------------------------------------------------


@BOTH
def test_the_opset_asked_for_is_the_one_written(tmp_path, exporter):
    source, _ = source_of(nn.Linear(4, 2), torch.randn(2, 4))

    exported = export(source, tmp_path, exporter=exporter, opset=18)

    assert onnx.load(exported.path).opset_import[0].version == 18
    assert exporter in exported.exporter
    assert torch.__version__ in exported.exporter


@pytest.mark.parametrize(
    "options", [{"exporter": "magic"}, {"opset": 0}, {"opset": True}, {"colour": 1}]
)
def test_an_option_that_is_wrong_is_refused_before_any_work(tmp_path, options):
    source, _ = source_of(nn.Linear(4, 2), torch.randn(2, 4))

    with pytest.raises(SettingError):
        export(source, tmp_path, **options)

    assert list(tmp_path.iterdir()) == []


def test_a_model_is_one_file_named_after_it(tmp_path):
    exported = round_trip(nn.Linear(64, 64), torch.randn(2, 64), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["Linear.onnx"]
    assert exported.size_bytes == exported.path.stat().st_size > 64 * 64 * 4


@BOTH
def test_weights_over_the_limit_lie_beside_the_file(tmp_path, exporter):
    source, expected = source_of(nn.Linear(64, 64), torch.randn(2, 64))

    exported = export_with_torch(source, tmp_path, {"exporter": exporter}, largest_single_file=1000)

    assert exported is not None
    assert {path.name for path in tmp_path.iterdir()} == {"Linear.onnx", "Linear.onnx.data"}
    assert exported.path.stat().st_size < 64 * 64 * 4 < exported.size_bytes
    assert_same(run(exported, source), expected)


def test_the_limit_of_a_single_file_is_below_what_protobuf_can_hold():
    assert export_module._LARGEST_SINGLE_FILE < 2**31


# -- failures ----------------------------------------------------------------------


@BOTH
def test_an_operator_without_a_translation_is_named(tmp_path, exporter):
    class Eigenvalues(nn.Module):
        def forward(self, x: Any) -> Any:
            return torch.linalg.eigh(x + x.T)[0]

    source, _ = source_of(Eigenvalues(), torch.randn(3, 3), ["x"], ["y"])

    with pytest.raises(ExportError) as raised:
        export(source, tmp_path, exporter=exporter)

    assert "linalg_eigh has no translation to ONNX" in raised.value.message
    assert "torch.linalg.eigh(x + x.T)" in raised.value.message
    assert "\n" not in raised.value.message


def test_an_operator_is_named_with_its_overload(tmp_path):
    source, _ = source_of(
        Calls(lambda x: torch.sort(x, stable=True)[0]), torch.randn(3), ["x"], ["y"]
    )

    with pytest.raises(ExportError, match=r"operator aten\.sort\.stable has no translation"):
        export(source, tmp_path)


def test_the_exporter_is_named_with_its_version(tmp_path):
    source, _ = source_of(Calls(lambda x: torch.linalg.eigh(x)[0]), torch.eye(3), ["x"], ["y"])

    with pytest.raises(ExportError) as raised:
        export(source, tmp_path)

    assert f"torch.onnx (dynamo) {torch.__version__} cannot export Calls" in raised.value.message


def test_an_exporter_that_was_not_tried_is_the_hint_until_both_have_failed(tmp_path):
    source, _ = source_of(Calls(lambda x: torch.linalg.eigh(x)[0]), torch.eye(3), ["x"], ["y"])

    with pytest.raises(ExportError) as first:
        export(source, tmp_path)
    with pytest.raises(ExportError) as second:
        export(source, tmp_path, exporter="torchscript")

    assert first.value.hint == "Try exporter=torchscript (--exporter torchscript)."
    assert "exporter=" not in second.value.hint
    assert "dynamo exporter cannot export it either" in second.value.hint
    assert "Replace aten._linalg_eigh in the model" in second.value.hint


def test_a_model_that_only_the_default_exporter_can_export_is_sent_back_to_it(tmp_path):
    source, _ = source_of(
        Calls(lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,))),
        torch.randn(3),
        ["x"],
        ["y"],
    )

    with pytest.raises(ExportError) as raised:
        export(source, tmp_path, exporter="torchscript")

    assert raised.value.hint == "Use exporter=dynamo, the default: it traces this model."


def branch(x: Any) -> Any:
    if x.sum() > 0:
        return x + 1
    return x - 1


def count(x: Any) -> Any:
    return x + int(x.abs().sum())


def in_numpy(x: Any) -> Any:
    return torch.from_numpy(np.sin(x.numpy())) + 1


@pytest.mark.parametrize(
    ("function", "what", "line", "hint"),
    [
        (branch, "branches on the values of a tensor", "if x.sum() > 0:", "for the example"),
        (
            count,
            "the value of a tensor as a Python number",
            "int(x.abs().sum())",
            "for the example",
        ),
        (in_numpy, "converts a tensor to a numpy array", "np.sin(x.numpy())", "Use torch"),
    ],
)
def test_code_that_cannot_be_traced_is_quoted(tmp_path, function, what, line, hint):
    failure = explain_trace_error(_trace_error(function), ["x"])

    assert what in failure.reason
    assert "test_ort_export.py:" in failure.reason
    assert line in failure.reason
    assert hint in export_module._next_step(
        source_of(Calls(function), torch.randn(3), ["x"], ["y"])[0], "dynamo", None, failure
    )


def _trace_error(function: Callable[..., Any]) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - any of torch's errors
        torch.export.export(Calls(function), (torch.randn(3),), strict=False)
    return raised.value


def test_a_branch_that_an_exporter_fixes_is_noted(tmp_path):
    source, _ = source_of(
        Calls(lambda x: x + 1 if x.sum() > 0 else x - 1), torch.randn(3), ["x"], ["y"]
    )

    exported = export(source, tmp_path, exporter="torchscript")

    assert "Python boolean" in exported.notes[0]


def test_another_number_of_outputs_is_the_models_error(tmp_path):
    source, _ = source_of(Calls(lambda x: x + 1), torch.randn(3), ["x"], ["y"])
    changed = ModelSource(
        module=source.module,
        inputs=source.inputs,
        input_names=("x",),
        output_names=("y", "z"),
    )

    with pytest.raises(ModelError, match="returned 1 tensor"):
        export(changed, tmp_path)


@BOTH
@pytest.mark.parametrize("works", [True, False])
def test_exporters_are_silent(tmp_path, capfd, caplog, exporter, works):
    function = torch.relu if works else (lambda x: torch.linalg.eigh(x + x.T)[0])
    source, _ = source_of(Calls(function), torch.randn(3, 3), ["x"], ["y"])
    handlers = {name: logging.getLogger(name).handlers[:] for name in ("torch", "torch.onnx")}
    capfd.readouterr()

    if works:
        export(source, tmp_path, exporter=exporter)
    else:
        with pytest.raises(ExportError):
            export(source, tmp_path, exporter=exporter)

    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == ""
    assert handlers == {name: logging.getLogger(name).handlers for name in handlers}


def test_without_onnxscript_the_error_names_it(tmp_path, monkeypatch):
    source, _ = source_of(nn.Linear(4, 2), torch.randn(2, 4))
    found = export_module.find_spec
    monkeypatch.setattr(
        export_module, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )

    with pytest.raises(ExportError) as raised:
        export(source, tmp_path)

    assert "pip install onnxscript" in raised.value.hint


def test_without_torch_a_module_is_not_a_source(tmp_path, monkeypatch):
    source, _ = source_of(nn.Linear(4, 2), torch.randn(2, 4))
    monkeypatch.setattr(export_module, "find_spec", lambda name: None)

    assert hooks.lexer_export_model(source, "onnx", tmp_path, {}) is None
