"""Does a plugin that cannot be imported safely cost only its own engine?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fake_engines import MINIMAL_ENGINE, NUMPY_ENGINE, FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import LexerContext
from lexer_core.engines import descriptions
from lexer_core.engines.registry import EngineRegistry, EngineState

POSIX_ONLY = pytest.mark.skipif(sys.platform == "win32", reason="not on Windows")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setenv("LEXER_CACHE_DIR", str(tmp_path / "cache"))
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


@pytest.fixture
def answers(tmp_path):
    """Where the answers of plugins are remembered."""
    return tmp_path / "cache" / "engines"


def lexer(site, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "lexer_core", *arguments],
        env=site.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **options,
    )


def listed(site):
    result = lexer(site, "engines", "list", "--json")
    assert result.returncode == 0, result.stderr
    return {engine["name"]: engine for engine in json.loads(result.stdout)["engines"]}


def counted(site, name, counter, **options):
    """Install an engine whose module leaves a mark each time that it is imported."""
    source = f"open({str(counter)!r}, 'a').write('x')\n{MINIMAL_ENGINE}"
    return site.folder / f"{site.add_engine(name, source, **options)}.py"


HOSTILE = {
    "crashes": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
        "importing it ends the process: killed by SIGSEGV",
    ),
    "exits": ("import sys\nsys.exit(3)", "SystemExit: 3"),
    "exits at once": ("import os\nos._exit(0)", "importing it ends the process"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "removes all modules": (
        f"import sys\nsys.modules.clear()\n{MINIMAL_ENGINE}",
        "from sys.modules",
    ),
    "removes all modules and fails": (
        "import sys\nsys.modules.clear()\nsys.path.clear()\nsys.meta_path.clear()\n1 / 0",
        "from sys.modules; removes entries from sys.path; removes finders from sys.meta_path",
    ),
    "empties sys.path": (
        f"import sys\nsys.path.clear()\n{MINIMAL_ENGINE}",
        "importing it removes entries from sys.path",
    ),
    "removes the finders": (
        f"{MINIMAL_ENGINE}\nimport sys\nsys.meta_path.clear()",
        "importing it removes finders from sys.meta_path",
    ),
    "patches the clock": (
        f"import time\ntime.perf_counter_ns = lambda: 0\n{MINIMAL_ENGINE}",
        "importing it replaces time.perf_counter_ns",
    ),
    "patches numpy": (
        f"import numpy\nnumpy.allclose = lambda *_: True\n{MINIMAL_ENGINE}",
        "importing it replaces numpy.allclose",
    ),
    "patches a class": (
        f"import subprocess\nsubprocess.Popen.wait = lambda *_: 0\n{MINIMAL_ENGINE}",
        "importing it replaces subprocess.Popen.wait",
    ),
    "patches when asked": (
        MINIMAL_ENGINE.replace(
            "    return EngineInfo(",
            "    import json\n    json.loads = None\n    return EngineInfo(",
        ),
        "importing it replaces json.loads",
    ),
    "limits the files": (
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n" + MINIMAL_ENGINE,
        "importing it sets RLIMIT_NOFILE",
    ),
}


@POSIX_ONLY
def test_each_hostile_plugin_is_broken_and_the_others_are_ready(site):
    for number, (source, _) in enumerate(HOSTILE.values()):
        site.add_engine(f"hostile-{number}", source)
    site.add_engine("a-first")
    site.add_engine("z-last", NUMPY_ENGINE)

    engines = listed(site)

    reasons = [engines[f"hostile-{number}"]["reason"] for number in range(len(HOSTILE))]
    for (_, expected), reason in zip(HOSTILE.values(), reasons, strict=True):
        assert expected in reason
    assert {engines[f"hostile-{number}"]["state"] for number in range(len(HOSTILE))} == {"broken"}
    assert engines["a-first"]["state"] == engines["z-last"]["state"] == "ready"
    assert engines["hostile-0"]["remedy"] == "pip install --upgrade lexer-hostile-0"


@POSIX_ONLY
def test_the_details_of_a_crash_are_shown_on_request(site):
    module = site.add_engine("crashing", HOSTILE["crashes"][0])

    listing = lexer(site, "engines", "list")
    shown = lexer(site, "engines", "show", "crashing")

    assert listing.stderr == ""
    assert "Segmentation fault" in shown.stdout
    assert f"{module}.py" in shown.stdout


def test_a_plugin_that_does_not_return_is_broken(site, monkeypatch):
    monkeypatch.setattr(descriptions, "_SECONDS", 1.0)
    site.add_engine("a-first")
    site.add_engine("looping", "while True: pass")
    site.add_engine("z-last")
    registry = EngineRegistry()

    states = {each.name: each.state for each in registry.listings()}

    assert states["looping"] is EngineState.BROKEN
    assert "importing it does not finish within 1 s" in registry.listing("looping").reason
    assert states["a-first"] is states["z-last"] is EngineState.READY


def test_a_plugin_is_not_blamed_for_one_that_was_imported_before_it(site):
    site.add_engine("a-late", f"import lexer_core.records as r\nr._CPU = None\n{MINIMAL_ENGINE}")
    hidden = "import sys\nif hasattr(sys.modules['lexer_core.records'], '_CPU'): raise OSError\n"
    site.add_engine("b-innocent", hidden + MINIMAL_ENGINE)

    states = {each.name: each.state for each in EngineRegistry().listings()}

    assert states["b-innocent"] is EngineState.READY


def test_a_plugin_is_not_blamed_for_what_its_libraries_replace(site):
    site.add_module("a_library", "import inspect\ndef getfile(): pass\ninspect.getfile = getfile\n")
    site.add_engine("careless", f"import a_library\n{MINIMAL_ENGINE}")

    assert EngineRegistry().listing("careless").state is EngineState.READY


def test_a_listing_imports_no_plugin_into_this_process(site):
    module = site.add_engine("good")
    registry = EngineRegistry()

    assert registry.listing("good").state is EngineState.READY
    assert registry.ready_listing("good").info.display_name == "Echo"
    assert module not in sys.modules


def test_a_benchmark_runs_next_to_hostile_plugins_and_imports_none(site, tmp_path):
    module = site.add_engine("toy", TOY_ENGINE)
    site.add_engine("crashing", HOSTILE["crashes"][0])
    inputs = np.arange(6, dtype=np.float32).reshape(2, 3)

    report = LexerContext().benchmark(
        write_toy_model(tmp_path),
        inputs,
        engines=["toy", "crashing"],
        num_iterations=20,
        warm_up_seconds=0.05,
        canary=False,
    )

    good, bad = report
    assert (good.status, bad.status) == ("ok", "failed")
    assert "importing it ends the process" in bad.error.reason
    assert module not in sys.modules


# -- names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("--help", "--help"),
        ("../..", "../.."),
        ("<b>bold</b>", "<b>bold</b>"),
        ("a[b]", "a[b]"),
        ("red\x1b[31m", r"red\x1b[31m"),
        ("n" * 65, "n" * 63 + "…"),
    ],
)
def test_an_engine_whose_name_cannot_be_written_is_broken(site, name, shown):
    site.add_engine(name, distribution="lexer-odd")
    registry = EngineRegistry()

    listing = next(each for each in registry.listings() if each.distribution == "lexer-odd 1.0")

    assert listing.name == shown
    assert listing.state is EngineState.BROKEN
    assert "its name" in listing.reason
    assert name not in registry.names()


def test_an_engine_without_a_name_is_broken(site):
    site.add_distribution("lexer-nameless", entry_points="[lexer.engines]\n = os\n")

    listing = next(each for each in EngineRegistry().listings() if not each.name)

    assert listing.state is EngineState.BROKEN


def test_text_that_cannot_be_printed_is_escaped(site):
    source = MINIMAL_ENGINE.replace('"Echo"', r'"Echo \udce9 \x1b[31m"')
    site.add_engine("odd", source)
    folder = site.add_distribution("lexer-other", entry_points="[lexer.engines]\nother = gone\n")
    (folder / "METADATA").write_bytes(b"Name: lexer-\xff\nVersion: 1\x1b\n\n")

    result = lexer(site, "engines", "list")

    assert result.returncode == 0, result.stderr
    assert r"Echo \udce9 \x1b[31m" in result.stdout
    assert r"1\x1b" in result.stdout
    assert "\x1b" not in result.stdout


@POSIX_ONLY
@pytest.mark.parametrize("file", ["METADATA", "entry_points.txt"])
def test_a_named_pipe_among_the_metadata_does_not_block(site, file):
    site.add_engine("good")
    folder = site.add_distribution("lexer-pipe", entry_points="[lexer.engines]\nx = y\n")
    (folder / file).unlink()
    os.mkfifo(folder / file)

    assert EngineRegistry(in_process=True).get("good").name == "good"


@POSIX_ONLY
def test_a_named_pipe_on_the_path_does_not_block(site, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.zip")
    monkeypatch.syspath_prepend(str(tmp_path / "pipe"))
    monkeypatch.syspath_prepend(str(tmp_path / "pipe.zip"))
    site.add_engine("good")

    assert EngineRegistry(in_process=True).get("good").name == "good"


# -- remembered answers --------------------------------------------------------------


def test_a_plugin_is_asked_once_until_its_files_change(site, tmp_path):
    counter = tmp_path / "imports"
    file = counted(site, "good", counter)

    assert EngineRegistry().listing("good").state is EngineState.READY
    assert EngineRegistry().listing("good").display_name == "Echo"
    assert counter.read_text() == "x"
    # Of another length: Python itself tells compiled files apart by second and size.
    file.write_text(file.read_text().replace('"Echo"', '"Another"'))
    assert EngineRegistry().listing("good").display_name == "Another"
    assert counter.read_text() == "xx"


def test_a_change_in_another_file_of_the_package_is_noticed(site):
    package = site.folder / "parted"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "engine.py").write_text(
        "from parted.title import TITLE\n" + MINIMAL_ENGINE.replace('"Echo"', "TITLE")
    )
    (package / "title.py").write_text("TITLE = 'One'\n")
    site.add_distribution("lexer-parted", entry_points="[lexer.engines]\np = parted.engine\n")

    assert EngineRegistry().listing("p").display_name == "One"
    # Again of another length.
    (package / "title.py").write_text("TITLE = 'Another'\n")
    assert EngineRegistry().listing("p").display_name == "Another"


def test_a_broken_plugin_is_ready_as_soon_as_it_is_fixed(site):
    file = site.folder / f"{site.add_engine('late', 'import a_helper')}.py"
    registry = EngineRegistry()
    assert "No module named 'a_helper'" in registry.listing("late").reason
    assert EngineRegistry().listing("late").details == registry.listing("late").details

    site.add_module("a_helper", "")
    assert "lexer_engine_info is missing" in EngineRegistry().listing("late").reason
    file.write_text(MINIMAL_ENGINE)
    assert EngineRegistry().listing("late").state is EngineState.READY


def test_another_version_of_the_distribution_is_asked_again(site, tmp_path):
    counter = tmp_path / "imports"
    counted(site, "good", counter)
    EngineRegistry().listings()
    info = site.folder / "lexer_good-1.0.dist-info"
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))

    assert EngineRegistry().listing("good").distribution == "lexer-good 1.1"
    assert counter.read_text() == "xx"


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"null",
        b'{"key": 1}',
        b"[" * 100_000,
        b'"' + b"x" * 9_000_000,
    ],
)
def test_a_rubbish_file_among_the_answers_is_replaced(site, answers, rubbish):
    site.add_engine("good")
    EngineRegistry().listings()
    file = next(answers.glob("good-*.json"))
    sound = file.read_bytes()
    file.write_bytes(rubbish)

    assert EngineRegistry().listing("good").state is EngineState.READY
    assert json.loads(file.read_bytes())["info"] == json.loads(sound)["info"]


@pytest.mark.parametrize(
    "change",
    [
        {"display_name": 7},
        {"formats": "onnx"},
        {"options": [{"name": "x"}]},
        {"options": 3},
        {"runs_by_default": "yes"},
    ],
)
def test_an_answer_that_is_not_a_description_is_replaced(site, answers, change):
    site.add_engine("good")
    EngineRegistry().listings()
    file = next(answers.glob("good-*.json"))
    document = json.loads(file.read_bytes())
    file.write_text(json.dumps({**document, "info": {**document["info"], **change}}))

    listing = EngineRegistry().listing("good")

    assert (listing.display_name, listing.info.formats) == ("Echo", ("echo",))
    assert json.loads(file.read_bytes())["info"] == document["info"]


@POSIX_ONLY
def test_a_pipe_or_a_folder_in_place_of_an_answer_does_no_harm(site, answers):
    site.add_engine("good")
    site.add_engine("other")
    EngineRegistry().listings()
    for name, make in (("good", os.mkfifo), ("other", Path.mkdir)):
        file = next(answers.glob(f"{name}-*.json"))
        file.unlink()
        make(file)

    registry = EngineRegistry()

    assert registry.listing("good").state is registry.listing("other").state is EngineState.READY


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("/dev/full")])
def test_a_cache_folder_that_cannot_be_written_is_done_without(site, tmp_path, make):
    make(tmp_path / "cache")
    site.add_engine("good")

    assert EngineRegistry().listing("good").state is EngineState.READY
    assert EngineRegistry().listing("good").state is EngineState.READY


def test_many_processes_share_a_cold_cache(site, answers):
    site.add_engine("good")
    site.add_engine("bad", "1 / 0")

    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda _: listed(site), range(4)))

    assert all(run == runs[0] for run in runs)
    assert runs[0]["good"]["state"] == "ready"
    assert not list(answers.glob(".*"))


# -- one name, two distributions -----------------------------------------------------


def test_the_list_names_both_distributions_of_one_name_and_how_to_fix_it(site):
    site.add_engine("twin", distribution="lexer-a")
    site.add_engine("twin", distribution="lexer-b")

    result = lexer(site, "engines", "list")

    assert "lexer-a 1.0 and lexer-b 1.0 both provide an engine of this name" in result.stdout
    assert "pip uninstall lexer-b" in result.stdout
    assert "pip uninstall lexer-a" in result.stdout


# -- runtime modules in packages -----------------------------------------------------


def test_a_runtime_may_be_a_module_of_a_namespace_package(site):
    (site.folder / "space" / "compiler").mkdir(parents=True)
    (site.folder / "space" / "compiler" / "__init__.py").write_text("1 / 0")
    source = MINIMAL_ENGINE.replace("runtime_modules=()", "runtime_modules=('space.runtime',)")
    source = source.replace("runtime_distributions=()", "runtime_distributions=('space-runtime',)")
    site.add_engine("spacy", source)
    before = EngineRegistry().listing("spacy")

    runtime = site.folder / "space" / "runtime"
    runtime.mkdir()
    (runtime / "__init__.py").write_text("")
    site.add_distribution("space-runtime")
    after = EngineRegistry().listing("spacy")

    assert before.state is EngineState.UNAVAILABLE
    assert before.reason == "module 'space.runtime' is not installed"
    assert before.remedy == "pip install space-runtime"
    assert after.state is EngineState.READY
    assert (after.version, after.runtime_distribution) == ("1.0", "space-runtime")
    assert "space" not in sys.modules
