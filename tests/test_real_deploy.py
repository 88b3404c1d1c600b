"""Does a deployed model compute what was measured, with real engines and without Lexer?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from written_module import written_module

import lexer_core
from lexer_core import BenchmarkReport, BenchmarkResult, LexerContext
from lexer_core.artifact import save
from lexer_core.cli.deploy import deploy
from lexer_core.deploy.row_model import LiveModel
from lexer_core.engines.registry import EngineRegistry
from lexer_core.engines.states import EngineState
from lexer_core.errors import DeploymentError

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")
pytestmark = [pytest.mark.torch, pytest.mark.onnxruntime, pytest.mark.openvino]

FEW = {"num_iterations": 10, "warm_up_seconds": 0.02, "threads": 1, "canary": False}
MODULE = """
import torch


class DeployedNet(torch.nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.encode = torch.nn.Linear(6, width)
        self.norm = torch.nn.BatchNorm1d(width)
        self.decode = torch.nn.Linear(width, 6)

    def forward(self, image, scale, flip=False):
        hidden = self.norm(self.encode(image).relu()) * scale["by"]
        hidden = hidden.flip(1) if flip else hidden
        return {"logits": self.decode(hidden), "hidden": hidden}


def seeded():
    torch.manual_seed(7)
    return DeployedNet(width=5)


def unnormed():
    net = seeded()
    net.norm.eps = 0.5
    return net


def tied(width=4):
    net = DeployedNet(width)
    net.encode = net.decode = torch.nn.Linear(6, 6)
    net.norm = torch.nn.Identity()
    return net
"""
ENGINES = ("torch", "onnxruntime", "openvino")


@pytest.fixture(scope="module")
def nets(tmp_path_factory):
    with written_module(tmp_path_factory.mktemp("nets"), "deployed_nets", MODULE) as module:
        yield module


@pytest.fixture(scope="module")
def model(nets):
    return nets.seeded()


@pytest.fixture(scope="module")
def inputs():
    generator = np.random.default_rng(0)
    image = generator.standard_normal((3, 6)).astype(np.float32)
    return {"image": image, "scale": {"by": np.full((1,), 2, np.float32)}, "flip": True}


@pytest.fixture(scope="module")
def report(model, inputs):
    report = LexerContext().benchmark(model, inputs, engines=ENGINES, **FEW)
    assert [row.status for row in report.results] == ["ok"] * 3, report
    return report


@pytest.fixture(scope="module")
def expected(model, inputs):
    model.eval()
    with torch.no_grad():
        tensors = {
            "image": torch.from_numpy(inputs["image"]),
            "scale": {"by": torch.from_numpy(inputs["scale"]["by"])},
        }
        outputs = model(**tensors, flip=True)
    return {name: tensor.numpy() for name, tensor in outputs.items()}


ARGUMENTS = {"torch": {"arguments": {"width": 5}}}


def arrays_of(session, inputs):
    return [inputs["image"], inputs["scale"]["by"]][: len(session.inputs)]


def assert_same(outputs, expected):
    assert sorted(outputs) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(outputs[name], array, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_session_returns_what_was_measured(report, engine, inputs, expected, tmp_path):
    folder = report[engine].save(tmp_path / "deploy", **ARGUMENTS.get(engine, {}))

    with lexer_core.load(folder, trusted=engine == "torch") as session:
        arrays = arrays_of(session, inputs)
        first = session(*arrays)
        kept = {name: array.copy() for name, array in first.items()}
        session(np.zeros_like(arrays[0]), *arrays[1:])

    assert_same(first, expected)
    assert all(np.array_equal(first[name], kept[name]) for name in kept)  # the caller's own


@pytest.mark.parametrize("engine", ENGINES)
def test_inputs_need_not_be_contiguous(report, engine, inputs, expected, tmp_path):
    folder = report[engine].save(tmp_path / "deploy", **ARGUMENTS.get(engine, {}))

    with lexer_core.load(folder, trusted=engine == "torch") as session:
        arrays = [np.asfortranarray(array) for array in arrays_of(session, inputs)]
        assert_same(session(*arrays), expected)


CALL_SCRIPT = """
import json, runpy, sys
import numpy as np
run = runpy.run_path(sys.argv[1])["run"]
arrays = [np.array(each, "float32") for each in json.loads(sys.argv[2])]
print(json.dumps({name: np.asarray(array).tolist() for name, array in run(*arrays).items()}))
assert "lexer_core" not in sys.modules
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_the_script_runs_the_model_without_lexer(report, engine, nets, inputs, expected, tmp_path):
    folder = report[engine].save(tmp_path / "deploy", **ARGUMENTS.get(engine, {}))
    arrays = [array.tolist() for array in (inputs["image"], inputs["scale"]["by"])]

    ended = subprocess.run(
        [sys.executable, "-c", CALL_SCRIPT, folder / "run.py", json.dumps(arrays)],
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(nets.__file__).parent)},
        capture_output=True,
        text=True,
    )

    assert ended.returncode == 0, ended.stderr
    assert_same(json.loads(ended.stdout), expected)


