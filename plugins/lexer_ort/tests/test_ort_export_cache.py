"""Is a kept export used exactly when it is the export that would be made?"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

import torch
from torch import nn

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import CacheError, ExportError
from lexer_core.export import traced_source
from lexer_core.export.cache import ExportCache
from lexer_core.export.exports import Exports
from lexer_core.export.fingerprint import digest_program, fingerprint, installed_versions
from lexer_core.export.traced_source import TracedSource
from lexer_core.model.adapt import adapt_model, model_source, with_output_names
from lexer_core.model.reference import reference_outputs
from lexer_ort import export as export_module

if TYPE_CHECKING:
    from lexer_core.records import ModelSource

pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime]

VERSIONS = {"torch": "2.13.0"}


def helper(x: Any) -> Any:
    return x.relu()


class Net(nn.Module):
    """A model with a helper function, a constant argument, a branch and odd element types."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("scale", torch.tensor([1.0, 2.0, 3.0], dtype=torch.bfloat16))
        self.register_buffer("phase", torch.tensor([1 + 2j]), persistent=False)
        self.register_buffer("flag", torch.tensor(True))
        with torch.no_grad():
            self.linear.weight.copy_(torch.arange(12.0).reshape(3, 4))
            self.linear.bias.fill_(-0.0)

    def forward(self, x: Any, factor: float = 2.0) -> Any:
        y = helper(self.linear(x)) * factor * self.scale.float()
        y = torch.cond(y.sum() > 0, lambda z: z.sin(), lambda z: z.cos(), (y,))
        return {"y": y + self.phase.real, "flag": self.flag}


def source_of(model: nn.Module | None = None, input: Any = None, **names: Any) -> ModelSource:
    model = Net() if model is None else model
    adapted = adapt_model(model.eval(), torch.ones(2, 4) if input is None else input, **names)
    reference = reference_outputs(adapted)
    return model_source(with_output_names(adapted, tuple(reference.outputs)))


def traced(source: ModelSource) -> ModelSource:
    model = TracedSource(source)
    model._trace()
    assert model.no_key_because == ""
    return model.source


def key_of(source: ModelSource, versions: dict[str, str] | None = None, **options: Any) -> str:
    key = fingerprint(traced(source), options, versions or VERSIONS, format="onnx")
    assert key is not None
    return key


@pytest.fixture(scope="module")
def key() -> str:
    return key_of(source_of())


# -- the key -----------------------------------------------------------------------


def test_the_same_model_made_twice_has_one_key(key):
    assert key_of(source_of()) == key


def test_fresh_processes_agree_whatever_their_hash_seed():
    script = (
        "import torch, test_ort_export_cache as t\n"
        "axes = {'x': {0: 'batch'}}\n"
        "print(t.key_of(t.source_of()))\n"
        "print(t.key_of(t.source_of("
        "t.Small(), torch.ones(1, 4), input_names=['x'], dynamic_axes=axes)))\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", script],
            env={
                **os.environ,
                "PYTHONPATH": str(Path(__file__).parent),
                "PYTHONHASHSEED": seed,
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]

    first, second = (process.communicate(timeout=120)[0] for process in running)

    assert [process.returncode for process in running] == [0, 0]
    assert first == second
    assert len(set(first.split())) == 2


class Small(nn.Module):
    def forward(self, x: Any) -> Any:
        return x * 2 + x.shape[0]


@pytest.mark.parametrize("name", ["linear.bias", "scale", "phase", "flag"])
def test_another_bit_in_a_tensor_is_another_key(key, name):
    model = Net()
    tensor = dict([*model.named_parameters(), *model.named_buffers()])[name]
    tensor.detach().reshape(-1).view(torch.uint8)[0] ^= 1

    assert key_of(source_of(model)) != key


def test_a_negative_zero_is_another_key_than_zero(key):
    model = Net()
    with torch.no_grad():
        model.linear.bias.fill_(0.0)

    assert key_of(source_of(model)) != key


def test_a_helper_that_computes_something_else_is_another_key(key, monkeypatch):
    monkeypatch.setitem(globals(), "helper", lambda x: x.sigmoid())

    assert key_of(source_of()) != key


def test_another_number_given_to_forward_is_another_key(key):
    assert key_of(source_of(input=(torch.ones(2, 4), 3.0))) != key


