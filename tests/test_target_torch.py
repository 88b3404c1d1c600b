"""TARGET on the command line, with models."""

from __future__ import annotations

import io
import json
import pickle
import re
import subprocess
import sys
import zipfile

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

import cloudpickle  # noqa: E402
from click.testing import CliRunner  # noqa: E402

from lexer_core.cli import main as lexer_main  # noqa: E402
from lexer_core.errors import InputError, TargetError  # noqa: E402
from lexer_core.target.example_inputs import InputRequest, example_inputs  # noqa: E402
from lexer_core.target.load import Target, load_target  # noqa: E402

CODE = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.layer = nn.Linear(width, 2)

    def forward(self, pixels, mask=None):
        return self.layer(pixels)

    @classmethod
    def wide(cls):
        return cls(8)


def make():
    return Net(6)


made = Net(5)
program = torch.export.export(Net(), (torch.ones(1, 4),))
"""


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name == "net" or name.startswith("lexer_target_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("attribute", "width"), [("Net", 4), ("make", 6), ("made", 5), ("Net.wide", 8)]
)
@pytest.mark.parametrize("where", ["net.py", "./net.py", "net"])
def test_a_class_a_function_and_an_instance_give_a_model(where, attribute, width):
    assert load_target(f"{where}:{attribute}").model.layer.in_features == width


def test_an_exported_program_is_a_model_with_inputs_of_its_own():
    target = load_target("net.py:program")

    (pixels,) = example_inputs(target, InputRequest()).value

    assert isinstance(target.model, torch.export.ExportedProgram)
    assert pixels.shape == (1, 4)


def test_a_model_from_a_file_travels_to_a_process_that_cannot_import_it(tmp_path):
    model = load_target("net.py:Net").model
    (tmp_path / "model.pickle").write_bytes(cloudpickle.dumps(model))
    (tmp_path / "net.py").unlink()

    code = (
        "import pickle, sys; model = pickle.load(open('model.pickle', 'rb'));"
        "print(type(model).__name__, model.layer.in_features)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert done.stdout.split() == ["Net", "4"]


def test_a_model_from_a_file_can_be_pickled_and_copied_here():
    model = load_target("net.py:Net").model

    copy = pickle.loads(pickle.dumps(model))

    assert torch.equal(copy.layer.weight, model.layer.weight)


def test_a_model_without_inputs_says_what_forward_needs():
    with pytest.raises(InputError) as caught:
        example_inputs(load_target("net.py:Net"), InputRequest())

    assert "forward(pixels)" in caught.value.message
    assert "--input 'pixels=float32" in caught.value.hint


def test_a_model_whose_inputs_are_all_optional_is_not_run_without_any():
    class Bert(torch.nn.Module):
        def forward(self, input_ids=None, attention_mask=None, **kwargs):
            return input_ids

    with pytest.raises(InputError) as caught:
        example_inputs(Target(name="bert/", model=Bert()), InputRequest())

    assert "forward(input_ids, attention_mask)" in caught.value.message
    assert "--input 'input_ids=int64[" in caught.value.hint


def test_a_model_that_needs_no_inputs_gets_none():
    class Constant(torch.nn.Module):
        def forward(self):
            return torch.ones(1)

    assert example_inputs(Target(name="x", model=Constant()), InputRequest()).value == ()


class _Stop(Exception):
    """Ends a command whose model has been created."""


@pytest.mark.parametrize("command", ["benchmark", "tune"])
def test_commands_seed_the_weights_of_a_model_that_they_create(command):
    class Context:
        def _stop(self, torch_model, **asked):
            raise _Stop(torch_model.layer.weight)

        benchmark = tune = _stop

    def weight(*options):
        described = ["--input", "pixels=float32[1,4]", *options]
        vary = ["--vary", "threads=1"] if command == "tune" else []
        result = CliRunner().invoke(
            lexer_main.lexer,
            [command, "net.py:Net", *described, *vary],
            obj={"lexer_context": Context()},
        )
        assert isinstance(result.exception, _Stop), result.output
        return result.exception.args[0]

    assert torch.equal(weight(), weight())
    assert not torch.equal(weight(), weight("--seed", "4"))


def test_the_seed_decides_the_weights_of_a_model_that_is_created(tmp_path):
    (tmp_path / "random_weights.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Linear):\n"
        "    def __init__(self):\n        super().__init__(8, 8)\n"
    )

    first, second, other = (
        load_target("random_weights.py:Net", seed=seed).model.weight for seed in (3, 3, 4)
    )

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("net:Net(3)", 3),
        ("net.py:Net(width=7)", 7),
        ("net:make()", 6),
        ("net:Net.wide()", 8),
    ],
)
def test_a_factory_is_called_with_the_arguments_that_are_written(text, width):
    assert load_target(text).model.layer.in_features == width


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("net:Net(open('x'))", "open('x') is not a literal"),
        ("net:Net(width=[i for i in ()])", "is not a literal"),
        ("net:Net(**{'width': 3})", "is not a literal"),
        ("net:Net(*[3])", "is not a literal"),
        ("net:Net(3)(4)", "is not one list of arguments"),
        ("net:Net(3", "'net' has no 'Net(3'"),
        ("net:Net(3,,4)", "cannot be read"),
        ("net:Net(depth=3)", "cannot be called with these arguments"),
        ("net:made()", "takes no arguments"),
    ],
)
def test_arguments_of_a_factory_are_literals_that_fit_it(text, said):
    with pytest.raises(TargetError, match=re.escape(said)):
        load_target(text)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_file_of_torch_export_is_loaded(tmp_path, dynamic):
    module = load_target("net:Net").model
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    program = torch.export.export(module, (torch.ones(2, 4),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "net.pt2")

    target = load_target("net.pt2")

    assert torch.equal(target.model.module()(torch.ones(2, 4)), module(torch.ones(2, 4)))
    (value,) = example_inputs(target, InputRequest()).value
    assert value.shape == (2, 4)


class _Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def _rewritten(path, change):
    """Replace the entries of a zip by those that ``change`` returns."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in change(entries).items():
            archive.writestr(name, content)


