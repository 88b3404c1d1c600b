"""``-o run.lexer`` and ``lexer show``: a benchmark kept and shown on the command line."""

from __future__ import annotations

import csv
import io
import json

import attrs
import pytest
from artifact_samples import a_whole_report, entries_of
from click.testing import CliRunner
from tiny_onnx import identity_model

from lexer_core.artifact import load, save, write
from lexer_core.cli import main as command
from lexer_core.cli.benchmark import benchmark
from lexer_core.errors import OutputFileError
from lexer_core.reporting.terminal_table import report_to_text


class _Context:
    """Stands in for a LexerContext: returns a report, with the settings asked for."""

    def __init__(self, report):
        self.report = report
        self.measured = False

    def benchmark(self, **asked):
        self.measured = True
        kept = {name: asked[name] for name in ("include_model", "include_csv") if name in asked}
        return attrs.evolve(self.report, command=asked["command"], settings=kept)


@pytest.fixture
def report(tmp_path):
    return a_whole_report(tmp_path / "model")


@pytest.fixture
def here(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    (folder / "model.onnx").write_bytes(identity_model())
    return folder


@pytest.fixture
def saved(report, here):
    return save(report, here / "run.lexer")


def measure(report, *arguments):
    context = _Context(report)
    result = CliRunner().invoke(
        benchmark,
        ["model.onnx", "--input=image=float32[1,3]", *arguments],
        obj={"lexer_context": context},
    )
    return result, context


def run(capsys, *arguments):
    status = command.run(list(arguments))
    printed = capsys.readouterr()
    return status, printed.out, printed.err


# --- Keeping. ---


def test_a_benchmark_is_kept_beside_the_table(report, here):
    result, _ = measure(report, "-o", "run.lexer")

    assert result.exit_code == 0, result.output
    assert "ONNXRuntime" in result.output
    assert load("run.lexer")["onnxruntime"].samples.size == 60


def test_the_format_is_that_of_standard_output_beside_an_artifact(report, here):
    result, _ = measure(report, "-o", "run.lexer", "--format", "json")

    assert json.loads(result.stdout)["model_name"] == "AmazingNet"
    assert load("run.lexer").model_name == "AmazingNet"


def test_the_model_and_the_csv_are_left_out_on_request(report, here):
    measure(report, "-o", "run.lexer", "--no-model", "--no-include-csv")

    assert {"run.onnx", "run.csv"}.isdisjoint(entries_of(here / "run.lexer"))
    assert "run.lexer" not in load("run.lexer").command
    assert "--no-model" not in load("run.lexer").command


def test_whether_it_can_be_kept_is_known_before_anything_is_measured(report, here):
    result, context = measure(report, "-o", "nowhere/run.lexer")

    assert isinstance(result.exception, OutputFileError)
    assert not context.measured


def test_a_large_model_is_warned_of_on_standard_error(report, here, monkeypatch):
    monkeypatch.setattr(write, "LARGE_MODEL_BYTES", 10)

    result, _ = measure(report, "-o", "run.lexer")

    assert "Warning: run.lexer will take" in result.stderr
    assert "Warning" not in result.stdout


# --- Showing. ---


def test_show_prints_the_very_table(report, saved, capsys):
    status, out, err = run(capsys, "show", "run.lexer")

    assert (status, err) == (0, "")
    assert out == report_to_text(report, width=120) + "\n"


def test_show_prints_every_detail_if_asked(report, saved, capsys):
    status, out, _ = run(capsys, "show", "run.lexer", "-v")

    assert status == 0
    assert out == report_to_text(report, width=120, verbose=True) + "\n"
    assert "Phases: " in out


@pytest.mark.parametrize("form", ["json", "csv", "markdown"])
def test_show_has_the_forms_of_a_benchmark(report, saved, capsys, form):
    status, out, _ = run(capsys, "show", "run.lexer", "--format", form)

    assert status == 0
    assert out == getattr(report, f"to_{form}")()


def test_show_writes_to_a_file_as_well(report, saved, here, capsys):
    assert run(capsys, "show", "run.lexer", "-o", "rows.csv")[0] == 0
    assert run(capsys, "show", "run.lexer", "-o", "again.lexer")[0] == 0

    rows = csv.DictReader(io.StringIO((here / "rows.csv").read_text(encoding="utf-8")))
    assert [row["label"] for row in rows] == [row.label for row in report.results]
    assert load("again.lexer") == report


def test_contents_lists_what_is_in_the_file(saved, capsys):
    status, out, _ = run(capsys, "show", "run.lexer", "--contents")

    assert status == 0
    lines = {line.split()[2]: line for line in out.splitlines()}
    assert list(lines) == list(entries_of(saved))
    assert "2.0 KiB  weights.bin" in out
    assert "model of onnxruntime, int8" in lines["run.onnx"]


def test_contents_and_results_are_not_asked_for_together(saved, capsys):
    status, _, err = run(capsys, "show", "run.lexer", "--contents", "--format", "json")

    assert status == 2
    assert "--contents" in err


@pytest.mark.parametrize(
    ("content", "said"), [(None, "does not exist"), (b"not a zip", "is not a Lexer run")]
)
def test_what_cannot_be_shown_is_said_without_a_traceback(here, capsys, content, said):
    if content is not None:
        (here / "run.lexer").write_bytes(content)

    status, out, err = run(capsys, "show", "run.lexer")

    assert (status, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_the_json_of_a_run_is_shown_as_well(saved, capsys):
    _, text, _ = run(capsys, "show", "run.lexer", "--format", "json")
    (saved.parent / "results.txt").write_text(text)

    status, out, _ = run(capsys, "show", "results.txt", "--format", "json")

    assert status == 0
    assert out == text


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json"])
def test_every_format_is_printed_where_only_ascii_can_be(saved, monkeypatch, format):
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding="ascii"))

    assert command.run(["show", str(saved), "--format", format]) == 0
    assert b"Torch" in printed.getvalue()


@pytest.mark.parametrize(("measured_by", "is_told"), [("benchmark", True), ("profile", False)])
def test_only_commands_that_have_more_launches_are_told_to_add_them(
    report, here, capsys, measured_by, is_told
):
    rows = [attrs.evolve(row, launches=1) for row in report]
    saved = attrs.evolve(report, results=rows, command=f"lexer {measured_by} model.onnx")
    save(saved, here / "one.lexer")

    assert command.run(["show", "one.lexer", "-o", "copy.lexer"]) == 0
    assert ("add --launches 5" in capsys.readouterr().err) is is_told