def test_weights_are_loaded_into_the_user_s_own_model(report, nets, inputs, expected, tmp_path):
    folder = report["torch"].save(tmp_path / "deploy", **ARGUMENTS["torch"])

    with pytest.raises(DeploymentError, match="imports and calls"):
        lexer_core.load(folder)
    with pytest.raises(DeploymentError, match="do not fit DeployedNet"):
        lexer_core.load(folder, model=nets.DeployedNet(3))
    with lexer_core.load(folder, model=nets.DeployedNet(5)) as session:
        assert_same(session(*arrays_of(session, inputs)), expected)


def test_weights_are_stored_without_a_pickle(report, tmp_path, monkeypatch):
    with_safetensors = report["torch"].save(tmp_path / "a", **ARGUMENTS["torch"])
    monkeypatch.setattr("lexer_core.deploy.torch_model._has_safetensors", lambda: False)
    without = report["torch"].save(tmp_path / "b", **ARGUMENTS["torch"])

    assert (with_safetensors / "model" / "weights.safetensors").is_file()
    assert "weights_only=True" in (without / "run.py").read_text()
    lexer_core.load(without, trusted=True).close()


def test_it_must_be_known_how_to_build_the_model(report, tmp_path):
    # Without arguments, the class builds a model with other shapes.
    with pytest.raises(DeploymentError, match="do not fit DeployedNet") as caught:
        report["torch"].save(tmp_path / "deploy")
    assert "arguments" in caught.value.hint
    with pytest.raises(DeploymentError, match="another model than the one that was measured"):
        report["torch"].save(tmp_path / "deploy", build="deployed_nets:unnormed")

    report["torch"].save(tmp_path / "deploy", build="deployed_nets:seeded")

    assert json.loads((tmp_path / "deploy" / "lexer.json").read_text())["build"] == (
        "deployed_nets:seeded"
    )


@pytest.mark.parametrize(
    "build", ["os", "no.such.module:Net", "deployed_nets:Missing", "os:getcwd"]
)
def test_a_wrong_builder_is_an_error(report, build, tmp_path):
    with pytest.raises(DeploymentError, match=build.partition(":")[0]):
        report["torch"].save(tmp_path / "deploy", build=build)

    assert not (tmp_path / "deploy").exists()


def test_a_model_that_changed_after_it_was_measured_is_refused(report, model, tmp_path):
    with torch.no_grad():
        model.encode.bias += 1
    try:
        with pytest.raises(DeploymentError, match="not those that were measured"):
            report["torch"].save(tmp_path / "deploy", **ARGUMENTS["torch"])
    finally:
        with torch.no_grad():
            model.encode.bias -= 1


def test_a_local_class_is_refused_with_the_formats_that_work(inputs, tmp_path):
    class Local(torch.nn.Linear):
        pass

    x = inputs["image"]
    report = LexerContext().benchmark(kept := Local(6, 2), x, engines=["torch"], **FEW)

    with pytest.raises(DeploymentError, match="defined in a function") as caught:
        report["torch"].save(tmp_path / "deploy")
    del kept
    assert "torch-export" in caught.value.hint


