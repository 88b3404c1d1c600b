from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import attrs
import cloudpickle
import numpy as np
import pytest
from torch_helpers import (
    adapted_with_reference,
    exported,
    nn,
    outputs_of,
    run_once,
    scripted,
    torch,
)

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import DeviceUnavailableError, ExportError, ModelError
from lexer_core.model.adapt import model_source
from lexer_core.model.tensors import tensor_specs
from lexer_core.records import CPU, Device, SessionConfig

pytestmark = pytest.mark.torch


@dataclass
class Answer:
    logits: Any
    label: Any


class WithOwnLexer(nn.Module):
    """Has a submodule called ``lexer``, a frozen BatchNorm, a buffer and tied weights."""

    def __init__(self):
        super().__init__()
        self.lexer = nn.Linear(6, 6)
        self.tied = nn.Linear(6, 6)
        self.tied.weight = self.lexer.weight
        self.norm = nn.BatchNorm1d(6)
        self.register_buffer("shift", torch.randn(6))

    def forward(self, image, *, keep=None):
        logits = self.norm(self.tied(self.lexer(image))) + self.shift
        if keep is not None:
            logits = logits.masked_fill(~keep, 0.0)
        return Answer(logits=logits, label=logits.argmax(-1))


class Subclass(WithOwnLexer):
    def forward(self, image, *, keep=None):
        answer = super().forward(image, keep=keep)
        return {"answer": answer, "rows": [answer.logits.sum(0), None]}


@pytest.fixture(scope="module")
def engine():
    return EngineRegistry().get("torch")


# -- what it is ----------------------------------------------------------------


