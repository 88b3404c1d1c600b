"""Is a row saved to a folder completely, and is a folder from anywhere loaded safely?"""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import threading

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from fake_engines import NUMPY_ENGINE, FakeSite

import lexer_core
from lexer_core import BenchmarkReport, BenchmarkResult
from lexer_core.artifact import save
from lexer_core.cli.deploy import deploy
from lexer_core.errors import (
    DeploymentError,
    EngineError,
    HookError,
    InputError,
    LexerError,
    OutputFileError,
    UsageError,
)
from lexer_core.records import TensorSpec
from lexer_core.results import Failure, SavedModel

ENGINE = NUMPY_ENGINE.replace('formats=("affine",)', 'formats=("onnx", "affine")')
X = np.arange(3.0).reshape(1, 3)
Y = np.array([[13.0, 13.0]])
INPUTS = (TensorSpec(name="x", dtype="float64", shape=("batch", 3)),)
OUTPUTS = (TensorSpec(name="y", dtype="float64", shape=("batch", 2)),)


@pytest.fixture
def site(tmp_path):
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


@pytest.fixture
def model_file(tmp_path):
    path = tmp_path / "kept" / "net.onnx"
    (path.parent / "data").mkdir(parents=True)
    np.savez(path.with_suffix(".npz"), weight=np.full((3, 2), 2.0), bias=np.full(2, 0.5))
    path.with_suffix(".npz").rename(path)
    (path.parent / "data" / "w.bin").write_bytes(b"weights")
    return path


def row_of(label="affine", **fields):
    values = {
        "engine": "Affine",
        "device": "CPU",
        "label": label,
        "status": "ok",
        "engine_name": "affine",
        "engine_version": np.__version__,
        "engine_distribution": "lexer-affine 1.0",
        "format": "onnx",
        "threads": 1,
        "options": {"scale": 2.0, "order": "row"},
        "p50_ms": 1.5,
        "rank": 1,
        **fields,
    }
    return BenchmarkResult(**values)


@pytest.fixture
def report(site, model_file):
    site.add_engine("affine", ENGINE)
    model = SavedModel(
        format="onnx",
        files=[model_file, model_file.parent / "data" / "w.bin"],
        labels=("affine",),
        inputs=INPUTS,
        outputs=OUTPUTS,
    )
    failure = Failure(phase="load", kind="EngineError", reason="it does not start")
    failed = row_of("failed", status="failed", error=failure, rank=None)
    live = row_of("live", engine_name="torch", format="torch", rank=2)
    return BenchmarkReport(
        results=(row_of(), failed, live),
        models=(model,),
        model_name="Net",
        input_specs=INPUTS,
    )


@pytest.fixture
def folder(report, tmp_path):
    return report["affine"].save(tmp_path / "deploy")


def edit(folder, **changes):
    path = folder / "lexer.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(folder, said, **arguments):
    with pytest.raises(LexerError) as caught:
        lexer_core.load(folder, **arguments)
    assert said in str(caught.value)
    return caught.value


# -- saving ---------------------------------------------------------------------------


def test_a_saved_row_has_the_model_its_description_and_a_script(folder):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    data = json.loads((folder / "lexer.json").read_text())

    assert names == ["lexer.json", "model/data/w.bin", "model/net.onnx", "run.py"]
    assert (data["engine"], data["threads"], data["options"]["scale"]) == ("affine", 1, 2.0)
    assert (data["file"], data["measured"]["p50_ms"]) == ("model/net.onnx", 1.5)
    assert data["inputs"] == [{"name": "x", "dtype": "float64", "shape": ["batch", 3]}]
    assert sorted(data["files"]) == names[1:]


def test_a_saved_row_loads_with_its_options(folder):
    with lexer_core.load(folder) as session:
        assert np.array_equal(session(x=X)["y"], Y)
        assert session.notes == ()


