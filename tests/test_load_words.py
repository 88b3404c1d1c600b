"""How is the result of a load test said and shown?"""

from __future__ import annotations

import csv
import io

import attrs
import pytest

from lexer_core import LoadReport
from lexer_core.load_testing.sentences import load_sentences
from lexer_core.load_testing.slo import parse_slo
from lexer_core.reporting.terminal_table import print_report, report_to_text
from lexer_core.results import BenchmarkResult
from lexer_core.results.load_test import ClosedPoint, LoadConfiguration, LoadTest, RatePoint

SLO = parse_slo("p99<=50ms")


def point(rate, verdict="passes", **figures):
    return RatePoint(
        **{
            "rate": rate,
            "verdict": verdict,
            "requests": 1000,
            "share": 0.999,
            "share_low": 0.992,
            "share_high": 1.0,
            "achieved_per_sec": rate,
            "goodput_per_sec": rate,
            "p50_ms": 8.0,
            "p95_ms": 20.0,
            "p99_ms": 40.0,
            "wait_mean_ms": 2.0,
            "wait_p99_ms": 30.0,
            "service_mean_ms": 7.0,
            "service_p99_ms": 9.0,
            "cpus": 1.5,
            "blocks": 3,
            **figures,
        }
    )


def configuration(engine, *points, instances=1, threads=2, **more):
    kept = [each.rate for each in points if each.verdict in ("passes", "undecided")]
    passing = [each.rate for each in points if each.verdict == "passes"]
    failing = [each.rate for each in points if each.verdict == "fails"]
    return LoadConfiguration(
        label=f"{engine}[instances={instances},threads={threads}]",
        engine=engine,
        instances=instances,
        threads=threads,
        capacity_per_sec=150.0,
        points=points,
        **{
            "rate": max(kept, default=None),
            "highest_passing": max(passing, default=None),
            "lowest_failing": min(failing, default=None),
            **more,
        },
    )


def report_of(*configurations):
    rows = [
        BenchmarkResult(
            label=each.label,
            engine=each.engine.title(),
            engine_name=each.engine,
            device="CPU",
            status="ok",
        )
        for each in configurations
    ]
    test = LoadTest(slo=str(SLO), percent=99.0, limit_ms=50.0, configurations=configurations)
    sentences = load_sentences(rows, test, SLO)
    return LoadReport(results=rows, load_test=test, sentences=sentences)


def test_the_best_configuration_of_each_engine_is_named_and_the_best_engine_first():
    report = report_of(
        configuration("torch", point(41.0), point(60.0, "fails")),
        configuration("onnxruntime", point(90.0), point(95.0, "fails")),
        configuration("onnxruntime", point(118.0), point(123.0, "fails"), instances=2, threads=1),
    )

    assert " ".join(report.sentences) == (
        "Onnxruntime serves 118 requests/s with p99 ≤ 50 ms (2 instances, 1 thread each); "
        "Torch 41.0."
    )
    assert report.best.instances == 2
    assert report.fastest.label == "onnxruntime[instances=2,threads=1]"


def test_a_rate_that_is_not_certain_is_about_right():
    report = report_of(
        configuration("torch", point(40.0), point(60.0, "undecided"), point(80.0, "fails"))
    )

    assert report.sentences == (
        "Torch serves about 60.0 requests/s with p99 ≤ 50 ms (1 instance, 2 threads).",
        "Torch: 40.0 passes and 80.0 fails; more time (--max-seconds) would decide the rest.",
    )


@pytest.mark.parametrize(
    ("limit", "text"),
    [("p99.9999999<=5ms", "p99.9999999 ≤ 5 ms"), ("p99<=10000s", "p99 ≤ 10000 s")],
)
def test_an_unusual_limit_is_written_as_it_was_asked_for(limit, text):
    slo = parse_slo(limit)
    test = LoadTest(slo=str(slo), percent=slo.percent, limit_ms=slo.seconds * 1e3)

    assert slo.text == text
    assert parse_slo(test.slo) == slo
    assert text in report_to_text(LoadReport(load_test=test), 100)


def test_an_engine_without_a_rate_says_why():
    report = report_of(
        configuration("torch", reason="not tested under load: its outputs are wrong"),
        configuration("torch", point(20.0, "fails"), reason="no rate keeps to it", instances=2),
    )

    assert report.sentences == ("Torch has no rate: no rate keeps to it.",)
    assert report.best is None
    assert report.fastest is None


