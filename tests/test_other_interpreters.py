"""Can an engine of another environment take part in the same rounds?"""

from __future__ import annotations

import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from fake_engines import FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

import lexer_core
from lexer_core import EngineChoice, LexerContext
from lexer_core.errors import UsageError

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)
QUICK = {"num_iterations": 40, "warm_up_seconds": 0.05, "canary": False}

OTHER_VERSION = TOY_ENGINE.replace('display_name="Toy"', 'display_name="Older Toy"')


def environment(folder: Path, *paths: Path | str) -> str:
    """Make an environment that finds modules in these folders; its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "paths.pth").write_text("".join(f"{path}\n" for path in paths))
    return str(folder / "bin" / "python")


def dependencies() -> list[str]:
    """Return the folders that contain lexer-core and its dependencies."""
    core = Path(lexer_core.__file__).parents[1]
    return [str(core), *(path for path in sys.path if Path(path, "attrs").is_dir())]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    site = FakeSite(tmp_path_factory.mktemp("here"))
    site.add_engine("toy", TOY_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def there(tmp_path_factory):
    """An interpreter with another toy engine, and one that only it has."""
    assert OTHER_VERSION != TOY_ENGINE
    site = FakeSite(tmp_path_factory.mktemp("there"))
    site.add_engine("toy", OTHER_VERSION, version="0.5")
    site.add_engine("loner", OTHER_VERSION)
    return environment(tmp_path_factory.mktemp("venv"), site.folder, *dependencies())


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An interpreter without lexer-core."""
    return environment(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_toy_model(tmp_path_factory.mktemp("model"))


def test_two_versions_of_an_engine_land_in_one_table(here, there, model):
    report = LexerContext().benchmark(
        model,
        INPUT,
        engines=["toy", EngineChoice("toy", label="older", python=there)],
        **QUICK,
    )

    new, old = report.results
    assert (new.status, old.status) == ("ok", "ok")
    assert (new.engine, old.engine) == ("Toy", "Older Toy")
    assert (new.engine_distribution, old.engine_distribution) == ("lexer-toy 1.0", "lexer-toy 0.5")
    assert new.interpreter == ""
    assert old.interpreter.startswith(f"{there} (Python 3.")
    assert new.rounds == old.rounds
    assert old.parity.status == "pass"
    assert report.comparisons[0].rounds == new.rounds
    assert "older: Older Toy in" in " ".join(str(report).split())


def test_an_engine_that_only_another_environment_has_is_measured(here, there, model):
    report = LexerContext().benchmark(
        model, INPUT, engines=["toy", "loner"], interpreters={"loner": there}, **QUICK
    )

    assert [(row.label, row.status) for row in report.results] == [("toy", "ok"), ("loner", "ok")]


@pytest.mark.parametrize(
    ("whom", "words"),
    [
        ("bare", "does not have lexer-core"),
        ("missing", "cannot be started"),
        ("no_python", "is not Python 3.11 or later"),
    ],
)
def test_an_interpreter_that_cannot_serve_costs_its_own_row(here, bare, model, whom, words):
    python = {"bare": bare, "missing": "/no/such/python", "no_python": "/bin/ls"}[whom]

    report = LexerContext().benchmark(
        model, INPUT, engines=["toy", EngineChoice("toy", label="other", python=python)], **QUICK
    )

    assert report["toy"].num_samples == 40
    assert report["other"].status == "failed"
    assert words in report["other"].error.reason
    assert python in report["other"].error.reason


def test_an_engine_that_is_not_there_is_named(here, there, model):
    report = LexerContext().benchmark(
        model, INPUT, engines=["toy", EngineChoice("tvm", python=there)], **QUICK
    )

    assert "engine 'tvm' is not installed" in report["tvm"].error.reason
    assert there in report["tvm"].error.reason


def test_another_version_of_the_core_is_refused(here, there, model, monkeypatch):
    monkeypatch.setattr("lexer_core.engines.remote_interpreter.__version__", "99.0")

    report = LexerContext().benchmark(
        model, INPUT, engines=["toy", EngineChoice("toy", label="other", python=there)], **QUICK
    )

    reason = report["other"].error.reason
    assert f"has lexer-core {lexer_core.__version__}; it needs 99.0" in reason


def test_an_interpreter_for_nobody_is_a_mistake(here, there, model):
    with pytest.raises(UsageError, match="'trch', which is not one of the chosen engines"):
        LexerContext().benchmark(
            model, INPUT, engines=["toy"], interpreters={"trch": there}, **QUICK
        )


def test_a_file_may_say_which_interpreter_runs_an_engine(here, there, model, tmp_path, monkeypatch):
    (tmp_path / ".lexer_config.toml").write_text(f'[engines.loner]\npython = "{there}"\n')
    monkeypatch.setenv("LEXER_CONFIG_PATH", str(tmp_path))
    monkeypatch.delenv("LEXER_NO_CONFIG", raising=False)

    report = LexerContext().benchmark(model, INPUT, engines=["toy", "loner"], **QUICK)

    assert report["loner"].status == "ok"
    assert report["loner"].interpreter.startswith(there)
    assert report["toy"].interpreter == ""
    assert any("python of loner" in note for note in report.notes)


FORGING = """
import atexit, json
import lexer_core

def forge():
    answer = {"python": "3", "lexer": lexer_core.__version__, "engine": LISTING}
    print(json.dumps(answer))

atexit.register(forge)
"""
READY = {"state": "ready", "reason": "", "remedy": "", "version": "1", "distribution": "x 1"}
INFO = {
    "display_name": "Toy",
    "runtime_modules": [],
    "runtime_distributions": [],
    "formats": ["onnx"],
    "options": [],
    "runs_by_default": True,
    "unavailable_because": "",
    "remedy": "",
}


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ({"state": ["ready"]}, "is ['ready'] in"),
        (READY, "wrongly: not a description of an engine"),
        ({**READY, "info": {**INFO, "display_name": 5}}, "display_name must be a non-empty string"),
        ({**READY, "info": INFO, "version": 3}, "its version and its distribution must be strings"),
    ],
)
def test_an_interpreter_that_answers_anything_costs_its_own_row(
    here, model, tmp_path, listing, words
):
    site = FakeSite(tmp_path / "site")
    site.add_module("sitecustomize", FORGING.replace("LISTING", repr(listing)))
    python = environment(tmp_path / "venv", site.folder, *dependencies())

    report = LexerContext().benchmark(
        model, INPUT, engines=["toy", EngineChoice("toy", label="far", python=python)], **QUICK
    )

    assert report["toy"].error is None
    assert report["far"].status == "failed"
    assert words in report["far"].error.reason
