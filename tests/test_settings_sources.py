"""Do the call, the decorator, the context, the environment and files set settings?"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import pytest

from lexer_core import EngineChoice, Lexer, LexerContext
from lexer_core.errors import SettingError
from lexer_core.settings.table import Settings
from lexer_core.settings.toml_lines import key_lines
from lexer_core.settings.values import to_toml

if TYPE_CHECKING:
    from settings_place import Place


def settings(**call: object) -> Settings:
    return LexerContext().configuration(**call).settings


def where(name: str, **call: object) -> str:
    return str(LexerContext().configuration(**call).setting_origins[name])


def refused(**call: object) -> str:
    with pytest.raises(SettingError) as caught:
        LexerContext().configuration(**call)
    return str(caught.value)


# -- layers ------------------------------------------------------------------------


def test_each_layer_is_stronger_than_the_next(place: Place) -> None:
    @Lexer(["x"], ["y"], max_seconds=2)
    class Net: ...

    context = LexerContext(max_seconds=3)
    named = place.home / "named"
    files = [
        place.write("[benchmarks]\nmax_seconds = 5", below=named),
        place.write("[benchmarks]\nmax_seconds = 6"),
        place.write("[tool.lexer.benchmarks]\nmax_seconds = 7", "pyproject.toml"),
        place.write("[benchmarks]\nmax_seconds = 8", below=place.home),
    ]
    place.setenv("LEXER_CONFIG_PATH", named)
    place.setenv("LEXER_MAX_SECONDS", 4)

    seen = [context.configuration(Net(), max_seconds=1), context.configuration(Net())]
    seen += [context.configuration(), LexerContext().configuration()]
    place.monkeypatch.delenv("LEXER_MAX_SECONDS")
    for file in files:
        seen.append(LexerContext().configuration())
        file.unlink()
    seen.append(LexerContext().configuration())

    assert [each.settings.max_seconds for each in seen] == [1, 2, 3, 4, 5, 6, 7, 8, 30]
    assert [str(each.setting_origins["max_seconds"]) for each in seen] == [
        "the call",
        "@Lexer",
        "LexerContext",
        "LEXER_MAX_SECONDS",
        *(f"{file}, line 2" for file in files),
        "default",
    ]


def test_a_value_that_a_layer_does_not_set_comes_from_the_next(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 2\nrounds = 7")
    place.write("[benchmarks]\nthreads = 3\n[exports]\nopset = 18", below=place.home)
    place.setenv("LEXER_ROUNDS", 9)

    holding = settings(threads=None)

    assert (holding.threads, holding.rounds, holding.opset) == (2, 9, 18)


def test_files_are_read_on_use_and_not_at_import(place: Place) -> None:
    place.write("this is no TOML")

    @Lexer(["x"], ["y"], threads=1)
    class Net: ...

    context = LexerContext(threads=2)

    with pytest.raises(SettingError):
        context.configuration(Net())


def test_settings_from_outside_the_program_are_noted(place: Place) -> None:
    file = place.write("[benchmarks]\nthreads = 2\nrounds = 7\n[engines.toy]\nwork = 2")
    place.setenv("LEXER_TIE", "5%")

    configuration = LexerContext().configuration(rounds=3)

    assert set(configuration.origin_notes) == {
        f"settings from {file}: threads, work of toy",
        "settings from LEXER_TIE: tie",
    }


def test_the_environment_can_disable_files(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 2")
    place.setenv("LEXER_NO_CONFIG", 1)
    place.setenv("LEXER_ROUNDS", 9)

    assert settings() == attrs.evolve(Settings(), rounds=9)


# -- which files -------------------------------------------------------------------


def test_the_nearest_file_of_the_project_applies(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 2\nrounds = 9")
    place.chdir(place.project / "a" / "b")
    assert settings().threads == 2

    place.write("[benchmarks]\nthreads = 3", "a/.lexer_config.toml")

    assert (settings().threads, settings().rounds) == (3, None)


def test_files_above_the_repository_are_not_read(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 2")
    inner = place.project / "inner"
    (inner / ".git").mkdir(parents=True)
    place.chdir(inner / "src")

    assert settings().threads is None


def test_without_a_repository_a_project_ends_at_its_pyproject(place: Place) -> None:
    (place.project / ".git").rmdir()
    place.write("[benchmarks]\nthreads = 2")
    place.write("[project]\nname = 'inner'", "inner/pyproject.toml")
    place.write("[benchmarks]\nrounds = 5", "inner/.lexer_config.toml")
    place.chdir(place.project / "inner" / "src")

    assert (settings().threads, settings().rounds) == (None, 5)


def test_outside_a_project_only_the_current_folder_is_searched(place: Place) -> None:
    (place.project / ".git").rmdir()
    place.write("[benchmarks]\nthreads = 2")
    assert settings().threads == 2

    place.chdir(place.project / "below")

    assert settings().threads is None


def test_a_home_folder_that_is_a_repository_is_not_a_project(place: Place) -> None:
    (place.project / ".git").rmdir()
    (place.home / ".git").mkdir()
    place.write("[benchmarks]\nthreads = 2", below=place.home)
    place.write("[tool.lexer.benchmarks]\nrounds = 2", "pyproject.toml", below=place.home)

    assert (settings().threads, settings().rounds) == (2, None)
    assert [file.kind for file in files_here()] == ["home"]


def files_here() -> tuple[object, ...]:
    from lexer_core.settings.sources import read_sources

    return read_sources().files


def test_a_current_folder_that_was_removed_has_no_project(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 2", below=place.home)
    place.chdir(place.home / "gone")
    (place.home / "gone").rmdir()

    assert settings().threads == 2


def test_a_file_is_read_once_and_where_it_is_strongest(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 2", below=place.home)
    place.setenv("LEXER_CONFIG_PATH", "~")

    assert settings().threads == 2
    assert [file.kind for file in files_here()] == ["LEXER_CONFIG_PATH"]


def test_of_several_pyprojects_the_nearest_with_a_lexer_table_applies(place: Place) -> None:
    place.write("[tool.lexer.benchmarks]\nthreads = 2", "pyproject.toml")
    place.write("[project]\nname = 'part'", "part/pyproject.toml")
    place.chdir(place.project / "part")
    assert settings().threads == 2

    place.write("[tool.lexer]\nbenchmarks.rounds = 3", "part/pyproject.toml")

    assert (settings().threads, settings().rounds) == (None, 3)


def test_a_named_folder_without_a_file_is_noted(place: Place) -> None:
    place.setenv("LEXER_CONFIG_PATH", place.home)

    (note,) = LexerContext().configuration().notes

    assert "LEXER_CONFIG_PATH" in note
    assert str(place.home) in note


@pytest.mark.parametrize(("named", "words"), [("nowhere", "not exist"), ("a_file", "is a file")])
def test_a_config_path_that_is_not_a_folder_is_rejected(
    place: Place, named: str, words: str
) -> None:
    place.write("[benchmarks]", "a_file")
    place.setenv("LEXER_CONFIG_PATH", place.project / named)

    text = refused()

    assert words in text
    assert named in text


# -- what a file says --------------------------------------------------------------


def test_every_section_and_kind_of_value_is_read(place: Place) -> None:
    place.write("""
        [benchmarks]
        engines = ["torch", "plain=onnxruntime[graph_optimization_level=basic]"]
        device = "cuda:0"
        margin = 0.02
        max_seconds = 20
        [exports]
        exporter = "torchscript"
        onnx_checks = false
        [outputs]
        print_report = true
    """)

    holding = settings()

    assert holding.engines == (
        EngineChoice("torch"),
        EngineChoice("onnxruntime", {"graph_optimization_level": "basic"}, "plain"),
    )
    assert (holding.device, holding.margin, holding.max_seconds) == ("cuda:0", 0.02, 20.0)
    assert (holding.exporter, holding.onnx_checks, holding.print_report) == (
        "torchscript",
        False,
        True,
    )


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[benchmarks]\n\nthread = 1", 3, ["'thread'", "[benchmarks]", "Did you mean 'threads'"]),
        ("[benchmark]\nthreads = 1", 1, ["[benchmark]", "Did you mean 'benchmarks'"]),
        ("threads = 1", 1, ["'threads' must be inside a section", "[benchmarks]"]),
        ("thread = 1", 1, ["[thread]", "Did you mean 'threads'"]),
        ("[exports]\nthreads = 1", 2, ["'threads' does not belong", "[exports]", "[benchmarks]"]),
        ("[exports]\nenable_csv = true", 2, ["does not belong", "[outputs]"]),
        ("benchmarks = 1", 1, ["'benchmarks' must be a section"]),
        ("[benchmarks]\n# a\nthreads = 'two'", 3, ["'threads'", "'two'", "whole number"]),
        ("[benchmarks]\nthreads = 0", 2, ["'threads'", "at least 1"]),
        ("[benchmarks]\nthreads = true", 2, ["whole number"]),
        ("[benchmarks]\nmargin = 1.5", 2, ["at most 1"]),
        ("[benchmarks]\nengines = []", 2, ["'engines'", "empty"]),
        ("[benchmarks]\nengines = ['torch', 3]", 2, ["'engines'", "3"]),
        ("[benchmarks]\nengines = ['torch[a']", 2, ["'torch[a'", "NAME[option=value"]),
        ("[benchmarks]\nengines = 3", 2, ["'engines'", "list of engines"]),
        ("[exports]\nexporter = 'dynamic'", 2, ["'exporter'", "Did you mean 'dynamo'"]),
        ("[exports]\nenable_onnx_checks = 1", 2, ["'enable_onnx_checks'", "true or false"]),
        ("[exports]\nbatch_size = 'one'", 2, ["'batch_size'", "whole number"]),
        ("[exports]\nbatch_size = 0", 2, ["'batch_size'", "at least 1"]),
        ("[engines]\nenabled = true", 2, ["'enabled'", "[engines.onnxruntime]"]),
        ("[engines.toy]\nwork = [1]", 2, ["'work'", "[engines.toy]"]),
        ("[engines.toy]\nenabled = 1", 2, ["'enabled'", "true or false"]),
        ("engines = 3", 1, ["'engines' must be a section"]),
        ("[benchmarks]\nthreads = ", 2, ["not valid TOML"]),
        ("[benchmarks]\nthreads = 1\nthreads = 2", 3, ["not valid TOML"]),
        ("[benchmarks]\n\nengines = [", 3, ["not valid TOML"]),
    ],
)
def test_a_mistake_names_file_line_key_and_a_suggestion(
    place: Place,
    text: str,
    line: int,
    words: list[str],
) -> None:
    file = place.write(text)

    said = refused()

    assert f"{file}, line {line}" in said
    for word in words:
        assert word in said


def test_a_mistake_in_a_pyproject_names_its_line_and_section(place: Place) -> None:
    file = place.write(
        """
        [project]
        description = '''
        [tool.lexer.benchmarks]
        thread = 0
        '''
        [tool.lexer.benchmarks]
        thread = 1
        """,
        "pyproject.toml",
    )

    said = refused()

    assert f"{file}, line 8: unknown key 'thread' in [tool.lexer.benchmarks]" in said


def test_a_wrong_value_is_an_error_even_if_a_stronger_layer_overrides_it(place: Place) -> None:
    place.write("[benchmarks]\nthreads = 0")

    assert "line 2" in refused(threads=4)


def test_a_setting_under_two_names_is_rejected(place: Place) -> None:
    place.write("[exports]\nonnx_checks = true\nenable_onnx_checks = false")
    assert "'enable_onnx_checks' and 'onnx_checks' are both set" in refused()

    place.write("[benchmarks]\nenable_pytorch = true\n[engines.torch]\nenabled = false")
    assert "line 4" in refused()


def test_an_unreadable_file_is_an_error_with_the_reason(place: Place) -> None:
    (place.project / ".lexer_config.toml").mkdir()
    assert "directory" in refused()

    place.chdir(place.project / "sub")
    file = place.write("", "sub/.lexer_config.toml")
    file.write_bytes(b"[benchmarks]\n# caf\xe9\n")
    assert f"{file}, line 2: the file is not valid UTF-8" in refused()


def test_a_broken_link_is_an_error(place: Place) -> None:
    (place.project / ".lexer_config.toml").symlink_to("gone.toml")

    assert "cannot read" in refused()


def test_a_byte_order_mark_and_windows_lines_are_understood(place: Place) -> None:
    file = place.write("")
    file.write_bytes(b"\xef\xbb\xbf[benchmarks]\r\nthreads = 2\r\nrounds = 3\r\n")

    assert (settings().threads, settings().rounds) == (2, 3)
    assert where("rounds") == f"{file}, line 3"


def test_an_empty_file_sets_nothing(place: Place) -> None:
    place.write("")

    assert settings() == Settings()


def test_lines_of_keys_are_found_in_every_form_of_toml() -> None:
    text = dedent_lines(
        'title = "a"  # 1',
        "",
        "# comment",
        "[benchmarks]",
        "engines = [",
        '  "torch", # x = 1',
        '  "a = b",',
        "]",
        'note = """',
        "[exports]",
        'threads = 9"""',
        "threads = 1",
        'quoted."a.b" = 2',
        "inline = { x = 1, y = { z = 2 } }",
        "[engines . 'onnx runtime']",
        "level = 'all'",
        "[[many]]",
        "a = 1",
        "[[many]]",
        "a = 2",
        "[many.below]",
        "b = 1",
    )
    assert tomllib.loads(text)

    lines = key_lines(text)

    assert lines == {
        ("title",): 1,
        ("benchmarks",): 4,
        ("benchmarks", "engines"): 5,
        ("benchmarks", "note"): 9,
        ("benchmarks", "threads"): 12,
        ("benchmarks", "quoted"): 13,
        ("benchmarks", "quoted", "a.b"): 13,
        ("benchmarks", "inline"): 14,
        ("benchmarks", "inline", "x"): 14,
        ("benchmarks", "inline", "y"): 14,
        ("benchmarks", "inline", "y", "z"): 14,
        ("engines",): 15,
        ("engines", "onnx runtime"): 15,
        ("engines", "onnx runtime", "level"): 16,
        ("many",): 17,
        ("many", "0"): 17,
        ("many", "0", "a"): 18,
        ("many", "1"): 19,
        ("many", "1", "a"): 20,
        ("many", "1", "below"): 21,
        ("many", "1", "below", "b"): 22,
    }