def test_the_engine_describes_itself_without_importing_torch():
    code = (
        "import sys, lexer_torch.engine as engine\n"
        "assert engine.lexer_engine_info().display_name == 'Torch'\n"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


def test_the_cpu_is_always_there(engine):
    assert CPU in engine.list_devices()


def test_a_device_that_is_not_there_is_an_error(engine, tmp_path):
    adapted, _ = adapted_with_reference(nn.Linear(2, 2), torch.ones(1, 2))
    model = exported(engine, adapted, tmp_path)

    with pytest.raises(DeviceUnavailableError) as error:
        engine.create_session(model, Device(kind="cuda", index=77), SessionConfig(threads=1))

    assert "torch has no device 'cuda:77' on this machine" in str(error.value)
    assert "cpu" in str(error.value)


def test_an_onnx_file_is_not_a_source_of_its_formats(engine, tmp_path):
    adapted, _ = adapted_with_reference(nn.Linear(2, 2), torch.ones(1, 2))
    path = tmp_path / "given.onnx"
    path.touch()
    source = attrs.evolve(model_source(adapted), module=None, onnx_path=path)

    assert engine.export_model(source, "torch", CPU, tmp_path, {}) is None
    assert engine.export_model(model_source(adapted), "onnx", CPU, tmp_path, {}) is None


# -- models --------------------------------------------------------------------


@pytest.mark.parametrize("model_class", [WithOwnLexer, Subclass])
def test_outputs_are_those_of_the_model_itself(engine, model_class, tmp_path):
    inputs = {"image": torch.randn(3, 6), "keep": torch.rand(3, 6) > 0.5}

    outputs, parity = run_once(engine, model_class(), inputs, tmp_path)

    assert parity.status == "pass"
    assert all(array.flags.owndata and array.flags.writeable for array in outputs.values())


@pytest.mark.parametrize(
    ("model", "input"),
    [
        (nn.Identity(), torch.ones(2, 3)),
        (nn.Embedding(10, 4), torch.tensor([[1, 2]])),
        (nn.Linear(3, 3).bfloat16(), torch.ones(2, 3, dtype=torch.bfloat16)),
        (nn.Linear(3, 3).half(), torch.ones(2, 3, dtype=torch.float16)),
        (nn.LSTM(3, 4), torch.ones(2, 1, 3)),
        (nn.Dropout(), torch.ones(100)),
        (scripted(nn.Linear(3, 3)), torch.ones(2, 3)),
        (torch.compile(nn.Linear(3, 3), backend="eager"), torch.ones(2, 3)),
        (torch.export.export(nn.Linear(3, 3), (torch.ones(2, 3),)), torch.ones(2, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_models_of_all_kinds_run(engine, model, input, tmp_path):
    _, parity = run_once(engine, model, input, tmp_path)

    assert parity.status == "pass"


def test_a_transformer_with_keyword_inputs_and_a_model_output_runs(engine, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        vocab_size=50,
    )
    ids = torch.randint(0, 50, (2, 5))
    inputs = {"attention_mask": torch.ones_like(ids), "input_ids": ids}

    outputs, parity = run_once(engine, transformers.BertModel(config), inputs, tmp_path)

    assert parity.status == "pass"
    assert list(outputs) == ["last_hidden_state", "pooler_output"]


def test_declared_names_name_the_outputs(engine, tmp_path):
    adapted, _ = adapted_with_reference(
        WithOwnLexer(), torch.ones(2, 6), input_names=["pixels"], output_names=["scores", "best"]
    )

    model = exported(engine, adapted, tmp_path)
    session = engine.create_session(model, CPU, SessionConfig(threads=1))

    assert [str(spec) for spec in model.inputs] == ["pixels: float32[2, 6]"]
    assert [str(spec) for spec in model.outputs] == ["scores: float32[2, 6]", "best: int64[2]"]
    assert list(outputs_of(engine, session, adapted.inputs)) == ["scores", "best"]


def test_the_size_of_a_model_counts_shared_weights_once(engine, tmp_path):
    adapted, _ = adapted_with_reference(WithOwnLexer(), torch.ones(2, 6))

    # two biases, one weight, shift; BatchNorm: four vectors and an int64 count
    assert exported(engine, adapted, tmp_path).size_bytes == 4 * (6 + 6 + 36 + 6 + 24) + 8


def test_an_exported_module_travels_to_another_process(engine, tmp_path):
    adapted, reference = adapted_with_reference(
        torch.compile(nn.Linear(3, 3), backend="eager"), torch.ones(2, 3)
    )
    sent = cloudpickle.loads(cloudpickle.dumps(exported(engine, adapted, tmp_path)))

    session = engine.create_session(sent, CPU, SessionConfig(threads=1))

    outputs = outputs_of(engine, session, cloudpickle.loads(cloudpickle.dumps(adapted)).inputs)
    np.testing.assert_allclose(outputs["output"], reference.outputs["output"], rtol=1e-6)


def test_torch_export_makes_a_program_of_flat_tensors(engine, tmp_path):
    adapted, reference = adapted_with_reference(
        Subclass().eval(), {"image": torch.randn(3, 6), "keep": torch.rand(3, 6) > 0.5}
    )

    model = exported(engine, adapted, tmp_path, "torch_export")

    tensors = [torch.from_numpy(array.copy()) for array in adapted.inputs.arrays.values()]
    outputs = model.model.module()(*tensors)
    assert model.outputs == tensor_specs(reference.outputs)
    assert model.size_bytes > 0
    np.testing.assert_allclose(outputs[0].detach(), reference.outputs["answer.logits"], rtol=1e-5)


def test_torch_export_keeps_dynamic_axes(engine, tmp_path):
    adapted, _ = adapted_with_reference(nn.Linear(3, 3), torch.ones(2, 3))
    adapted = attrs.evolve(adapted, dynamic_axes={"input": {0: "batch"}})

    model = exported(engine, adapted, tmp_path, "torch_export")

    assert model.inputs[0].shape == ("batch", 3)
    assert model.model.module()(torch.ones(9, 3))[0].shape == (9, 3)
    assert isinstance(model.outputs[0].shape[0], str)


def test_a_model_that_cannot_be_traced_is_an_export_error(engine, tmp_path):
    class Branches(nn.Module):
        def forward(self, x):
            return x + 1 if x.sum() > 0 else x - 1

    adapted, _ = adapted_with_reference(Branches(), torch.ones(2))

    with pytest.raises(ExportError, match=r"torch\.export .* cannot trace Branches: ") as raised:
        exported(engine, adapted, tmp_path, "torch_export")

    assert "branches on the values of a tensor" in raised.value.message
    assert '"return x + 1 if x.sum() > 0 else x - 1"' in raised.value.message
    assert "torch.where" in raised.value.hint


def test_outputs_that_change_in_number_are_an_error(engine, tmp_path):
    class Growing(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return [x] * (1 if self.calls <= 2 else 2)

    adapted, _ = adapted_with_reference(Growing(), torch.ones(2))
    session = engine.create_session(
        exported(engine, adapted, tmp_path), CPU, SessionConfig(threads=1)
    )

    outputs_of(engine, session, adapted.inputs)
    outputs_of(engine, session, adapted.inputs)
    with pytest.raises(ModelError, match="returned 2 tensors; when it was exported, it returned 1"):
        outputs_of(engine, session, adapted.inputs)
