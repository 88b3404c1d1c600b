"""Are results equal after they are written and read?"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from report_samples import AGREES, DIFFERS, a_failed_row, a_full_report, a_report, a_row

import lexer_core
from lexer_core import records
from lexer_core.errors import (
    MissingPackageError,
    OutputFileError,
    ReportFormatError,
    UsageError,
)
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.page import standalone
from lexer_core.reporting.report_csv import COLUMNS
from lexer_core.results import BenchmarkResult, Interval, Parity, result_records
from lexer_core.results.attrs_fields import is_raw

DOCS = Path(__file__).parent.parent / "docs"

DOCUMENTED = (
    "num_samples",
    "throughput_per_sec",
    "variance",
    "mean_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "engine",
    "device",
)


def test_a_report_is_a_sequence_of_its_rows():
    first, second = a_row(), a_row("onnxruntime", "ONNXRuntime")

    report = a_report(first, second)

    assert list(report) == [first, second]
    assert len(report) == 2
    assert report[-1] is second
    assert report[:1] == (first,)
    assert first in report


def test_rows_come_in_the_order_of_the_printed_table():
    slow, fast = a_row(p50=40.0), a_row("onnxruntime", "ONNXRuntime", 10.0)
    wrong = a_row("int8", "ONNXRuntime", 5.0, parity=DIFFERS)

    report = a_report(a_failed_row(), slow, wrong, fast)

    assert report.labels == ("onnxruntime", "torch", "int8", "tvm")
    assert [row.label for row in report] == list(report.labels)
    assert [row.label for row in reversed(report)] == list(reversed(report.labels))
    assert report[0] is fast
    assert report.index(wrong) == 2
    assert [row.label for row in report.results] == ["tvm", "torch", "int8", "onnxruntime"]
    printed = report.to_text(verbose=False)
    lines = [line.split(" ")[0] for line in printed.splitlines()]
    assert [name for name in lines if name in ("onnxruntime", "Torch", "int8", "TVM")][:4] == [
        "onnxruntime",
        "Torch",
        "int8",
        "TVM",
    ]


def test_a_label_or_an_engine_is_in_a_report_or_not():
    report = a_report(a_row(), a_row("basic", "ONNXRuntime", engine_name="onnxruntime"))

    assert "torch" in report
    assert "basic" in report
    assert "onnxruntime" in report
    assert "openvino" not in report
    assert None not in report


def test_the_ranking_lists_rows_with_a_rank_and_the_fastest_is_its_first():
    report = a_full_report()

    assert [row.label for row in report.ranking] == ["onnxruntime", "torch"]
    assert report.fastest is report["onnxruntime"]
    assert a_report(a_failed_row()).fastest is None


def test_a_speedup_is_the_comparison_whichever_way_it_was_made():
    report = a_full_report()

    forth = report.speedup("onnxruntime", "torch")
    back = report.speedup("torch", "onnxruntime")

    assert (forth.ratio.low, forth.ratio.estimate, forth.ratio.high) == (3.7, 3.9, 4.1)
    assert forth.verdict == "faster"
    assert back.verdict == "slower"
    assert (back.a, back.b) == ("onnxruntime", "torch")
    assert back.ratio.low == pytest.approx(1 / 4.1)
    assert back.ratio.high == pytest.approx(1 / 3.7)
    assert report.speedup("onnxruntime") == forth
    assert report.speedup("int8").verdict == "none"


def test_a_speedup_without_a_comparison_says_why():
    report = a_full_report()

    with pytest.raises(UsageError, match="tvm failed while loading the model"):
        report.speedup("tvm", "torch")
    with pytest.raises(KeyError, match="openvino"):
        report.speedup("openvino")


def test_the_warnings_of_a_report_are_those_of_its_rows_and_its_notes():
    assert a_full_report().warnings == (
        "ONNXRuntime: some of the work did not run on the CPU: Gather (CPU)",
        "ONNXRuntime: warm-up never settled",
        "latency moved by 14% between the halves of the run",
    )


def test_the_repr_of_a_row_is_one_line():
    row = a_row("onnxruntime", "ONNXRuntime", 9.912, rank=1)

    assert repr(row) == "<BenchmarkResult onnxruntime: ok, 9.912 ms, rank 1>"
    assert repr(a_failed_row()) == "<BenchmarkResult tvm: failed>"


def test_a_report_is_saved_and_loaded(tmp_path):
    report = a_full_report()

    path = report.save(tmp_path / "run.lexer")

    assert lexer_core.load(path) == report
    assert lexer_core.load(tmp_path / "run.lexer").labels == report.labels


@pytest.mark.extras
def test_a_plot_shows_every_measured_row_and_is_written(tmp_path):
    pytest.importorskip("matplotlib")

    figure = a_full_report().plot(tmp_path / "medians.svg")

    shown = (tmp_path / "medians.svg").read_text()
    assert figure.get_axes()
    for text in ("Torch", "ONNXRuntime", "int8"):
        assert text in shown
    with pytest.raises(OutputFileError, match="unknown suffix"):
        a_full_report().plot(tmp_path / "medians.lexer")
    with pytest.raises(UsageError, match="nothing to plot"):
        a_report(a_failed_row()).plot()


def test_a_plot_without_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setattr(standalone, "find_spec", lambda _: None)

    with pytest.raises(MissingPackageError, match=r"lexer-core\[report\]"):
        a_full_report().plot()


def test_a_row_is_found_by_label_then_by_engine_name():
    plain = a_row("onnxruntime", "ONNXRuntime")
    variant = a_row("basic", "Torch", engine_name="torch")

    report = a_report(plain, variant)

    assert report["basic"] is variant
    assert report["torch"] is variant
    assert report["ONNXRuntime"] is plain


def test_a_missing_row_is_a_key_error_that_lists_the_rows():
    with pytest.raises(KeyError, match="rows: torch, onnxruntime"):
        a_report(a_row(), a_row("onnxruntime"))["openvino"]


def test_an_engine_name_that_two_rows_have_finds_neither():
    report = a_report(a_row("a", engine_name="torch"), a_row("b", engine_name="torch"))

    with pytest.raises(KeyError):
        report["torch"]


def test_labels_are_unique_in_a_report():
    with pytest.raises(ValueError, match="unique"):
        a_report(a_row(), a_row())


def test_the_documented_fields_come_first_in_dict():
    assert tuple(a_row().to_dict())[: len(DOCUMENTED)] == DOCUMENTED


def test_a_line_of_the_csv_begins_with_what_it_is_about():
    assert COLUMNS[:3] == ("engine", "label", "num_samples")
    assert set(DOCUMENTED) <= set(COLUMNS)


def test_a_report_read_back_from_json_is_equal():
    report = a_full_report()

    assert BenchmarkReport.from_json(report.to_json()) == report


def test_numpy_scalars_become_plain_json_numbers():
    row = a_row(
        num_samples=np.int64(3),
        p50_ms=np.float32(1.5),
        options={"level": np.int64(3)},
        diagnosis={"drift": np.float64(0.5)},
    )

    given = row.to_dict()

    assert (given["num_samples"], given["p50_ms"]) == (3, 1.5)
    assert json.loads(json.dumps(given)) == given
    assert BenchmarkReport.from_dict(a_report(row).to_dict())[0] == row


def test_numbers_that_are_not_finite_are_null_and_named():
    parity = attrs.evolve(AGREES, status="fail", max_abs_error=math.nan, rmse=math.inf)
    report = a_report(a_row(parity=parity), sentences=())

    given = report.to_dict()

    assert given["results"][0]["parity"]["max_abs_error"] is None
    assert given["not_finite"] == {
        "results[0].parity.max_abs_error": "nan",
        "results[0].parity.rmse": "inf",
    }
    assert BenchmarkReport.from_dict(given) == report


def test_raw_samples_stay_out_of_dict_equality_and_repr():
    bare = a_row()
    full = attrs.evolve(
        bare, samples=np.ones(3), sample_rounds=np.zeros(3, int), sample_launches=np.zeros(3, int)
    )

    assert full == bare
    assert full.to_dict() == bare.to_dict()
    assert "samples=" not in repr(full).replace("num_samples=", "").replace(
        "effective_samples=", ""
    )


def test_results_are_immutable():
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        a_row().p50_ms = 1.0


def test_settings_of_any_kind_survive_as_json_types():
    report = a_report(a_row(), settings={"path": Path("a"), "axes": (1, np.int32(2))})

    assert report.settings == {"path": "a", "axes": [1, 2]}
    assert BenchmarkReport.from_dict(report.to_dict()) == report


def _documented(heading: str, file: str = "json.md") -> list[str]:
    text = (DOCS / file).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0] if heading else text
    return re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("heading", "record"),
    [
        ("A result", BenchmarkResult),
        ("An interval", Interval),
        ("Parity", Parity),
        ("An output", result_records.OutputParity),
        ("Placement", records.Placement),
        ("A failure", result_records.Failure),
        ("A comparison", result_records.Comparison),
        ("The environment", result_records.Environment),
        ("An input", records.TensorSpec),
    ],
)
def test_the_json_page_names_every_field_in_order(heading, record):
    fields = [field.name for field in attrs.fields(record) if not is_raw(field)]

    assert _documented(heading) == fields


def test_the_json_page_names_every_field_of_the_report():
    assert _documented("The report") == list(a_full_report().to_dict())


def test_the_csv_page_names_every_column():
    assert _documented("", "csv.md") == list(COLUMNS)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "newer"),
        ({"schema_version": "1"}, "schema_version"),
        ({"results": "many"}, "results"),
        ({"results": [{}]}, "results[0].engine"),
        ({"results": [{"engine": "T", "device": "C", "label": "t", "status": "good"}]}, "status"),
        ({"seed": True}, "seed"),
        ({"notes": [1]}, "notes[0]"),
        ({"environment": {"engines": {"a": 1}}}, "environment.engines.a"),
        ({"seconds": {"a": "1"}}, "seconds.a"),
        ({"not_finite": {"seed": "many"}}, "not_finite"),
    ],
)
def test_an_invalid_report_is_refused_with_the_place(change, said):
    data = a_report(a_row()).to_dict() | change

    with pytest.raises(ReportFormatError) as caught:
        BenchmarkReport.from_dict(data)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", "[" * 100_000, '{"schema_version": 1e999}']
)
def test_text_that_is_not_a_report_is_refused(text):
    with pytest.raises(ReportFormatError):
        BenchmarkReport.from_json(text)


def test_fields_of_a_later_minor_version_are_ignored():
    data = a_report(a_row()).to_dict() | {"weather": "sunny"}

    assert BenchmarkReport.from_dict(data) == a_report(a_row())


def test_a_report_saved_before_input_options_were_recorded_can_be_read():
    data = a_report(a_row()).to_dict()
    del data["input_options"]

    assert BenchmarkReport.from_dict(data) == a_report(a_row())


def test_to_json_writes_the_file_that_it_is_given(tmp_path):
    path = tmp_path / "results.json"

    text = a_full_report().to_json(path)

    assert path.read_text(encoding="utf-8") == text


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(OutputFileError, match="missing"):
        a_full_report().to_csv(tmp_path / "missing" / "results.csv")


def test_repr_is_one_line():
    report = a_report(a_row(), a_failed_row())

    assert repr(report) == "<BenchmarkReport of AmazingNet: torch 38.06 ms, tvm failed>"


def test_importing_results_imports_no_numpy():
    code = "import lexer_core.results, sys; sys.exit('numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0