def test_a_change_within_a_branch_is_another_key(key, monkeypatch):
    changed = type("Net", (Net,), {})
    original = torch.cond
    monkeypatch.setattr(
        torch,
        "cond",
        lambda test, yes, no, operands: original(test, yes, lambda z: z.tan(), operands),
    )

    assert key_of(source_of(changed())) != key


@pytest.mark.parametrize(
    "input", [torch.ones(3, 4), torch.ones(2, 4, dtype=torch.float64)], ids=["shape", "type"]
)
def test_inputs_of_another_shape_or_type_are_another_key(key, input):
    model = Net().double() if input.dtype == torch.float64 else Net()

    assert key_of(source_of(model, input)) != key


def test_other_names_and_axes_are_another_key(key):
    keys = {
        key,
        key_of(source_of(input_names=["image"])),
        key_of(source_of(output_names=["a", "b"])),
        key_of(source_of(dynamic_axes={"x": {0: "batch"}})),
        key_of(source_of(dynamic_axes={"x": {0: "n"}})),
    }

    assert len(keys) == 5


def test_options_and_versions_are_part_of_the_key(key):
    source = traced(source_of())
    keys = [
        fingerprint(source, {}, VERSIONS, format="onnx"),
        fingerprint(source, {"opset": 18}, VERSIONS, format="onnx"),
        fingerprint(source, {"opset": 20}, VERSIONS, format="onnx"),
        fingerprint(source, {"checks": True}, VERSIONS, format="onnx"),
        fingerprint(source, {"checks": 1}, VERSIONS, format="onnx"),
        fingerprint(source, {}, {"torch": "2.14.0"}, format="onnx"),
        fingerprint(source, {}, VERSIONS, format="torch_export"),
        fingerprint(source, {}, VERSIONS, format="onnx", exporter="other"),
    ]

    assert keys[0] == key
    assert len(set(keys)) == len(keys)


def test_a_key_is_not_made_of_what_cannot_be_identified():
    class Own(torch.Tensor):
        pass

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.eye(3))

        def forward(self, x: Any) -> Any:
            return x + self.table

    program = torch.export.export(Net(), (torch.ones(3),))
    program.state_dict["table"] = torch.eye(3).as_subclass(Own)

    with pytest.raises(CacheError, match="'table' is of type Own"):
        digest_program(program)