def test_shared_weights_stay_shared(nets, inputs, tmp_path):
    model = nets.tied()
    arguments = {"image": inputs["image"], "scale": inputs["scale"]}
    report = LexerContext().benchmark(model, arguments, engines=["torch"], **FEW)

    folder = report["torch"].save(tmp_path / "deploy", build="deployed_nets:tied")

    model.eval()
    with lexer_core.load(folder, trusted=True) as session, torch.no_grad():
        expected = model(torch.from_numpy(inputs["image"]), {"by": torch.tensor([2.0])})
        outputs = session(*arrays_of(session, inputs))
    assert_same(outputs, {name: value.numpy() for name, value in expected.items()})


def test_a_live_row_of_a_tuning_is_saved_with_its_batch_size(nets, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(nets.__file__).parent)
    Path("decoder.py").write_text(
        "import deployed_nets\ndef decode():\n    return deployed_nets.seeded().decode\n"
    )
    model = nets.seeded().decode
    tuning = LexerContext(isolation="none", canary=False, show_progress=False).tune(
        model,
        np.ones((1, 5), np.float32),
        engines=["torch"],
        vary={"batch": [1, 3]},
        maximize="throughput",
        max_seconds=1.0,
        warm_up_seconds=0.02,
        save_to=tmp_path / "tuned.lexer",
    )
    words = [str(tmp_path / "tuned.lexer"), str(tmp_path / "loaded"), "--target"]

    tuning["torch[batch=3]"].save(tmp_path / "live", build="decoder:decode")
    result = CliRunner().invoke(deploy, [*words, "decoder.py:decode", "--engine", "torch[batch=3]"])

    assert result.exit_code == 0, result.exception
    for folder in ("live", "loaded"):
        with lexer_core.load(tmp_path / folder, trusted=True) as session:
            assert session(np.ones((3, 5), np.float32))


def test_a_live_row_of_a_saved_run_needs_the_target(nets, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(nets.__file__).parent)
    linear = LexerContext().benchmark(
        nets.seeded().decode, np.ones((2, 5), np.float32), engines=["torch"], **FEW
    )
    path = save(linear, tmp_path / "run.lexer")
    Path("given.py").write_text(
        "import deployed_nets\ndef decode():\n    return deployed_nets.seeded().decode\n"
    )
    words = [str(path), str(tmp_path / "deploy"), "--engine", "torch"]

    without = CliRunner().invoke(deploy, words)
    result = CliRunner().invoke(deploy, [*words, "--target", "given.py:decode"])

    assert "--target net.py:Net" in str(without.exception)
    assert result.exit_code == 0, result.exception
    with lexer_core.load(tmp_path / "deploy", trusted=True) as session:
        assert session(np.ones((2, 5), np.float32))


@pytest.mark.parametrize("engine", ["torch-export", "torch-compile"])
def test_an_engine_that_compiles_compiles_the_deployed_model(engine, nets, inputs, tmp_path):

    if EngineRegistry().listing(engine).state is not EngineState.READY:
        pytest.skip("there is no compiler")
    model = nets.DeployedNet()
    # Not measured: that would compile once more.
    row = BenchmarkResult(
        engine=engine,
        device="CPU",
        label=engine,
        status="ok",
        engine_name=engine,
        format="torch_export" if engine == "torch-export" else "torch",
        threads=1,
        options={"mode": "default"},
    )
    report = BenchmarkReport(results=(row,), live_model=LiveModel(model, inputs))

    folder = report[engine].save(tmp_path / "deploy")

    model.eval()
    with pytest.raises(DeploymentError, match="trusted=True"):
        lexer_core.load(folder)
    with lexer_core.load(folder, trusted=True) as session, torch.no_grad():
        image = torch.from_numpy(inputs["image"])
        expected = model(image, {"by": torch.tensor([2.0])}, flip=True)
        outputs = session(*arrays_of(session, inputs))
    assert_same(outputs, {name: value.numpy() for name, value in expected.items()})
    compile((folder / "run.py").read_text(), "run.py", "exec")