def test_a_row_of_a_loaded_report_can_be_saved(report, tmp_path):
    path = save(report, tmp_path / "run.lexer")

    folder = lexer_core.load(path)["affine"].save(tmp_path / "deploy")

    with lexer_core.load(folder) as session:
        assert np.array_equal(session(X)["y"], Y)


def test_a_copied_and_a_pickled_report_can_save_rows(report, tmp_path):
    for number, each in enumerate((copy.deepcopy(report), pickle.loads(pickle.dumps(report)))):
        assert each == report
        assert each["affine"].save(tmp_path / str(number)).is_dir()


def test_a_row_without_a_report_says_where_to_get_one(tmp_path):
    with pytest.raises(DeploymentError, match="not part of a report"):
        row_of().save(tmp_path / "deploy")


@pytest.mark.parametrize(
    ("label", "said", "hint"),
    [
        ("failed", "row 'failed' was not measured: it is failed", "does not start"),
        ("live", "row 'live' runs a live Torch model", "Or save another row: affine."),
    ],
)
def test_a_row_without_a_model_is_refused_and_leaves_nothing(report, tmp_path, label, said, hint):
    with pytest.raises(DeploymentError) as caught:
        report[label].save(tmp_path / "deploy")

    assert said in caught.value.message
    assert hint in caught.value.hint
    assert not [path for path in tmp_path.iterdir() if "deploy" in path.name or ".tmp" in path.name]


def test_a_model_that_was_not_kept_is_refused(report, tmp_path):
    without = attrs.evolve(report, models=())

    with pytest.raises(DeploymentError, match="was not kept with the report"):
        without["affine"].save(tmp_path / "deploy")


def test_saving_replaces_a_deployment_only_if_asked_to(report, folder):
    with pytest.raises(DeploymentError, match="already has a deployment") as caught:
        report["affine"].save(folder)
    assert "overwrite=True" in caught.value.hint

    report["affine"].save(folder, overwrite=True)

    lexer_core.load(folder).close()