def _pickled_examples(entries, harm):
    buffer = io.BytesIO()
    torch.save(((harm,), {}), buffer)
    return entries | {"net/data/sample_inputs/model.pt": buffer.getvalue()}


def _pickled_weight(entries, harm):
    name = "net/data/weights/model_weights_config.json"
    text = entries[name].replace(b'"use_pickle": false', b'"use_pickle": true')
    buffer = io.BytesIO()
    torch.save(harm, buffer)
    return entries | {name: text, "net/data/weights/weight_0": buffer.getvalue()}


def _custom_object(entries, harm):
    return entries | {"net/data/constants/opaque_obj_0": pickle.dumps(harm)}


def _library(entries, harm):
    return entries | {"net/data/aotinductor/model/net.so": b""}


def _evaluated_expression(entries, harm):
    code = f"open('{harm.path}', 'w')"
    text = entries["net/models/model.json"].decode()
    return entries | {
        "net/models/model.json": re.sub(r'"expr_str": "[^"]*"', f'"expr_str": "{code}"', text)
    }


def _function_as_operator(entries, harm):
    text = entries["net/models/model.json"].decode()
    return entries | {
        "net/models/model.json": text.replace("torch.ops.aten.linear.default", "torch.os.system")
    }


@pytest.mark.parametrize(
    "change",
    [
        _pickled_examples,
        _pickled_weight,
        _custom_object,
        _library,
        _evaluated_expression,
        _function_as_operator,
    ],
)
def test_a_file_of_torch_export_that_would_run_code_is_refused(tmp_path, change):
    harmed = tmp_path / "harmed"
    module = load_target("net:Net").model
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module, (torch.ones(2, 4),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "net.pt2")
    _rewritten(tmp_path / "net.pt2", lambda entries: change(entries, _Harm(harmed)))

    with pytest.raises(TargetError, match=r"cannot be loaded"):
        load_target("net.pt2")

    assert not harmed.exists()


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04"])
def test_another_file_is_not_a_program(tmp_path, content):
    (tmp_path / "net.pt2").write_bytes(content)

    with pytest.raises(TargetError, match=r"net\.pt2"):
        load_target("net.pt2")


@pytest.fixture
def bert(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16,
    )  # fmt: skip
    model = transformers.BertModel(config).eval()
    model.save_pretrained(tmp_path / "bert")
    return model


def test_the_folder_of_a_transformers_model_is_loaded(bert, tmp_path):
    loaded = load_target(str(tmp_path / "bert")).model

    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(loaded(ids).last_hidden_state, bert(ids).last_hidden_state)
    assert not loaded.training


def test_a_folder_runs_no_code_and_reads_no_pickles(bert, tmp_path):
    folder = tmp_path / "bert"
    config = json.loads((folder / "config.json").read_text())
    (folder / "modeling.py").write_text(f"open({str(tmp_path / 'harmed')!r}, 'w')")
    custom = {"architectures": ["MyNet"], "auto_map": {"AutoModel": "modeling.MyNet"}}
    (folder / "config.json").write_text(json.dumps(config | custom))

    with pytest.raises(TargetError, match="'MyNet', which transformers"):
        load_target(str(folder))
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["AutoModel"]}))
    with pytest.raises(TargetError, match="'AutoModel', which transformers"):
        load_target(str(folder))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(TargetError, match=r"no \.safetensors file"):
        load_target(str(folder))
    assert not (tmp_path / "harmed").exists()