def dedent_lines(*lines: str) -> str:
    return "\n".join(lines)


# -- the environment ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("LEXER_THREADS", " 2 ", 2),
        ("LEXER_MAX_SECONDS", "1e1", 10.0),
        ("LEXER_MARGIN", "2%", 0.02),
        ("LEXER_TIE", "0.05", 0.05),
        ("LEXER_ISOLATION", "none", "none"),
        ("LEXER_USE_CACHE", "False", False),
        ("LEXER_USE_CACHE", "on", True),
        ("LEXER_DEVICE", "cuda:1", "cuda:1"),
        ("LEXER_THREADS", "", None),
    ],
)
def test_the_text_of_a_variable_is_converted(
    place: Place,
    variable: str,
    text: str,
    value: object,
) -> None:
    place.setenv(variable, text)

    assert getattr(settings(), variable.removeprefix("LEXER_").lower()) == value


def test_every_setting_can_be_set_by_its_variable(place: Place) -> None:
    others = {
        "device": "cuda:0",
        "isolation": "none",
        "exporter": "torchscript",
        "preset": "quick",
        "margin": 0.03,
    }
    for setting in attrs.fields(Settings):
        example = tomllib.loads(f"value = {setting.metadata['example'] or 'true'}")["value"]
        if isinstance(setting.default, bool):
            example = not setting.default
        example = others.get(setting.name, example)
        text = ",".join(example) if isinstance(example, list) else to_toml(example).strip('"')
        place.setenv(f"LEXER_{setting.name.upper()}", text)

    configuration = LexerContext().configuration()

    for setting in attrs.fields(Settings):
        assert str(configuration.setting_origins[setting.name]) == f"LEXER_{setting.name.upper()}"
        assert getattr(configuration.settings, setting.name) != setting.default