@pytest.mark.parametrize(
    ("gil", "second", "words"),
    [
        ("released", 190.0, "2 instances serve 1.90x the calls of one; its calls release"),
        (
            "held",
            101.0,
            "2 instances gain nothing (1.01x the calls of one); its calls hold",
        ),
    ],
)
def test_more_instances_and_pythons_lock_are_said(gil, second, words):
    closed = [
        ClosedPoint(concurrency=at, throughput_per_sec=rate, p50_ms=9.0, p99_ms=9.0)
        for at, rate in ((1, 100.0), (2, second))
    ]
    report = report_of(configuration("torch", point(60.0), instances=2, gil=gil, closed=closed))

    assert words in report.sentences[-1]


def test_the_table_has_a_line_for_each_rate_and_marks_the_highest_that_is_kept_to():
    report = report_of(
        configuration("torch", point(40.0), point(60.0, "fails", share=0.5)),
        configuration("openvino", reason="not tested under load: it predicts less"),
    )
    text = report_to_text(report, 160)

    assert "p99 ≤ 50 ms; requests at random times (Poisson)" in text
    assert "40.0  passes ◂" in text
    assert "60.0  fails" in text
    assert "not tested" in text
    assert "openvino[instances=1,threads=2]: not tested under load: it predicts less" in text


def test_the_csv_has_the_rates():
    report = report_of(configuration("torch", point(40.0), point(60.0, "fails")))
    (row,) = csv.DictReader(io.StringIO(report.to_csv()))

    assert (row["load_test_rate"], row["load_test_lowest_failing"]) == ("40.0", "60.0")
    assert row["load_test_shared_session"] == "false"
    assert report.sorted_by("load_test_rate")[0].label == row["label"]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize(("columns", "drawn"), [("100", True), ("60", False)])
def test_a_terminal_that_is_wide_enough_shows_latency_over_rate(monkeypatch, columns, drawn):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    rates = [point(rate, p99_ms=rate / 2) for rate in (20.0, 60.0)]
    report = report_of(configuration("torch", *rates, point(120.0, "fails", p99_ms=900.0)))
    terminal = Terminal()
    print_report(report, terminal)
    text = terminal.getvalue()

    assert ("p99 in ms (logarithmic) over requests offered per second" in text) == drawn
    assert ("─ the limit, p99 ≤ 50 ms" in text) == drawn
    assert ("1 torch[instances=1,threads=2]: 60.0/s" in text) == drawn


def test_a_withheld_rate_is_a_caveat():
    late = "requests were dispatched 2 ms late (p99) while a thread was free"
    report = report_of(configuration("torch", point(40.0, "withheld", reason=late)))

    assert f"! torch[instances=1,threads=2] at 40.0/s: {late}" in report_to_text(report, 200)


def test_a_late_rate_that_kept_to_the_limit_is_in_the_answer():
    late = "requests were dispatched 2 ms late (p99) while a thread was free"
    points = [
        point(40.0, "withheld", reason=late),
        point(60.0, "withheld", reason=late, share_low=0.98),
    ]
    report = report_of(configuration("torch", *points, reason=late))

    assert report.sentences == (
        f"Torch has no rate: {late}. Even so, 40.0 requests/s were answered within the limit.",
    )


def test_arrivals_and_batches_are_in_the_heading():
    report = report_of(configuration("torch", point(40.0), batch_up_to=8))
    test = attrs.evolve(report.test, arrivals="trace.txt", arrivals_rate=33.0, batch_wait_ms=5.0)
    text = report_to_text(attrs.evolve(report, load_test=test), 200)

    assert (
        "requests as in trace.txt, 33.0/s there, in batches of up to 8 after 5 ms at most" in text
    )


@pytest.mark.extras
def test_the_page_draws_latency_over_rate():
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    page = report_of(
        configuration("torch", point(20.0), point(60.0, "undecided"), point(80.0, "fails")),
        configuration("openvino", reason="not tested under load: it predicts less"),
    ).to_html()

    assert "Latency by rate" in page
    assert "torch[instances=1,threads=2]: p99 40.0 ms at 20.0 per second" in page
    assert "openvino[instances=1,threads=2]: not tested under load: it predicts less" in page