def test_versions_come_from_metadata_and_name_what_exports():
    versions = installed_versions("no-such-distribution")

    # The metadata of a build for CUDA has no local part.
    assert versions["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    assert {"lexer-core", "onnx", "onnxscript"} <= set(versions)
    assert "no-such-distribution" not in versions


# -- reuse -------------------------------------------------------------------------


def exports(source: ModelSource, tmp_path: Path, run: str, **arguments: Any) -> Exports:
    return Exports(
        source,
        registry=EngineRegistry(),
        directory=tmp_path / run,
        cache=ExportCache(tmp_path / "cache"),
        **arguments,
    )


def linear() -> ModelSource:
    torch.manual_seed(0)
    return source_of(nn.Linear(4, 2), torch.ones(2, 4))


def test_an_export_of_an_earlier_run_serves_again(tmp_path, monkeypatch):
    first = exports(linear(), tmp_path, "first").for_engine("onnxruntime", "cpu", {})
    monkeypatch.setattr(
        export_module, "export_with_torch", lambda *_: pytest.fail("it was exported again")
    )

    second = exports(linear(), tmp_path, "second").for_engine("onnxruntime", "cpu", {})

    assert (first.cached, second.cached) == (False, True)
    assert second.key == first.key
    assert second.seconds == pytest.approx(first.seconds)
    assert second.exported.path.is_relative_to(tmp_path / "second")
    assert second.exported.path.read_bytes() == first.exported.path.read_bytes()
    assert second.exported.inputs == first.exported.inputs
    assert second.exported.outputs == first.exported.outputs
    assert second.notes == ()


def test_changed_weights_are_exported_again(tmp_path):
    exports(linear(), tmp_path, "first").for_engine("onnxruntime", "cpu", {})
    other = source_of(nn.Linear(4, 2), torch.ones(2, 4))

    assert not exports(other, tmp_path, "second").for_engine("onnxruntime", "cpu", {}).cached


def test_a_cached_export_that_was_wrong_is_made_once_more(tmp_path):
    exports(linear(), tmp_path, "first").for_engine("onnxruntime", "cpu", {})
    again = exports(linear(), tmp_path, "second")
    assert again.for_engine("onnxruntime", "cpu", {}).cached

    again.discard_cached("onnxruntime")

    assert ExportCache(tmp_path / "cache").entries() == ()
    assert not again.for_engine("onnxruntime", "cpu", {}).cached
    assert len(ExportCache(tmp_path / "cache").entries()) == 1


def test_a_model_that_an_earlier_run_traced_is_not_traced_again(tmp_path, monkeypatch):
    first = exports(linear(), tmp_path, "first")
    made = first.for_engine("onnxruntime", "cpu", {})
    monkeypatch.setattr(traced_source, "trace", lambda *_: pytest.fail("it was traced again"))

    second = exports(linear(), tmp_path, "second")

    assert second.for_engine("onnxruntime", "cpu", {}).key == made.key
    assert second.program_identity() == first.program_identity()
    assert set(first.program_identity().digests) == {"graph", "constants"}


def test_an_export_that_was_removed_is_made_again_from_a_trace(tmp_path):
    first = exports(linear(), tmp_path, "first").for_engine("onnxruntime", "cpu", {})
    cache = ExportCache(tmp_path / "cache")
    cache.discard(first.key)

    again = exports(linear(), tmp_path, "second").for_engine("onnxruntime", "cpu", {})

    assert (again.cached, again.key) == (False, first.key)
    assert [entry.key for entry in cache.entries()] == [first.key]


def test_a_trace_that_is_no_longer_right_costs_one_wrong_export_and_is_discarded(tmp_path):
    other = source_of(nn.Linear(4, 2), torch.ones(2, 4))
    wrong = exports(other, tmp_path, "other").for_engine("onnxruntime", "cpu", {})
    traces = ExportCache(tmp_path / "cache").traces
    (of_other,) = traces.directory.iterdir()
    right = exports(linear(), tmp_path, "first").for_engine("onnxruntime", "cpu", {})
    (of_linear,) = set(traces.directory.iterdir()) - {of_other}
    of_linear.write_bytes(of_other.read_bytes())

    again = exports(linear(), tmp_path, "second")
    assert again.for_engine("onnxruntime", "cpu", {}).key == wrong.key
    again.discard_cached("onnxruntime")

    assert again.for_engine("onnxruntime", "cpu", {}).key == right.key


def test_a_cache_that_cannot_be_used_costs_only_the_reuse(tmp_path):
    (tmp_path / "cache").write_text("in the way")

    made = exports(linear(), tmp_path, "first").for_engine("onnxruntime", "cpu", {})

    assert not made.cached
    assert made.exported.path.exists()
    assert "exports are not cached" in made.notes[0]


def test_without_the_cache_nothing_is_kept(tmp_path):
    made = exports(linear(), tmp_path, "first", use_cache=False).for_engine(
        "onnxruntime", "cpu", {}
    )

    assert made.key == ""
    assert not (tmp_path / "cache").exists()


def test_a_given_file_is_used_in_its_place_and_not_kept(tmp_path):
    from lexer_core.records import CallInputs, CallStructure, ModelSource

    made = exports(linear(), tmp_path, "first", use_cache=False)
    path = made.for_engine("onnxruntime", "cpu", {}).exported.path
    source = ModelSource(
        onnx_path=path,
        inputs=CallInputs(arrays={}, structure=CallStructure()),
        input_names=(),
        output_names=(),
    )

    given = exports(source, tmp_path, "second").for_engine("onnxruntime", "cpu", {})

    assert given.exported.path == path
    assert not (tmp_path / "cache").exists()


def test_a_model_that_cannot_be_traced_is_not_kept_and_its_failure_is_the_exporters(tmp_path):
    class Branches(nn.Module):
        def forward(self, x: Any) -> Any:
            return x + 1 if x.sum() > 0 else x - 1

    source = source_of(Branches(), torch.ones(3))

    with pytest.raises(ExportError, match="branches on the values"):
        exports(source, tmp_path, "first").for_engine("onnxruntime", "cpu", {})
    made = exports(source, tmp_path, "second").for_engine(
        "onnxruntime", "cpu", {"exporter": "torchscript"}
    )

    assert made.key == ""
    assert not (tmp_path / "cache").exists()


def test_exporting_leaves_the_model_as_it_was_found(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout())
    source = source_of(model, torch.ones(2, 4))
    model.train()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    exports(source, tmp_path, "first").for_engine("onnxruntime", "cpu", {})

    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
