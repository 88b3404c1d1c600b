"""TARGET on the command line, with models."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

import cloudpickle  # noqa: E402

from lexer_core.errors import InputError  # noqa: E402
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


def test_a_model_that_needs_no_inputs_gets_none():
    class Constant(torch.nn.Module):
        def forward(self):
            return torch.ones(1)

    assert example_inputs(Target(name="x", model=Constant()), InputRequest()).value == ()


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