def test_saving_never_deletes_files_of_the_user(report, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    (folder / "serve.py").touch()

    with pytest.raises(DeploymentError, match="the folder is not empty"):
        report["affine"].save(tmp_path / "mine", overwrite=True)
    with pytest.raises(DeploymentError, match=r"'serve.py' that Lexer did not save"):
        report["affine"].save(folder, overwrite=True)

    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert (folder / "serve.py").exists()


def test_an_empty_folder_is_filled_and_a_file_is_refused(report, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()

    report["affine"].save(tmp_path / "empty")

    lexer_core.load(tmp_path / "empty").close()
    with pytest.raises(DeploymentError, match="it is a file"):
        report["affine"].save(tmp_path / "file")
    with pytest.raises(OutputFileError, match="does not exist"):
        report["affine"].save(tmp_path / "no" / "such" / "folder")


def test_the_current_folder_is_not_replaced(report, folder, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    for place, target in (("empty", "."), ("deploy/model", str(folder))):
        monkeypatch.chdir(tmp_path / place)

        with pytest.raises(DeploymentError, match="it is the current folder, or contains it"):
            report["affine"].save(target, overwrite=True)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere, the current folder cannot be deleted")
def test_a_deleted_current_folder_is_named(report, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(OutputFileError, match="the current folder was deleted"):
        report["affine"].save("deploy")
    assert report["affine"].save(tmp_path / "deploy").is_dir()


def test_a_failure_while_saving_keeps_the_old_deployment(report, folder, model_file):
    model_file.unlink()

    with pytest.raises(OutputFileError):
        report["affine"].save(folder, overwrite=True)

    lexer_core.load(folder).close()
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".lexer")]


# -- the script -------------------------------------------------------------------------


def test_the_default_script_runs_with_lexer_and_says_so(folder, site):
    environment = {**os.environ, "PYTHONPATH": str(site.folder)}

    ended = subprocess.run(
        [sys.executable, folder / "run.py"],
        check=False,
        env=environment,
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    assert "'y': array([[1., 1.]])" in ended.stdout
    assert "does not implement lexer_run_script" in (folder / "run.py").read_text()
    lexer_core.load(folder).close()  # running it adds nothing that is refused


def test_the_script_of_an_engine_that_is_not_installed_is_the_default(report, tmp_path):
    elsewhere = attrs.evolve(report, results=(row_of(engine_name="elsewhere"),))

    folder = elsewhere["affine"].save(tmp_path / "deploy")

    assert "lexer_core.load" in (folder / "run.py").read_text()
    refused(folder, "needs engine 'elsewhere'")


@pytest.mark.parametrize("name", ["class", "1st", "input.1", "np", ""])
def test_every_input_name_becomes_a_parameter(report, tmp_path, name):
    inputs = (TensorSpec(name=name, dtype="bfloat16", shape=()), *INPUTS)
    model = attrs.evolve(report.models[0], inputs=inputs)

    folder = attrs.evolve(report, models=(model,))["affine"].save(tmp_path / "deploy")

    compile((folder / "run.py").read_text(), "run.py", "exec")


def test_a_script_that_is_not_python_is_an_error_of_the_hook(site, report, tmp_path):
    source = ENGINE + "\n\n@hookimpl\ndef lexer_run_script():\n    return 'def run('\n"
    site.add_engine("other", source)
    other = attrs.evolve(report, results=(row_of(engine_name="other"),))

    with pytest.raises(HookError, match="not valid Python"):
        other["affine"].save(tmp_path / "deploy")

    assert not (tmp_path / "deploy").exists()


def test_a_plugin_that_exits_while_it_writes_the_script_does_not_end_the_program(
    site, report, tmp_path
):
    source = ENGINE + "\n\n@hookimpl\ndef lexer_run_script():\n    import os; os._exit(3)\n"
    site.add_engine("other", source)
    other = attrs.evolve(report, results=(row_of(engine_name="other"),))

    with pytest.raises(EngineError, match=r"'other' cannot write run.py: .*exit code 3"):
        other["affine"].save(tmp_path / "deploy")

    assert not (tmp_path / "deploy").exists()
    assert not list(tmp_path.glob(".lexer-*"))


# -- calls ------------------------------------------------------------------------------


@pytest.fixture
def session(folder):
    with lexer_core.load(folder) as session:
        yield session


def test_inputs_are_taken_by_name_or_position_and_dynamic_axes_have_any_size(session):
    two = np.concatenate([X, X])

    assert np.array_equal(session(X)["y"], session(x=X)["y"])
    assert session(two)["y"].shape == (2, 2)


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((), {}, "Net needs input 'x'"),
        ((X, X), {}, "takes 1 inputs, not 2"),
        ((X,), {"x": X}, "input 'x' was passed twice"),
        ((), {"X": X}, "Net has no input 'X'"),
        ((), {"x": X, "z": X}, "Net has no input 'z'"),
        (([[1.0, 2.0, 3.0]],), {}, "of type list, not a numpy array"),
        ((X.astype(np.float32),), {}, "input 'x' is float32[1, 3]; the model takes x: float64"),
        ((X[0],), {}, "input 'x' is float64[3]; the model takes x: float64[batch, 3]"),
        ((X.astype(">f8"),), {}, "input 'x' is >f8[1, 3]"),
    ],
)
def test_wrong_inputs_are_refused(session, args, kwargs, said):
    with pytest.raises(InputError) as caught:
        session(*args, **kwargs)

    assert said in caught.value.message
    assert caught.value.hint


def test_a_closed_session_says_so(folder):
    session = lexer_core.load(folder)
    session.close()
    session.close()

    assert "closed" in repr(session)
    with pytest.raises(EngineError, match="the session is closed"):
        session(X)


def test_threads_take_turns(site, report, tmp_path):
    source = ENGINE.replace(
        "        return placed @ self.weight + self.bias",
        "        self.inside = getattr(self, 'inside', 0) + 1\n"
        "        assert self.inside == 1\n"
        "        import time; time.sleep(0.001)\n"
        "        self.inside -= 1\n"
        "        return placed @ self.weight + self.bias",
    )
    site.add_engine("alone", source)
    alone = attrs.evolve(report, results=(row_of(engine_name="alone"),))
    outputs = []
    with lexer_core.load(alone["affine"].save(tmp_path / "deploy")) as session:
        calls = [threading.Thread(target=lambda: outputs.append(session(X)["y"])) for _ in range(8)]
        for each in calls:
            each.start()
        for each in calls:
            each.join()

    assert len(outputs) == 8
    assert all(np.array_equal(each, Y) for each in outputs)


def test_the_session_s_own_call_is_used_if_it_has_one(site, report, tmp_path):
    source = ENGINE.replace(
        "    def close(self):",
        "    def array_call(self, structure):\n"
        "        assert [ref.name for ref in structure.args] == ['x']\n"
        "        return lambda arrays: {'y': arrays['x'] * 0 - 1}\n\n    def close(self):",
    )
    site.add_engine("direct", source)
    direct = attrs.evolve(report, results=(row_of(engine_name="direct"),))

    with lexer_core.load(direct["affine"].save(tmp_path / "deploy")) as session:
        assert session(X)["y"][0, 0] == -1


def test_a_session_with_state_is_reset_before_each_call(site, report, tmp_path):
    source = ENGINE.replace("+ self.bias", "+ self.bias * self.calls").replace(
        "        return placed", "        self.calls += 1\n        return placed"
    )
    source += "\n\n@hookimpl\ndef lexer_reset_state(session):\n    session.calls = 0\n"
    site.add_engine("stateful", source)
    stateful = attrs.evolve(report, results=(row_of(engine_name="stateful"),))

    with lexer_core.load(stateful["affine"].save(tmp_path / "deploy")) as session:
        assert np.array_equal(session(X)["y"], Y)
        assert np.array_equal(session(X)["y"], Y)


def test_an_exception_of_the_engine_is_an_error_that_names_it(site, report, tmp_path):
    source = ENGINE.replace("return placed @", "raise RuntimeError('no kernel'); return placed @")
    site.add_engine("crashing", source)
    crashing = attrs.evolve(report, results=(row_of(engine_name="crashing"),))

    with (
        lexer_core.load(crashing["affine"].save(tmp_path / "deploy")) as session,
        pytest.raises(EngineError, match=r"'crashing'.*no kernel"),
    ):
        session(X)


# -- folders that are not trusted ---------------------------------------------------------


def test_what_is_not_a_deployment_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()

    refused(tmp_path / "empty", "not a deployment")
    refused(tmp_path / "none", "does not exist")


def test_arguments_for_a_folder_are_refused_for_a_file(tmp_path):
    with pytest.raises(UsageError, match="not a folder"):
        lexer_core.load(tmp_path / "run.lexer", trusted=True)


def test_a_changed_a_missing_and_an_extra_file_are_refused(folder):
    (folder / "extra.so").touch()
    refused(folder, "'extra.so' that does not belong to it")
    (folder / "extra.so").unlink()

    data = folder / "model" / "data" / "w.bin"
    data.write_bytes(b"WEIGHTS")
    refused(folder, "'model/data/w.bin'")
    data.unlink()
    refused(folder, "file 'model/data/w.bin' is missing")


def test_a_link_is_refused(folder, tmp_path):
    (tmp_path / "elsewhere").write_bytes((folder / "run.py").read_bytes())
    (folder / "run.py").unlink()
    (folder / "run.py").symlink_to(tmp_path / "elsewhere")

    refused(folder, "is a link or special file")


@pytest.mark.parametrize("name", ["../net.onnx", "/etc/passwd", "model\\net.onnx", "a/../b", ""])
def test_a_name_outside_the_folder_is_refused(folder, name):
    files = json.loads((folder / "lexer.json").read_text())["files"]
    edit(folder, files={**files, name: files["run.py"]}, file=name)

    refused(folder, "could be outside the folder")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, "Install a newer lexer-core"),
        ({"schema_version": "1"}, "schema_version"),
        ({"threads": 0}, "threads: expected at least 1"),
        ({"threads": "2"}, "threads"),
        ({"engine": 7}, "engine"),
        ({"inputs": [{"name": "x", "dtype": "float64", "shape": [-1]}]}, "a size is negative"),
        ({"inputs": [{"name": "x", "dtype": "O", "shape": [1]}]}, "unknown element type 'O'"),
        ({"inputs": [{"name": "x", "dtype": "object", "shape": [1]}]}, "unknown element type"),
        ({"inputs": [{"name": "x", "dtype": "f8", "shape": [1]}]}, "unknown element type"),
        ({"outputs": [{"name": "y", "dtype": "str", "shape": [1]}]}, "unknown element type"),
        ({"inputs": [{"name": "x", "dtype": "void", "shape": [1]}]}, "unknown element type"),
        ({"inputs": [{"name": "x", "dtype": "nope", "shape": [1]}]}, "unknown element type"),
        ({"files": []}, "files"),
        ({"file": "lexer.json"}, "not one of its files"),
        ({"call": {"args": [{"eval": "1"}]}}, "unknown kind of argument 'eval'"),
        ({"call": {"args": [{"tensor": 1}]}}, "call.args"),
        ({"call": {"args": [{"tensor": "z"}]}}, "there is no input 'z'"),
        ({"engine": "nowhere"}, "needs engine 'nowhere'"),
        ({"format": "tflite"}, "does not run"),
        ({"device": "npu:3"}, "npu:3"),
        ({"options": {"scale": "big"}}, "scale"),
        ({"options": {"turbo": True}}, "has no option 'turbo'"),
        ({"precision": "float8"}, "float8"),
    ],
)
def test_an_invalid_description_is_refused(folder, changes, said):
    edit(folder, **changes)

    refused(folder, said)


