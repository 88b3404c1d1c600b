"""``lexer config``: what holds here, and a file to begin with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from fake_engines import NUMPY_ENGINE, FakeSite

from lexer_core import LexerContext
from lexer_core.cli.main import run
from lexer_core.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from settings_place import Place


@pytest.fixture
def affine(tmp_path: Path) -> Iterator[None]:
    site = FakeSite(tmp_path / "site")
    site.add_engine("affine", NUMPY_ENGINE)
    with site.on_path():
        yield


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert run(["config", "show", "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


# -- show --------------------------------------------------------------------------


def test_every_setting_is_shown_with_its_value_and_its_place(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.write("[benchmarks]\nthreads = 2\n[exports]\nexporter = 'torchscript'")
    place.setenv("LEXER_TIE", "5%")

    assert run(["config", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()

    rows = {words[0]: words[1:] for words in map(str.split, lines) if len(words) > 2}
    assert set(attrs.fields_dict(Settings)) <= set(rows)
    assert rows["threads"] == ["2", f"{file},", "line", "2"]
    assert rows["exporter"] == ['"torchscript"', f"{file},", "line", "4"]
    assert rows["tie"] == ["0.05", "LEXER_TIE"]
    assert rows["launches"] == ["1", "default"]
    assert f"  {file}" in lines


def test_the_json_has_what_the_table_has(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    file = place.write("[benchmarks]\nengines = ['torch', 'a=onnxruntime[x=1]']")

    document = shown(capsys)

    settings = {entry["name"]: entry for entry in document["settings"]}
    assert list(settings) == list(attrs.fields_dict(Settings))
    assert settings["engines"] == {
        "name": "engines",
        "section": "benchmarks",
        "value": ["torch", "a=onnxruntime[x=1]"],
        "default": None,
        "place": str(file),
        "line": 2,
    }
    assert settings["tie"]["place"] == "default"
    assert document["files"][0] == {"kind": "project", "path": str(file), "exists": True}
    assert document["files"][-1]["exists"] is False


def test_what_is_shown_is_what_a_benchmark_would_use(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.write("[benchmarks]\nthreads = 2")
    place.setenv("LEXER_ROUNDS", 7)

    values = {entry["name"]: entry["value"] for entry in shown(capsys)["settings"]}

    expected = LexerContext().configuration().settings.to_dict()
    assert values == {**expected, "seed": 0}  # the command's own: it makes inputs as well


def test_options_of_an_engine_are_shown_and_checked(
    place: Place, affine: None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.write("[engines.affine]\nenabled = false\ntile = 8\n[engines.elsewhere]\nx = 1")
    document = shown(capsys)
    assert [(entry["key"], entry["value"], entry["line"]) for entry in document["engines"]] == [
        ("enabled", False, 2),
        ("tile", 8, 3),
        ("x", 1, 5),
    ]
    assert "engine 'elsewhere'" in document["notes"][0]

    place.write("[engines.affine]\ntiles = 8")
    assert run(["config", "show"]) == 2
    said = capsys.readouterr().err

    assert f"engine 'affine' has no option 'tiles', set in {file}, line 2" in said
    assert "Did you mean 'tile'" in said


def test_it_says_so_where_no_file_is_read(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.write("[benchmarks]\nthreads = 2")
    place.setenv("LEXER_NO_CONFIG", 1)

    assert run(["config", "show"]) == 0
    assert "none: LEXER_NO_CONFIG is set" in capsys.readouterr().out


def test_a_mistake_in_a_file_ends_with_status_2_and_no_traceback(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.write("[benchmarks]\nthread = 1")

    assert run(["config", "show"]) == 2
    assert capsys.readouterr().err.startswith(f"Error: {file}, line 2: unknown key 'thread'")


# -- init --------------------------------------------------------------------------


def test_a_new_file_has_every_setting_and_changes_nothing(place: Place) -> None:
    assert run(["config", "init"]) == 0

    text = (place.project / ".lexer_config.toml").read_text(encoding="utf-8")
    assert LexerContext().configuration().settings == Settings()
    for setting in attrs.fields(Settings):
        assert re.search(rf"^#{setting.name} = ", text, re.MULTILINE)
        assert setting.metadata["help"].split()[0] in text


def test_a_new_file_holds_the_defaults_once_its_lines_are_taken_in(place: Place) -> None:
    run(["config", "init"])
    file = place.project / ".lexer_config.toml"
    text = re.sub(r"^#(?=\w+ = |\[)", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    file.write_text(text, encoding="utf-8")

    configuration = LexerContext().configuration()

    assert set(tomllib.loads(text)["engines"]) == {"onnxruntime"}
    for setting in attrs.fields(Settings):
        assert configuration.setting_origins[setting.name].name == str(file)
        value = getattr(configuration.settings, setting.name)
        # Where there is no default there is an example.
        assert value == setting.default if setting.default is not None else value is not None


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    file = place.write("[benchmarks]\nthreads = 2")

    assert run(["config", "init"]) == 2
    assert "--force" in capsys.readouterr().err
    assert "threads = 2" in file.read_text(encoding="utf-8")

    assert run(["config", "init", "--force"]) == 0
    assert "\n#threads = " in file.read_text(encoding="utf-8")


def test_a_file_is_written_where_it_was_asked_for(place: Place) -> None:
    (place.project / "folder").mkdir()

    assert run(["config", "init", "--global"]) == 0
    assert run(["config", "init", "folder"]) == 0
    assert run(["config", "init", "folder/other.toml"]) == 0

    assert (place.home / ".lexer_config.toml").is_file()
    assert sorted(path.name for path in (place.project / "folder").iterdir()) == [
        ".lexer_config.toml",
        "other.toml",
    ]


@pytest.mark.parametrize("arguments", [["--global", "folder"], ["missing/folder"]])
def test_a_place_that_cannot_be_is_refused(place: Place, arguments: list[str]) -> None:
    assert run(["config", "init", *arguments]) == 2


def test_help_reads_no_file_and_imports_no_runtime(place: Place) -> None:
    place.write("this is no TOML")
    code = (
        "import sys\n"
        "from lexer_core.cli.main import run\n"
        "status = run(['config', 'show', '--help']) or run(['benchmark', '--help'])\n"
        "sys.exit(status or bool({'numpy', 'torch', 'tomllib', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
