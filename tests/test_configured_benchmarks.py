"""Do settings from the environment and files affect a benchmark?"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_engines import FakeSite
from tiny_onnx import identity_model
from toy_engine import TOY_ENGINE

from lexer_core import EngineChoice, LexerContext
from lexer_core.cli.main import ENGINE_FAILED, run
from lexer_core.errors import SettingError, UnknownEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from settings_place import Place

    from lexer_core.report import BenchmarkReport

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)
FAST = {"num_iterations": 5, "warm_up_seconds": 0.01, "canary": False, "isolation": "none"}


@pytest.fixture
def toys(tmp_path: Path) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path / "site")
    for name in ("toy", "other"):
        site.add_engine(name, TOY_ENGINE)
    site.add_engine("slow", TOY_ENGINE.replace("options=(", "runs_by_default=False, options=("))
    with site.on_path():
        yield site


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "toy.onnx"  # a real one: the command looks into it
    path.write_bytes(identity_model((2, 3), "x"))
    return path


def benchmark(model: Path, **settings: Any) -> BenchmarkReport:
    return LexerContext(**FAST).benchmark(model, INPUT, **settings)


def engines(report: BenchmarkReport) -> set[str]:
    # Others may be installed where the tests run.
    return {row.label for row in report} & {"toy", "other", "slow"}


# -- engines -----------------------------------------------------------------------


def test_engines_that_a_file_names_are_measured(place: Place, toys: FakeSite, model: Path) -> None:
    place.write('[benchmarks]\nengines = ["toy", "b=toy[work=2]"]')

    report = benchmark(model)

    assert [row.label for row in report.results] == ["toy", "b"]
    assert report["b"].options["work"] == 2
    assert report.settings["engines"] == ["toy", "b=toy[work=2]"]


def test_the_engines_of_the_call_override_those_of_a_file(
    place: Place, toys: FakeSite, model: Path
) -> None:
    place.write('[benchmarks]\nengines = ["toy"]')

    assert [row.label for row in benchmark(model, engines="other")] == ["other"]


def test_the_error_of_an_engine_that_is_not_installed_says_where_it_is_named(
    place: Place, toys: FakeSite, model: Path
) -> None:
    file = place.write('[benchmarks]\nengines = ["toyy"]')

    with pytest.raises(UnknownEngineError) as caught:
        benchmark(model)

    assert "Did you mean 'toy'" in str(caught.value)
    assert f"{file}, line 2" in str(caught.value)


def test_engines_can_be_turned_on_and_off_when_none_is_named(
    place: Place, toys: FakeSite, model: Path
) -> None:
    assert engines(benchmark(model)) == {"toy", "other"}
    file = place.write("[engines.other]\nenabled = false\n[engines.slow]\nenabled = true")

    report = benchmark(model)

    assert engines(report) == {"toy", "slow"}
    assert f"engine 'other' is turned off in {file}, line 2" in report.notes


def test_naming_an_engine_overrides_a_weaker_layer_that_turns_it_off(
    place: Place, toys: FakeSite, model: Path
) -> None:
    place.write("[engines.toy]\nenabled = false")
    place.write('[benchmarks]\nengines = ["toy", "other"]', below=place.home)
    assert [row.label for row in benchmark(model)] == ["other"]

    place.setenv("LEXER_ENGINES", "toy")

    assert [row.label for row in benchmark(model)] == ["toy"]


def test_turning_every_engine_off_is_an_error_that_says_where(
    place: Place, toys: FakeSite, model: Path
) -> None:
    file = place.write("[engines.toy]\nenabled = false")
    place.write('[benchmarks]\nengines = ["toy"]', below=place.home)

    with pytest.raises(SettingError, match="turned off") as caught:
        benchmark(model)

    assert f"{file}, line 2" in str(caught.value)


def test_options_of_a_choice_override_those_of_a_file(
    place: Place, toys: FakeSite, model: Path
) -> None:
    place.write("[engines.toy]\nwork = 3")
    place.write("[engines.toy]\nwork = 4\nfault = 'nan'", below=place.home)

    report = benchmark(model, engines=["toy", EngineChoice("toy", {"work": 2}, label="b")])

    assert report["toy"].options == {"fault": "nan", "work": 3}
    assert report["b"].options == {"fault": "nan", "work": 2}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[engines.toy]\nworks = 3", ["has no option 'works'", "Did you mean 'work'"]),
        ("[engines.toy]\nwork = 'much'", ["'work'", "a whole number", "'much'"]),
        ("[engines.toyy]\nwork = 3", ["'toyy'", "Did you mean 'toy'"]),
    ],
)
def test_a_wrong_option_is_an_error_with_its_line(
    place: Place, toys: FakeSite, model: Path, text: str, words: list[str]
) -> None:
    file = place.write(text)

    with pytest.raises(SettingError) as caught:
        benchmark(model, engines=["toy"])

    for word in (*words, f"{file}, line 2"):
        assert word in str(caught.value)


def test_an_engine_of_another_environment_is_a_note(
    place: Place, toys: FakeSite, model: Path
) -> None:
    place.write("[engines.somebody_elses]\nlevel = 3")

    report = benchmark(model, engines=["toy"])

    assert report["toy"].status == "ok"
    assert any("'somebody_elses'" in note for note in report.notes)


# -- the report --------------------------------------------------------------------


def test_the_report_notes_settings_from_outside(place: Place, toys: FakeSite, model: Path) -> None:
    file = place.write("[benchmarks]\ntie = 0.1\nnum_iterations = 9")

    report = benchmark(model, engines=["toy"])

    assert report.settings["tie"] == 0.1
    assert f"settings from {file}: tie" in report.notes  # the context had its own iterations


def test_a_setting_prints_the_report(
    place: Place, toys: FakeSite, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark(model, engines=["toy"])
    assert capsys.readouterr().out == ""
    place.write("[outputs]\nprint_report = true")

    benchmark(model, engines=["toy"])

    assert "Toy" in capsys.readouterr().out


def test_outputs_are_not_judged_if_validation_is_off(
    place: Place, toys: FakeSite, model: Path
) -> None:
    wrong = EngineChoice("toy", {"fault": "wrong"}, label="wrong")
    assert benchmark(model, engines=["toy", wrong])["wrong"].parity.status == "fail"

    row = benchmark(model, engines=["toy", wrong], validation=False)["wrong"]

    assert row.parity.status == "not_judged"
    assert "validation is turned off" in row.parity.reason


# -- the command -------------------------------------------------------------------


def command(*arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    status = run(["benchmark", *arguments, "--format", "json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


INPUTS = ("--input", "x=float32[2,3]")


def test_settings_without_an_option_come_from_the_environment_and_files(
    place: Place, toys: FakeSite, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("""
        [benchmarks]
        engines = ["toy"]
        num_iterations = 6
        warm_up_seconds = 0.01
        isolation = "none"
        canary = false
        tie = 0.1
        seed = 11
        [outputs]
        print_report = true
    """)
    place.setenv("LEXER_TIE", "20%")

    document = command(str(model), *INPUTS, "--iterations", "4", capsys=capsys)

    assert [row["num_samples"] for row in document["results"]] == [4]
    assert document["settings"]["tie"] == 0.2
    assert document["settings"]["seed"] == document["seed"] == 11


def test_the_recorded_command_reproduces_the_settings_without_the_file(
    place: Place, toys: FakeSite, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.write("""
        [benchmarks]
        engines = ["toy", "b=toy[work=2]"]
        num_iterations = 4
        warm_up_seconds = 0.01
        isolation = "none"
        canary = false
        [exports]
        use_cache = false
    """)
    first = command(str(model), *INPUTS, capsys=capsys)
    file.unlink()

    words = shlex.split(first["command"])
    again = command(*words[2:], capsys=capsys)

    assert again["settings"] == first["settings"]
    assert again["command"] == first["command"]
    assert [row["label"] for row in again["results"]] == ["toy", "b"]


def test_an_option_overrides_a_file(
    place: Place, toys: FakeSite, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("[benchmarks]\nisolation = 'none'\nwarm_up_seconds = 0.01\ncanary = false")
    place.write("[exports]\nuse_cache = false", below=place.home)
    basics = (str(model), *INPUTS, "--engine", "toy", "--iterations", "4")
    assert command(*basics, capsys=capsys)["settings"]["use_cache"] is False

    assert command(*basics, "--cache", capsys=capsys)["settings"]["use_cache"] is True


def test_the_failure_of_an_engine_that_a_file_names_fails_the_command(
    place: Place, toys: FakeSite, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("""
        [benchmarks]
        engines = ["toy", "bad=toy[fault=raise_in_load]"]
        num_iterations = 4
        warm_up_seconds = 0.01
        isolation = "none"
        canary = false
    """)

    assert run(["benchmark", str(model), *INPUTS]) == ENGINE_FAILED


def test_a_mistake_in_a_file_is_found_before_the_model_is_loaded(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("raise RuntimeError('loaded')", "net.py")
    place.write("[benchmarks]\nthread = 1")

    assert run(["benchmark", "net.py:Net", *INPUTS]) == 2
    assert "unknown key 'thread'" in capsys.readouterr().err