def test_an_unreadable_description_is_refused(folder):
    (folder / "lexer.json").write_text("{" * 100_000)
    refused(folder, "not valid JSON")

    (folder / "lexer.json").write_bytes(b"\xff\xfe\x00")
    refused(folder, "not valid JSON")


def test_an_engine_s_own_format_must_be_trusted(folder):
    edit(folder, format="affine")

    assert isinstance(refused(folder, "may run code"), DeploymentError)
    lexer_core.load(folder, trusted=True).close()


def test_weights_are_not_built_unless_the_folder_is_trusted(folder, tmp_path):
    edit(folder, format="torch", engine="affine", build="os:abort")

    refused(folder, "does not run")


def test_another_version_of_the_runtime_is_noted(folder):
    edit(folder, engine_version="0.1")

    with lexer_core.load(folder) as session:
        assert "0.1 was measured" in session.notes[0]


# -- the command line -----------------------------------------------------------------------


def test_the_command_saves_the_fastest_row_by_default(report, tmp_path):
    path = save(report, tmp_path / "run.lexer")

    result = CliRunner().invoke(deploy, [str(path), str(tmp_path / "out")])

    assert result.exit_code == 0, result.output
    assert "affine" in result.output
    lexer_core.load(tmp_path / "out").close()


def test_the_command_names_the_rows_and_replaces_with_force(report, tmp_path):
    path = save(report, tmp_path / "run.lexer")
    words = [str(path), str(tmp_path / "out")]

    wrong = CliRunner().invoke(deploy, [*words, "--engine", "tensorrt"])
    CliRunner().invoke(deploy, [*words, "--engine", "affine"])
    again = CliRunner().invoke(deploy, words)
    forced = CliRunner().invoke(deploy, [*words, "--force"])

    assert "Rows: affine" in str(wrong.exception)
    assert isinstance(again.exception, DeploymentError)
    assert forced.exit_code == 0
