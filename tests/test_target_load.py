"""TARGET on the command line, as far as torch is not needed for it."""

from __future__ import annotations

import os
import sys

import pytest

from lexer_core.errors import TargetError
from lexer_core.target.load import load_target


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    """Each test has a current folder of its own, and leaves no module behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _refused(target):
    with pytest.raises(TargetError) as caught:
        load_target(target)
    return caught.value


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("net.py:Net", "file 'net.py' does not exist"),
        ("model.onnx", "file 'model.onnx' does not exist"),
        ("nowhere:Net", "module 'nowhere' does not exist"),
        ("nowhere.deep.in:Net", "module 'nowhere' does not exist"),
        ("models/net:Net", "neither a module name nor a Python file"),
        ("net.py", "does not name a model"),
        ("net", "does not name a model"),
        ("net.py:", "does not name a model"),
        (":Net", "does not name a model"),
        ("", "does not name a model"),
        ("models/", "folder 'models/' does not exist"),
    ],
)
def test_a_target_that_is_not_there_is_refused(target, said):
    assert said in _refused(target).message


@pytest.mark.parametrize("name", ["net.pt", "weights/net.safetensors"])
def test_a_file_of_weights_is_not_mistaken_for_python_code(name):
    error = _refused(name)

    assert "does not name a model" in error.message
    assert f"{name}:" not in error.hint
    assert "torch.export.save" in error.hint


def test_a_near_file_name_is_suggested(tmp_path):
    (tmp_path / "network.py").write_text("x = 1")

    assert "Did you mean 'network.py'?" in _refused("netwrok.py:Net").hint


def test_a_path_without_its_suffix_is_completed(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.py").write_text("x = 1")

    assert "net.py'?" in _refused("models/net:Net").hint


@pytest.mark.parametrize("name", ["folder.onnx", "folder.py:Net"])
def test_a_folder_is_no_file(tmp_path, name):
    (tmp_path / name.split(":")[0]).mkdir()

    assert "is a folder" in _refused(name).message


@pytest.mark.parametrize("name", ["empty.onnx", "empty.py:Net"])
def test_an_empty_file_holds_no_model(tmp_path, name):
    (tmp_path / name.split(":")[0]).touch()

    assert "is empty" in _refused(name).message


@pytest.mark.parametrize(
    ("code", "said", "place"),
    [
        ("import no_such_package", "No module named 'no_such_package'", "line 1"),
        ("x = 1\nraise RuntimeError('no weights')", "RuntimeError: no weights", "line 2"),
        ("def f(:", "SyntaxError", "line 1"),
        ("import sys\nsys.exit(3)", "it called sys.exit(3)", "line 2"),
        ("def f():\n    1 / 0\nf()", "ZeroDivisionError", "line 2, in f: 1 / 0"),
    ],
)
@pytest.mark.parametrize("target", ["net.py:Net", "net:Net"])
def test_a_file_that_cannot_be_imported_says_why_and_where(tmp_path, target, code, said, place):
    (tmp_path / "net.py").write_text(code)

    error = _refused(target)

    assert said in error.message
    assert str(tmp_path / "net.py") in error.hint
    assert place in error.hint


def test_a_file_that_failed_leaves_no_module_behind(tmp_path):
    (tmp_path / "net.py").write_text("raise RuntimeError")

    _refused("net.py:Net")

    assert not [name for name in sys.modules if name.startswith("lexer_target_net")]


def test_what_is_not_in_a_file_is_named_with_its_neighbours(tmp_path):
    (tmp_path / "net.py").write_text("from math import sqrt\nclass AmazingNet: ...\ndef _f(): ...")

    error = _refused("net.py:AmazngNet")

    assert "'net.py' has no 'AmazngNet'" in error.message
    assert error.hint.startswith("It has AmazingNet, sqrt.")
    assert "Did you mean 'AmazingNet'?" in error.hint


def test_a_file_finds_the_files_beside_it(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "helper.py").write_text("WIDTH = 64")
    (tmp_path / "models" / "net.py").write_text("import helper\nx = helper.WIDTH")

    assert "'x' in 'models/net.py' is a value of type int" in _refused("models/net.py:x").message


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def make(): return {}", "returned a value of type dict, not a torch.nn.Module"),
        ("def make(): pass", "returned None, not a torch.nn.Module"),
        ("make = 3", "is a value of type int, not a model"),
        ("class make: ...", "returned a value of type make, not a torch.nn.Module"),
        ("def make(): raise ValueError('no weights')", "failed: ValueError: no weights"),
        ("def make(): raise SystemExit(1)", "failed: it called sys.exit(1)"),
    ],
)
def test_what_gives_no_model_is_refused(tmp_path, code, said):
    (tmp_path / "net.py").write_text(code)

    assert said in _refused("net.py:make").message


@pytest.mark.parametrize(
    "code",
    [
        "class Net:\n    def __init__(self, width, *, depth, dropout=0.1): ...",
        "def Net(width, *, depth, dropout=0.1): ...",
    ],
)
def test_what_needs_arguments_asks_for_a_factory(tmp_path, code):
    (tmp_path / "net.py").write_text(code)

    error = _refused("net.py:Net")

    assert "it needs width, depth" in error.message
    assert "def make_model():\n    return Net(width=..., depth=...)" in error.hint


@pytest.mark.skipif(os.name != "posix", reason="elsewhere, the current folder cannot be deleted")
def test_a_module_is_not_searched_in_a_folder_that_was_deleted(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(TargetError, match="the current folder, which was deleted"):
        load_target("net:Net")
