"""``lexer benchmark`` and ``lexer export``: the command line, with nothing measured."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import attrs
import click
import numpy as np
import pytest
from click.testing import CliRunner
from report_samples import a_failed_row, a_full_report, a_report, a_row
from tiny_onnx import identity_model

from lexer_core.cli import main as lexer_main
from lexer_core.cli.benchmark import benchmark, exit_status
from lexer_core.cli.export import describe_export, export, parse_dynamic_axis
from lexer_core.cli.streams import stdout_to_stderr
from lexer_core.cli.tune import tune
from lexer_core.engines.choice import EngineChoice
from lexer_core.errors import (
    InputError,
    LexerError,
    OutputFileError,
    UnknownEngineError,
    UsageError,
)
from lexer_core.records import ExportedModel, TensorSpec
from lexer_core.report import BenchmarkReport
from lexer_core.results import Failure
from lexer_core.settings.table import Settings


class _Context:
    """Stands in for a LexerContext: takes note of what is asked, returns a report."""

    def __init__(self, report=None):
        self.report = report or a_report(a_row())
        self.asked = {}

    def benchmark(self, **asked):
        self.asked = asked
        print("chatter of a runtime")
        return attrs.evolve(self.report, command=asked["command"])


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A file to benchmark, in a current folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(identity_model())
    return "model.onnx"


INPUT = "--input=image=float32[1,3]"


def _run(*arguments, context=None, command=benchmark):
    return CliRunner().invoke(
        command,
        arguments,
        obj={"lexer_context": context or _Context()},
        prog_name="lexer benchmark",
    )


# --- What is asked for. ---


def test_interpreters_reach_the_context(model):
    context = _Context()

    pythons = ["--python", "older=/envs/older/bin/python", "--python=tvm=/envs/a=b/bin/python"]
    result = _run(model, INPUT, *pythons, context=context)

    assert result.exit_code == 0, result.output
    assert context.asked["interpreters"] == {
        "older": "/envs/older/bin/python",
        "tvm": "/envs/a=b/bin/python",
    }
    assert "--python older=/envs/older/bin/python" in context.asked["command"]


@pytest.mark.parametrize("text", ["toy", "=python", "toy="])
def test_half_an_assignment_of_an_interpreter_is_refused(model, text):
    result = _run(model, INPUT, "--python", text)

    assert isinstance(result.exception, UsageError)
    assert "the form ENGINE=PATH" in str(result.exception)


def test_what_is_asked_for_reaches_the_context(model):
    context = _Context()

    result = _run(
        model,
        INPUT,
        "--engine=torch",
        "--engine=basic=onnxruntime[graph_optimization_level=basic]",
        "--device=cuda:0",
        "--iterations=100",
        "--margin=2%",
        "--max-seconds=20",
        "--threads=1",
        "--seed=7",
        "--input-names=image",
        "--output-names=a, b",
        "--no-cache",
        "--isolation=none",
        context=context,
    )

    assert result.exit_code == 0, result.output
    asked = context.asked
    assert str(asked["torch_model"]) == model
    assert list(asked["input"]) == ["image"]
    assert asked["engines"] == [
        EngineChoice("torch"),
        EngineChoice("onnxruntime", {"graph_optimization_level": "basic"}, "basic"),
    ]
    assert asked["device"] == "cuda:0"
    assert asked["num_iterations"] == 100
    assert asked["margin"] == pytest.approx(0.02)
    assert asked["max_seconds"] == 20
    assert (asked["threads"], asked["seed"]) == (1, 7)
    assert (asked["input_names"], asked["output_names"]) == (["image"], ["a", "b"])
    assert (asked["use_cache"], asked["isolation"]) == (False, "none")


def test_what_is_not_given_is_left_to_the_configuration(model):
    context = _Context()

    _run(model, INPUT, context=context)

    unset = set(attrs.fields_dict(Settings)) - {"seed", "print_report"}
    assert not unset & set(context.asked)
    assert context.asked["seed"] == 0
    assert context.asked["print_report"] is False  # the command prints by itself


def test_every_setting_has_an_option():
    names = {parameter.name for parameter in (*benchmark.params, *tune.params)}

    of_tuning = {"max_configurations"}
    assert set(attrs.fields_dict(Settings)) - {"print_report"} - of_tuning <= names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(shell):
    result = CliRunner().invoke(lexer_main.lexer, ["completion", shell])

    assert result.exit_code == 0
    assert lexer_main.COMPLETION_VARIABLE in result.output
    assert f"{shell}_complete" in result.output


def test_an_engine_that_is_not_installed_is_reported_before_the_model_is_loaded(tmp_path):
    loads = tmp_path / "loads.py"
    loads.write_text("raise SystemExit('it was loaded')")

    result = CliRunner().invoke(
        lexer_main.lexer, ["benchmark", f"{loads}:Net", "--engine=torhc", "--input=x=float32[1]"]
    )

    assert isinstance(result.exception, UnknownEngineError)


def test_every_option_explains_itself():
    for command in (benchmark, export):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, parameter.name


@pytest.mark.parametrize("command", [benchmark, export])
def test_help_shows_whole_examples(command):
    text = _run("--help", command=command).output

    assert "\n    lexer " in text
    assert "\\b" not in text


def test_help_shows_common_options_in_groups_and_help_all_shows_every_option():
    short, everything = (
        _run(option, command=benchmark).output for option in ("--help", "--help-all")
    )

    assert "\nHow long to measure:\n" in short
    for option in ("--input ", "--engine ", "--quick ", "--iterations ", "--help-all"):
        assert f"  {option}" in short
    assert "--opset" not in short
    for parameter in benchmark.params:
        if isinstance(parameter, click.Option):
            assert max(parameter.opts, key=len) in everything, parameter.name
    assert len(short) < len(everything) / 2


def test_a_batch_size_is_that_of_the_inputs_that_are_made(model):
    context = _Context()

    _run(model, INPUT, "--batch-size=8", context=context)

    assert context.asked["input"]["image"].shape == (8, 3)
    assert context.asked["batch_size"] == 8
    assert context.asked["input_options"] == ("image=float32[8,3]",)


@pytest.mark.parametrize("preset", ["quick", "thorough"])
def test_a_preset_is_repeated_as_one_option(model, preset):
    context = _Context()

    _run(model, INPUT, f"--{preset}", context=context)

    assert context.asked["preset"] == preset
    assert context.asked["command"].endswith(f"--{preset}")
    assert "--max-seconds" not in context.asked["command"]


def test_a_setting_on_the_command_line_overrides_the_preset(model):
    context = _Context()

    _run(model, INPUT, "--quick", "--max-seconds=3", context=context)

    assert "--quick" in context.asked["command"]
    assert "--max-seconds 3" in context.asked["command"]


def test_real_inputs_come_from_a_file(model):
    np.savez("real.npz", image=np.full((1, 3), 7.0, np.float32))
    context = _Context()

    _run(model, "--inputs=real.npz", context=context)

    assert context.asked["input"]["image"].tolist() == [[7, 7, 7]]
    assert context.asked["input_options"] == ()


def test_the_command_is_recorded_so_that_it_can_be_run_again(model):
    context = _Context()
    _run(model, INPUT, "--margin=2%", "--no-cache", "--format=json", context=context)
    first = dict(context.asked)

    words = shlex.split(first["command"])
    _run(*words[2:], context=context)

    assert words[:3] == ["lexer", "benchmark", model]
    assert "--format" not in words
    assert words[words.index("--seed") + 1] == "0"
    assert context.asked["command"] == first["command"]
    assert context.asked["margin"] == first["margin"]
    assert np.array_equal(context.asked["input"]["image"], first["input"]["image"])


# --- What comes out. ---


def test_standard_output_holds_the_results_alone(model):
    result = _run(model, INPUT, "--format=json")

    assert json.loads(result.stdout)["schema_version"] == 1
    assert "chatter" in result.stderr


def test_what_is_printed_past_python_does_not_reach_standard_output(capfd):
    with stdout_to_stderr():
        os.write(1, b"from C\n")
    print("results")

    out, err = capfd.readouterr()
    assert (out, err) == ("results\n", "from C\n")


@pytest.mark.parametrize(
    ("format", "begins"),
    [
        ("table", "AmazingNet"),
        ("csv", "engine,label,num_samples,"),
        ("markdown", "**AmazingNet"),
        ("json", "{"),
    ],
)
def test_every_format_is_printed(model, format, begins):
    result = _run(model, INPUT, f"--format={format}", context=_Context(a_full_report()))

    assert result.stdout.startswith(begins)
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        (["-o", "r.json"], lambda text: len(json.loads(text)["results"])),
        (["-o", "r.csv"], lambda text: len(list(csv.DictReader(io.StringIO(text))))),
        (["-o", "r.MD"], lambda text: sum(line.startswith("| T") for line in text.splitlines())),
        (
            ["-o", "r.txt"],
            lambda text: sum(line.startswith("Torch ") for line in text.splitlines()),
        ),
        (["-o", "r", "--format", "json"], lambda text: len(json.loads(text)["results"])),
    ],
)
def test_a_file_gets_the_form_that_its_name_says(model, arguments, read):
    result = _run(model, INPUT, *arguments)

    assert result.exit_code == 0, result.output
    assert read(Path(arguments[1]).read_text(encoding="utf-8")) == 1
    assert result.stdout.startswith("AmazingNet")


def test_a_json_file_reads_back_as_the_report(model):
    context = _Context(a_full_report())

    _run(model, INPUT, "-o", "r.json", context=context)

    report = BenchmarkReport.from_dict(json.loads(Path("r.json").read_text(encoding="utf-8")))
    assert report == attrs.evolve(context.report, command=context.asked["command"])


# --- What goes wrong. ---


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["-o", "missing/r.json"], OutputFileError),
        (["-o", "r.xyz"], UsageError),
        (["--engine", "torch[oops"], UsageError),
        (["--input", "image=flot32[1]"], InputError),
        (["--inputs", "missing.npz"], InputError),
    ],
)
def test_a_mistake_is_found_before_anything_is_measured(model, arguments, error):
    context = _Context()

    result = _run(model, *arguments, context=context)

    assert isinstance(result.exception, error)
    assert context.asked == {}
    assert isinstance(result.exception, UsageError)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--iterations", "0"],
        ["--iterations", "ten"],
        ["--margin", "1.5"],
        ["--margin", "much"],
        ["--max-seconds", "0"],
        ["--format", "xml"],
        ["--isolation", "some"],
        ["--batch-size", "-1"],
        ["--what"],
    ],
)
def test_bad_usage_ends_with_status_2(model, arguments):
    context = _Context()

    assert _run(model, INPUT, *arguments, context=context).exit_code == 2
    assert context.asked == {}


def test_a_file_that_becomes_unwritable_does_not_cost_the_results(model, tmp_path):
    class Spoiler(_Context):
        def benchmark(self, **asked):
            (tmp_path / "out").rename(tmp_path / "gone")
            return super().benchmark(**asked)

    (tmp_path / "out").mkdir()

    result = _run(model, INPUT, "-o", "out/r.json", context=Spoiler())

    assert isinstance(result.exception, OutputFileError)
    assert "Torch" in result.stdout


@pytest.mark.parametrize(
    ("rows", "named", "stopped", "status"),
    [
        ([a_row()], True, "precise", 0),
        ([a_row(), a_failed_row()], False, "precise", 0),
        ([a_row(), a_failed_row()], True, "precise", 3),
        ([a_row(), a_failed_row(status="unsupported")], True, "precise", 3),
        ([a_failed_row()], False, "precise", 4),
        ([a_failed_row()], True, "precise", 4),
        ([], False, "", 4),
        ([a_row()], True, "interrupted", 130),
        ([a_failed_row()], True, "interrupted", 130),
    ],
)
def test_the_exit_status_says_what_came_of_it(rows, named, stopped, status):
    assert exit_status(a_report(*rows, stopped_because=stopped), named=named) == status


def test_results_are_printed_before_a_failure_ends_the_command(model):
    context = _Context(a_report(a_row(), a_failed_row()))

    result = _run(model, INPUT, "--engine=torch", "--engine=tvm", context=context)

    assert result.exit_code == 3
    assert "the worker died of SIGSEGV" in result.stdout


def test_nothing_is_written_if_the_run_was_interrupted_before_its_first_sample(model):
    failure = Failure(phase="rounds", kind="Interrupted", reason="before the first sample")
    rows = [a_failed_row(error=failure), a_failed_row("torch", "Torch", error=failure)]
    context = _Context(a_report(*rows, stopped_because="interrupted"))

    result = _run(model, INPUT, "-o", "run.lexer", context=context)

    assert result.exit_code == 130
    assert not Path("run.lexer").exists()
    assert "run.lexer was not written" in result.stderr


@pytest.mark.parametrize("flag", ["-v", "--verbose"])
def test_verbose_prints_every_caveat_and_is_not_repeated(model, flag):
    notes = [f"note {at}" for at in range(9)]
    context = _Context(a_report(a_row(), notes=notes))

    brief, full = (_run(model, INPUT, *flags, context=context) for flags in ([], [flag]))

    assert "6 more with --verbose" in brief.stdout
    assert "note 8" not in brief.stdout
    assert "note 8" in full.stdout
    assert flag not in context.asked["command"]


def test_the_target_is_kept_as_typed(model):
    context = _Context()

    _run(model, INPUT, context=context)

    assert context.asked["target"] == "model.onnx"


# --- Export. ---


def test_a_dynamic_axis_is_understood():
    assert parse_dynamic_axis("image:0=batch") == ("image", 0, "batch")


@pytest.mark.parametrize("text", ["image", "image:0", "image:x=batch", ":0=batch", "image:-1=b"])
def test_a_dynamic_axis_of_another_form_is_refused(text):
    with pytest.raises(InputError, match="NAME:DIMENSION=AXIS"):
        parse_dynamic_axis(text)


def test_an_onnx_file_is_not_exported_again(model):
    result = _run(model, "-o", "new.onnx", command=export)

    assert isinstance(result.exception, LexerError)
    assert "already an exported model" in str(result.exception)


def test_an_export_checks_its_file_first(model):
    result = _run("net.py:Net", INPUT, "-o", "missing/new.onnx", command=export)

    assert isinstance(result.exception, OutputFileError)


def test_what_was_exported_is_described(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(identity_model())
    exported = ExportedModel(
        format="onnx",
        path=path,
        inputs=(TensorSpec(name="image", dtype="float32", shape=("batch", 3)),),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=("batch", 10)),),
        size_bytes=18 * 2**20,
        exporter="torch.onnx (dynamo) 2.13.0",
        notes=("argument 'use_cache' is left out",),
    )

    text = describe_export(exported, path, checked=True)

    assert "18 MiB" in text
    assert "checked by onnx.checker" in text
    assert "input   image: float32[batch, 3]" in text
    assert "output  logits: float32[batch, 10]" in text
    assert "note: argument 'use_cache' is left out" in text


def test_help_imports_no_runtime_and_no_numpy():
    code = (
        "import sys\n"
        "from lexer_core.cli.main import run\n"
        "run(['benchmark', '--help'])\n"
        "sys.exit(bool({'numpy', 'torch', 'onnx', 'onnxruntime', 'rich'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=False
    )

    assert done.returncode == 0


# -- second inputs -----------------------------------------------------------------


def test_second_inputs_are_generated_with_other_values(model):
    context = _Context()

    _run(model, INPUT, "--second-input=image=float32[1,3]", context=context)

    first, second = context.asked["input"]["image"], context.asked["second_input"]["image"]
    assert second.shape == first.shape
    assert not np.array_equal(first, second)


def test_second_inputs_are_read_from_a_file(model):
    context = _Context()
    np.savez("second.npz", image=np.ones((1, 3), np.float32))

    _run(model, INPUT, "--second-input=second.npz", context=context)

    assert context.asked["second_input"]["image"].tolist() == [[1.0, 1.0, 1.0]]


def test_second_inputs_are_one_file_or_descriptions(model):
    result = _run(model, INPUT, "--second-input=a.npz", "--second-input=image=float32[1,3]")

    assert isinstance(result.exception, UsageError)
    assert "once as the file a.npz" in result.exception.message


def test_without_second_inputs_there_are_none_to_pass_on(model):
    context = _Context()

    _run(model, INPUT, context=context)

    assert context.asked["second_input"] is None
