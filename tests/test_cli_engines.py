"""What does ``lexer`` print, where, and with which exit status?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types

import click
import pytest
from fake_engines import MINIMAL_ENGINE, NUMPY_ENGINE, FakeSite

import lexer_core
from lexer_core.cli import main as cli
from lexer_core.errors import (
    BrokenEngineError,
    DeviceUnavailableError,
    ExportError,
    HookError,
    InputError,
    LexerError,
    ModelError,
    SettingError,
    UnknownEngineError,
)

NEEDS_A_RUNTIME = MINIMAL_ENGINE.replace(
    "runtime_modules=()", "runtime_modules=('no_such_runtime',)"
).replace("runtime_distributions=()", "runtime_distributions=('no-such-runtime',)")


def with_devices(body):
    return f"{MINIMAL_ENGINE}\n@hookimpl\ndef lexer_list_devices():\n    {body}\n"


@pytest.fixture
def site(tmp_path):
    with FakeSite(tmp_path / "site").on_path() as site:
        yield site


@pytest.fixture
def lexer(capfd):
    """Run a command line in this process: status, standard output, standard error."""

    def lexer(*arguments):
        status = cli.run(arguments)
        return status, *capfd.readouterr()

    return lexer


def lexer_process(site, *arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "lexer_core", *arguments],
        env=site.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


# -- list --------------------------------------------------------------------------


def test_the_list_shows_every_engine_and_below_it_what_mends_those_not_ready(site, lexer):
    site.add_engine("affine", NUMPY_ENGINE, version="2.1")
    site.add_engine("lacking", NEEDS_A_RUNTIME)
    site.add_engine("bad", "raise ValueError('oh no')")
    import numpy as np

    status, out, err = lexer("engines", "list")

    assert (status, err) == (0, "")
    table, *notes = out.split("\n\n")
    rows = {line.split()[0]: line.split() for line in table.splitlines()}
    assert rows["NAME"] == ["NAME", "ENGINE", "STATE", "DEFAULT", "VERSION", "RUNTIME", "PLUGIN"]
    assert rows["affine"][1:] == [
        "Affine",
        "ready",
        "yes",
        np.__version__,
        "numpy",
        "lexer-affine",
        "2.1",
    ]
    assert rows["lacking"][2:6] == ["unavailable", "yes", "-", "-"]
    assert rows["bad"][1:3] == ["bad", "broken"]
    below = "\n\n".join(notes)
    assert "bad is broken: ValueError: oh no" in below
    assert "\n  pip install --upgrade lexer-bad" in below
    assert "lacking is unavailable: module 'no_such_runtime' is not installed" in below
    assert "\n  pip install no-such-runtime" in below


def test_the_list_is_there_for_machines(site, lexer):
    site.add_engine("echo")
    site.add_engine("bad", "raise ValueError('oh no')")

    status, out, _ = lexer("engines", "list", "--json")

    document = json.loads(out)
    engines = {engine["name"]: engine for engine in document["engines"]}
    assert status == 0
    assert document["schema_version"] == 1
    assert document["lexer_version"] == lexer_core.__version__
    assert engines["echo"] == {
        "name": "echo",
        "display_name": "Echo",
        "state": "ready",
        "reason": "",
        "remedy": "",
        "version": None,
        "runtime_distribution": None,
        "plugin": "lexer-echo 1.0",
        "formats": ["echo"],
        "precisions": [],
        "concurrency": "none",
        "runs_by_default": True,
        "probe": None,
    }
    assert engines["bad"]["state"] == "broken"
    assert engines["bad"]["formats"] is None
    assert engines["bad"]["remedy"] == "pip install --upgrade lexer-bad"


def test_an_empty_environment_is_told_what_to_install(monkeypatch, lexer):
    monkeypatch.setattr(sys, "path", [])

    status, out, _ = lexer("engines", "list")

    assert status == 0
    assert "pip install lexer-torch lexer-ort" in out


def test_noise_of_plugins_never_reaches_the_json(site):
    noise = "import os\nprint('a')\nos.write(1, b'b')\nos.system('echo c')\n"
    site.add_engine("noisy", noise + MINIMAL_ENGINE + "\nprint('d')\n")

    done = lexer_process(site, "engines", "list", "--json")

    assert done.returncode == 0
    assert "noisy" in [engine["name"] for engine in json.loads(done.stdout)["engines"]]
    assert set("abcd") <= set(done.stderr.split() + list(done.stderr))


def test_listing_imports_no_runtime_and_nothing_heavy(site):
    site.add_engine("affine", NUMPY_ENGINE)
    code = (
        "import sys; from lexer_core.cli.main import run; status = run(['engines', 'list']);"
        "heavy = {'torch', 'onnxruntime', 'onnx', 'numpy', 'rich', 'scipy', 'importlib.metadata',"
        "         'psutil', 'difflib', 'asyncio'};"
        "print(status, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=site.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "affine" in done.stdout
    assert done.stderr.strip() == "0 []"


# -- probe -------------------------------------------------------------------------


def test_probing_adds_the_devices(site, lexer):
    site.add_engine("affine", NUMPY_ENGINE)
    site.add_engine("empty", with_devices("return []"))
    site.add_engine("lacking", NEEDS_A_RUNTIME)

    status, out, _ = lexer("engines", "list", "--probe")

    table = out.partition("\n\n")[0]
    rows = {line.split()[0]: line.split() for line in table.splitlines()}
    assert status == 0
    assert rows["NAME"][-1] == "DEVICES"
    assert rows["affine"][-1] == "cpu"
    assert rows["lacking"][-1] == "-"
    assert "empty is not usable: it has no usable device" in out


def test_a_probe_is_there_for_machines(site, lexer):
    site.add_engine(
        "npu",
        with_devices(
            "from lexer_core.records import Device; "
            "return [Device(kind='npu', index=1, description='a card')]"
        ),
    )

    _, out, _ = lexer("engines", "list", "--probe", "--json")

    engines = {engine["name"]: engine for engine in json.loads(out)["engines"]}
    probe = engines["npu"]["probe"]
    assert probe["usable"] is True
    assert probe["devices"] == [{"name": "npu:1", "label": "NPU", "description": "a card"}]
    assert probe["seconds"] > 0


TROUBLE = {
    "crashes": (
        "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
        "its process died: killed by SIGSEGV",
    ),
    "ends": ("import os; os._exit(7)", "its process died: exit code 7"),
    "raises": ("raise RuntimeError('no driver')", "lexer_list_devices raised RuntimeError: no dri"),
    "answers wrongly": ("return None", "lexer_list_devices returned nothing"),
    "exits": ("raise SystemExit(0)", "lexer_list_devices raised SystemExit"),
    "closes its files": (
        "import os; [os.close(fd) for fd in (0, 1, 2)]; return []",
        "it has no usable device",
    ),
}


@pytest.mark.parametrize(("body", "reason"), TROUBLE.values(), ids=TROUBLE)
def test_showing_an_engine_survives_one_that(body, reason, site, lexer):
    site.add_engine("trouble", with_devices(body))

    status, out, err = lexer("engines", "show", "trouble", "--json")

    probe = json.loads(out)["engine"]["probe"]
    assert (status, err) == (0, "")
    assert probe["usable"] is False
    assert reason in probe["reason"]


def test_showing_an_engine_gives_one_that_hangs_up_and_leaves_nothing_behind(site, lexer):
    pid_file = site.folder / "pid"
    site.add_engine(
        "hanging",
        with_devices(
            "import os, time; "
            f"open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        ),
    )

    status, out, _ = lexer("engines", "show", "hanging", "--timeout", "2")

    assert status == 0
    assert "no: no answer within 2 s" in out
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_showing_an_engine_whose_runtime_cannot_be_imported_says_why(site, lexer):
    site.add_module("fragile_runtime", "print('loading')\nraise ImportError('libgpu.so.1: gone')")
    site.add_engine(
        "fragile",
        MINIMAL_ENGINE.replace(
            "runtime_modules=()", "runtime_modules=('fragile_runtime',)"
        ).replace("runtime_distributions=()", "runtime_distributions=('fragile',)"),
    )

    _, out, _ = lexer("engines", "show", "fragile")

    assert "usable    no: ImportError: libgpu.so.1: gone" in out
    assert "\nloading" in out


# -- show --------------------------------------------------------------------------


def test_show_tells_all_about_one_engine(site, lexer):
    site.add_engine("affine", NUMPY_ENGINE)

    status, out, _ = lexer("engines", "show", "affine")

    lines = [line.strip() for line in out.splitlines()]
    assert status == 0
    assert lines[0] == "Affine (affine)"
    assert "state     ready" in lines
    assert "plugin    lexer-affine 1.0" in lines
    assert "formats   affine" in lines
    assert "devices   cpu" in lines
    assert any(line.startswith("usable    yes") for line in lines)
    assert "Options, used as --engine 'affine[scale=VALUE]':" in lines
    assert "scale: number (default: 1.0)" in lines
    assert "Scales the outputs." in lines
    assert "order: row, column (default: row)" in lines
    assert "fused: true or false (default: chosen by the runtime)" in lines
    assert "tile: integer (default: chosen by the runtime)" in lines


def test_show_tells_machines_the_options(site, lexer):
    site.add_engine("affine", NUMPY_ENGINE)

    _, out, _ = lexer("engines", "show", "affine", "--json")

    document = json.loads(out)
    assert document["schema_version"] == 1
    assert document["engine"]["options"][1] == {
        "name": "order",
        "type": "str",
        "default": "row",
        "choices": ["row", "column"],
        "help": "Layout.",
    }


def test_show_explains_a_broken_engine_with_its_traceback(site, lexer):
    site.add_engine("bad", "import no_such_module")

    status, out, _ = lexer("engines", "show", "bad")

    assert status == 0
    assert "state     broken" in out
    assert "fix       pip install --upgrade lexer-bad" in out
    assert "Traceback (most recent call last)" in out


def test_show_of_an_engine_that_is_not_installed_is_bad_usage(site, lexer):
    site.add_engine("openvino")

    status, out, err = lexer("engines", "show", "openvin")

    assert (status, out) == (2, "")
    assert err.startswith("Error: engine 'openvin' is not installed.\n  Installed: ")
    assert "Did you mean 'openvino'?" in err


# -- the command itself ------------------------------------------------------------


def test_without_arguments_the_help_is_shown(lexer):
    status, out, err = lexer()

    assert (status, err) == (0, "")
    for command in ("engines", "benchmark", "export", "cache"):
        assert f"\n  {command} " in out
    assert "Exit status: 0 success" in out


def test_the_help_imports_no_command(site):
    code = (
        "import sys; from lexer_core.cli.main import run; run(['--help']);"
        "print(sorted(m for m in sys.modules if m.startswith('lexer_core.cli.')), file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stderr.strip() == (
        "['lexer_core.cli.lazy_group', 'lexer_core.cli.main', 'lexer_core.cli.sigint', "
        "'lexer_core.cli.streams']"
    )


@pytest.mark.parametrize("arguments", [("engines",), ("engines", "--help"), ("engines", "-h")])
def test_a_group_explains_its_states(arguments, lexer):
    status, out, _ = lexer(*arguments)

    assert status == 0
    for state in ("ready", "unavailable", "broken", "incompatible"):
        assert f"\n    {state} " in out


def test_the_version_is_shown(lexer):
    assert lexer("--version") == (0, f"lexer {lexer_core.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("engnes",), "No such command 'engnes'"),
        (("--nonsense",), "No such option"),
        (("engines", "list", "--timeout", "0"), "Invalid value for '--timeout'"),
        (("engines", "show"), "Missing argument 'NAME'"),
    ],
)
def test_bad_usage_has_status_2_and_is_explained_on_standard_error(arguments, message, lexer):
    status, out, err = lexer(*arguments)

    assert (status, out) == (2, "")
    assert message in err


def test_a_mistyped_command_is_answered_with_the_nearest(lexer):
    _, _, err = lexer("benchmrk")

    assert "Did you mean 'benchmark'?" in err


@pytest.fixture
def failing(monkeypatch):
    """Put a command in place of ``engines`` that raises what it is given."""

    def failing(error):
        @click.command()
        def engines():
            raise error

        module = types.ModuleType("lexer_core.cli.engines")
        module.engines = engines
        monkeypatch.setitem(sys.modules, "lexer_core.cli.engines", module)

    return failing


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 2),
        (SettingError("x"), 2),
        (UnknownEngineError("x"), 2),
        (HookError("x"), 3),
        (BrokenEngineError("x"), 3),
        (DeviceUnavailableError("x"), 3),
        (ModelError("x"), 2),
        (ExportError("x"), 4),
        (LexerError("x"), 4),
        (KeyboardInterrupt(), 130),
        (click.Abort(), 130),
        (click.FileError("x"), 2),
        (ValueError("x"), 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_each_error_has_its_exit_status(error, status, failing, lexer):
    failing(error)

    assert lexer("engines")[0] == status


def test_an_error_is_printed_without_a_traceback_unless_asked_for(failing, lexer):
    failing(InputError("input 'x' is missing.", hint="Give it with --input."))

    _, out, err = lexer("engines")
    _, _, debugged = lexer("--debug", "engines")

    assert (out, err) == ("", "Error: input 'x' is missing.\n  Give it with --input.\n")
    assert debugged.startswith("Traceback")
    assert debugged.endswith(err)


def test_a_defect_is_called_one_and_shows_its_traceback(failing, lexer):
    failing(ZeroDivisionError("inside"))

    _, _, err = lexer("engines")

    assert "ZeroDivisionError: inside" in err
    assert "bug in Lexer" in err


def test_a_command_may_choose_its_exit_status(failing, lexer):
    failing(click.exceptions.Exit(1))

    assert lexer("engines") == (1, "", "")


def test_a_reader_that_goes_away_is_no_error(site):
    for number in range(40):
        site.add_engine(f"engine{number:02}")
    reading, writing = os.pipe()
    os.close(reading)

    done = subprocess.run(
        [sys.executable, "-m", "lexer_core", "engines", "list", "--json"],
        env=site.environment(),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_can_complete_commands(site):
    environment = {
        **site.environment(),
        "_LEXER_COMPLETE": "bash_complete",
        "COMP_WORDS": "lexer en",
        "COMP_CWORD": "1",
    }

    done = subprocess.run(
        [sys.executable, "-m", "lexer_core"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "plain,engines\n"


def test_the_module_is_the_command(site):
    done = lexer_process(site, "engines", "show", "no-such-engine")

    assert done.returncode == 2
    assert done.stderr.startswith("Error: engine 'no-such-engine' is not installed.")
