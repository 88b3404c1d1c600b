"""Is every kind of report shown in every format, however little is in it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest
from page_samples import a_profiled_report, a_sampled_report
from report_samples import (
    a_failed_row,
    a_full_report,
    a_load_report,
    a_load_test_without_numbers,
    a_report,
    a_tuned_report,
    a_tuning_without_numbers,
)

import lexer_core
from lexer_core import BenchmarkReport, LoadReport, TuningReport
from lexer_core.reporting.terminal_table import print_report
from lexer_core.results.load_test import LoadTest
from lexer_core.results.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

REPORTS: dict[str, Callable[[], BenchmarkReport]] = {
    "benchmark": a_full_report,
    "with samples": a_sampled_report,
    "profile": a_profiled_report,
    "tuning": lambda: TuningReport.of(a_tuned_report()),
    "load test": lambda: LoadReport.of(a_load_report()),
    "only failures": lambda: a_report(a_failed_row(), a_failed_row("ort")),
    "tuning of failures": lambda: TuningReport.of(a_tuning_without_numbers()),
    "load test of failures": lambda: LoadReport.of(a_load_test_without_numbers()),
    "nothing": a_report,
    "tuning of nothing": lambda: TuningReport.of(
        attrs.evolve(a_report(), tuning=Tuning(goals=["minimize p50"]))
    ),
    "load test of nothing": lambda: LoadReport.of(
        attrs.evolve(a_report(), load_test=LoadTest(slo="p99<=50ms", percent=99.0, limit_ms=50.0))
    ),
}


@pytest.fixture(params=REPORTS)
def report(request: Any) -> BenchmarkReport:
    return REPORTS[request.param]()


def failures(report: BenchmarkReport) -> set[str]:
    return {row.error.reason for row in report.results if row.error}


@pytest.mark.parametrize("width", [40, 80, 200])
def test_as_text(report: BenchmarkReport, width: int) -> None:
    text = " ".join(report.to_text(width=width).split())

    assert "AmazingNet" in text
    if report.tuning is None and report.load_test is None:
        assert all(reason in text for reason in failures(report))


def test_on_a_terminal(report: BenchmarkReport, capsys: Any) -> None:
    for verbose in (False, True):
        print_report(report, verbose=verbose)

        assert "AmazingNet" in capsys.readouterr().out


def test_as_markdown_and_in_a_notebook(report: BenchmarkReport) -> None:
    assert "AmazingNet" in report.to_markdown()
    assert "AmazingNet" in report._repr_html_()


@pytest.mark.extras
def test_as_a_page(report: BenchmarkReport) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")

    page = report.to_html()

    assert "AmazingNet" in page
    for each in report.tuning.configurations if report.tuning else ():
        if each.fate in ("failed", "unsupported", "not_reached"):
            assert each.reason in page


@pytest.mark.extras
def test_as_a_plot(report: BenchmarkReport, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    measured = [row for row in report.results if row.num_samples]

    if measured:
        report.plot(tmp_path / "plot.png")
    else:
        with pytest.raises(lexer_core.LexerError):
            report.plot(tmp_path / "plot.png")


def test_as_rows(report: BenchmarkReport) -> None:
    lines = report.to_csv().splitlines()

    assert len(lines) >= 1 + len(report.results) * (report.load_test is None)


@pytest.mark.extras
def test_as_a_frame(report: BenchmarkReport) -> None:
    pytest.importorskip("pandas")

    assert len(report.to_dataframe()) == len(report.results)


def test_as_data_and_back(report: BenchmarkReport) -> None:
    again = type(report).from_json(report.to_json())

    assert again.to_text(width=100) == report.to_text(width=100)


def test_as_a_file_and_back(report: BenchmarkReport, tmp_path: Path) -> None:
    again = lexer_core.load(report.save(tmp_path / "run.lexer"))

    assert type(again) is type(report)
    assert again.to_text(width=100) == report.to_text(width=100)


def test_merged(report: BenchmarkReport, tmp_path: Path) -> None:
    merged = lexer_core.merge([report.save(tmp_path / "run.lexer")])

    assert merged.to_text(width=100)
    assert merged.to_markdown()
    assert merged.to_csv()