def test_engines_are_split_at_the_commas_between_them(place: Place) -> None:
    place.setenv("LEXER_ENGINES", 'torch, b=onnxruntime[x=1,y="a],b"] ,onnxruntime')

    assert settings().engines == (
        EngineChoice("torch"),
        EngineChoice("onnxruntime", {"x": "1", "y": "a],b"}, "b"),
        EngineChoice("onnxruntime"),
    )


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("LEXER_THREADS", "two", ["'two'", "whole number"]),
        ("LEXER_THREADS", "0", ["at least 1"]),
        ("LEXER_MARGIN", "200%", ["at most 1"]),
        ("LEXER_USE_CACHE", "maybe", ["'maybe'", "true or false"]),
        ("LEXER_ISOLATION", "proces", ["Did you mean 'process'"]),
        ("LEXER_ENGINES", "torch[a", ["'torch[a'"]),
        ("LEXER_ENGINES", ",", ["empty"]),
        ("LEXER_THREAD", "2", ["Did you mean LEXER_THREADS"]),
        ("LEXER_CACHE_DIRECTORY", "x", ["Did you mean LEXER_CACHE_DIR"]),
        ("LEXER_CONFIGPATH", "x", ["Did you mean LEXER_CONFIG_PATH"]),
    ],
)
def test_an_error_names_the_variable(
    place: Place,
    variable: str,
    text: str,
    words: list[str],
) -> None:
    place.setenv(variable, text)

    said = refused()

    assert variable in said
    for word in words:
        assert word in said


def test_a_variable_of_another_program_is_ignored_with_a_note(place: Place) -> None:
    place.setenv("LEXER_GRAMMAR", "antlr")
    place.setenv("LEXER_CACHE_DIR", place.home)

    (note,) = LexerContext().configuration().notes

    assert "LEXER_GRAMMAR" in note


# -- tests of others ---------------------------------------------------------------


def test_the_tests_ignore_the_settings_of_the_user_who_runs_them(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    home = tmp_path / "home"
    home.mkdir()
    (home / ".lexer_config.toml").write_text("[benchmarks]\nthread = 0\n", encoding="utf-8")

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/test_settings_table.py",
        ],
        cwd=root,
        env={**os.environ, "HOME": str(home), "LEXER_NO_CONFIG": "", "LEXER_THREADS": "none"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
