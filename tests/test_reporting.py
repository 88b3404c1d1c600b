"""What a reader sees: tables, CSV, Markdown, HTML."""

from __future__ import annotations

import csv
import html
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from report_samples import (
    DIFFERS,
    a_comparison,
    a_failed_row,
    a_full_report,
    a_report,
    a_row,
)

from lexer_core.errors import OutputFileError
from lexer_core.output_files import check_writable, write_text
from lexer_core.records import Placement
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.numbers import (
    bytes_text,
    confidence_text,
    count_text,
    duration_text,
    error_text,
    estimate_text,
    interval_text,
    percent_text,
    rate_text,
    significant,
)
from lexer_core.reporting.table_layout import lay_out
from lexer_core.reporting.terminal_table import encodable, print_report, report_to_text
from lexer_core.results import Failure, Interval, Parity
from lexer_core.statistics import diagnose


def _lines(report, width=160):
    return report_to_text(report, width).splitlines()


def _row_of(report, name, width=160):
    return next(line for line in _lines(report, width) if line.startswith(name))


class _Stream(io.StringIO):
    """A stream that says that it is a terminal, or of another encoding."""

    def __init__(self, *, terminal=False, encoding="utf-8"):
        super().__init__()
        self._terminal = terminal
        self._encoding = encoding

    def isatty(self):
        return self._terminal

    @property
    def encoding(self):
        return self._encoding


# --- The table. ---


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(width):
    report = a_full_report()

    lines = [line for line in _lines(report, width) if not line.startswith("Repeat:")]

    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_essential_columns_are_shown_at_every_width(width):
    text = report_to_text(a_full_report(), width)

    for heading in ("p50 (ms)", "p90", "p99", "mean", "items/s", "outputs", "load", "first call"):
        assert heading in text
    assert "9.91 ±0.03" in text
    assert "412 MiB" in text


def test_a_narrow_table_keeps_speed_and_costs_apart():
    report = a_report(a_row(), a_row("onnxruntime", "ONNXRuntime", 9.9))

    headings = [line for line in _lines(report, 80) if line.startswith("engine")]

    assert len(headings) == 2
    assert "p50" in headings[0]
    assert "outputs" in headings[0]
    assert "load" in headings[1]


def test_a_wide_terminal_shows_one_table():
    report = a_full_report()

    assert sum(line.startswith("engine") for line in _lines(report, 200)) == 1


def test_a_long_label_wraps_and_is_not_cut_off():
    label = "onnxruntime[graph_optimization_level=basic,execution_mode=parallel]"

    text = report_to_text(a_report(a_row(label, "ONNXRuntime", engine_name="onnxruntime")), 80)

    assert label in "".join(re.findall(r"^(\S+)", text, re.MULTILINE))


def test_a_label_wraps_where_an_option_ends():
    label = "onnxruntime[intra=1,precision=int8-dynamic]"

    text = report_to_text(a_report(a_row(label, "ONNXRuntime", engine_name="onnxruntime")), 80)

    names = re.findall(r"^(\S+)", text, re.MULTILINE)
    assert ["onnxruntime[intra=1,", "precision=int8-dynamic]"] in [
        names[at : at + 2] for at in range(len(names))
    ]


def test_fast_rows_come_first_and_failed_ones_last():
    rows = [a_failed_row(), a_row(), a_row("onnxruntime", "ONNXRuntime", 9.9)]

    cells = lay_out(a_report(*rows)).columns[0].cells

    assert cells == ("ONNXRuntime", "Torch", "TVM")


def test_a_row_with_wrong_outputs_comes_after_the_right_ones():
    rows = [a_row("wrong", "Wrong", 1.0, parity=DIFFERS), a_row()]

    report = a_report(*rows)

    assert lay_out(report).columns[0].cells == ("Torch", "Wrong")
    assert "✗ 0.31" in _row_of(report, "Wrong")
    assert "✓ 2e-06" in _row_of(report, "Torch")


def test_a_failed_row_is_listed_and_its_reason_is_shown_below():
    report = a_report(a_row(), a_failed_row())

    text = report_to_text(report, 120)

    assert "failed" in _row_of(report, "TVM")
    assert "TVM failed while loading the model: the worker died of SIGSEGV." in text
    assert "Its log: …" in text


def test_a_tie_shares_its_rank_visibly():
    rows = [a_row(rank=1), a_row("onnxruntime", "ONNXRuntime", 38.0, rank=1)]

    assert lay_out(a_report(*rows)).columns[1].cells == ("1=", "1=")


# --- Compared with the baseline. ---


def test_every_row_has_its_speed_compared_with_the_baseline():
    rows = [
        a_row(),
        a_row("onnxruntime", "ONNXRuntime", 9.9),
        a_row("slow", "Slow", 99.0),
        a_row("int8", "Int8", 5.0),
    ]
    pairs = [
        a_comparison(ratio=(3.7, 3.9, 4.1)),
        a_comparison(b="slow", ratio=(0.35, 0.38, 0.41), verdict="slower"),
        a_comparison(b="int8", verdict="none", reason="its outputs disagree"),
        a_comparison("onnxruntime", "int8"),
    ]

    report = a_report(*rows, comparisons=pairs)

    columns = {column.heading: column.cells for column in lay_out(report).columns}
    speeds = dict(zip(columns["engine"], columns["speed"], strict=True))
    assert speeds == {
        "Torch": "baseline",
        "ONNXRuntime": "3.9x [3.7–4.1]",
        "Slow": "0.38x [0.35–0.41]",
        "Int8": "no verdict",
    }
    assert "3.9x [3.7–4.1]" in report.to_markdown().replace("\\", "")
    assert "3.9x [3.7–4.1]" in report._repr_html_()


def test_without_comparisons_no_speed_is_shown():
    headings = [column.heading for column in lay_out(a_report(a_row())).columns]

    assert "speed" not in headings


def test_the_table_of_two_engines_fits_100_columns():
    asymmetric = {"p50_ms": Interval(estimate=26.9, low=26.0, high=36.0)}
    report = a_report(
        a_row(p50=26.9, rank=2, intervals=asymmetric),
        a_row("onnxruntime", "ONNXRuntime", 9.9, rank=1),
        comparisons=[a_comparison(ratio=(2.47, 2.6, 2.91))],
    )

    first = _row_of(report, "Torch", 100)

    assert "26.9 [26.0–36.0]" in first
    assert "baseline" in first
    assert "✓ 2e-06" in first
    assert max(map(len, _lines(report, 100))) <= 100


def test_what_does_not_fit_into_the_table_of_a_noisy_run_shares_that_of_costs():
    wide = {"p50_ms": Interval(estimate=0.672, low=0.35, high=0.819)}
    numbers = {"p90_ms": 61.1, "p99_ms": 104.2, "mean_ms": 15.84, "intervals": wide}
    report = a_report(
        a_row(p50=0.988, rank=2, **numbers),
        a_row("onnxruntime", "ONNXRuntime", 0.672, rank=1, **numbers),
        comparisons=[a_comparison(ratio=(1.3, 2.1, 124.2))],
    )

    headings = [line.split() for line in _lines(report, 90) if line.startswith("engine")]

    assert len(headings) == 2
    assert headings[0][-1] == "items/s"
    assert headings[1][:3] == ["engine", "outputs", "load"]


# --- What was measured. ---


@pytest.mark.parametrize(
    ("target", "name", "title"),
    [
        ("net.py:AmazingNet", "AmazingNet", "net.py:AmazingNet"),
        ("shop.models:make_ranker", "Ranker", "shop.models:make_ranker (Ranker)"),
        ("models/bert.onnx", "bert", "models/bert.onnx"),
        ("", "AmazingNet", "AmazingNet"),
    ],
)
def test_the_heading_names_the_target_as_typed_and_the_class(target, name, title):
    report = a_report(a_row(), target=target, model_name=name)

    assert _lines(report)[0] == f"{title} · image: float32[1, 3, 224, 224]"
    assert BenchmarkReport.from_json(report.to_json()).target == target


# --- What to distrust. ---


def _noisy(**diagnosis):
    rows = [
        a_row(diagnosis=diagnosis),
        a_row("onnxruntime", "ONNXRuntime", 9.9, diagnosis=diagnosis),
    ]
    return a_report(*rows, comparisons=[a_comparison()])


@pytest.mark.parametrize(
    ("diagnosis", "text"),
    [
        (
            {"drift": 0.08, "steal_share": 0.03},
            (
                "noisy machine: latencies moved by 8% during the run; ratios are protected by "
                "taking turns, absolute times are good to ±4%"
            ),
        ),
        (
            {"drift": 0.001, "steal_share": 0.03},
            (
                "noisy machine: other virtual machines took 3% of the CPU time; ratios are "
                "protected by taking turns, absolute times are good to ±0.3%"
            ),
        ),
        (
            {"drift": -0.3, "throttled_share": 0.4},
            (
                "noisy machine: the CPU quota was exhausted in 40% of the blocks; ratios are "
                "protected by taking turns, absolute times are good to ±15%"
            ),
        ),
        (
            {"drift": 0.08, "cpu_wait_share": 0.83},
            (
                "busy machine: the calls of Torch waited for a CPU 83% of the time; times and "
                "ratios may be different on an idle machine"
            ),
        ),
        (
            {"drift": 0.004},
            (
                "quiet machine: latencies moved by 0.4% during the run; absolute times are good to "
                "±0.3%"
            ),
        ),
    ],
)
def test_the_condition_of_the_machine_is_one_line(diagnosis, text):
    report = _noisy(**diagnosis)

    assert lay_out(report).condition == text
    assert " ".join(text.split()) in " ".join(str(report).split())


def test_nothing_is_claimed_about_times_without_intervals():
    report = a_report(a_row(diagnosis={"drift": 0.004}, intervals={}))

    assert lay_out(report).condition == (
        "quiet machine: latencies moved by 0.4% during the run; too few samples to tell how good "
        "absolute times are"
    )


@pytest.mark.parametrize("model", ["", "small"])
def test_a_caveat_of_a_row_is_not_repeated_as_a_note(model):
    text = "output 'cache' is not a tensor but a DynamicCache: ignored"
    note = f"{model}: {text}" if model else text
    report = a_report(a_row(model=model, warnings=[text]), notes=[note, "another"])

    assert [text in warning for warning in report.warnings] == [True, False]


def test_taking_turns_protects_no_ratio_if_one_engine_alone_moved():
    rows = [
        a_row(diagnosis={"drift": 0.001}),
        a_row("onnxruntime", "ONNXRuntime", 9.9, diagnosis={"drift": 0.12}),
    ]

    condition = lay_out(a_report(*rows, comparisons=[a_comparison()])).condition

    assert condition.startswith(
        "noisy machine: the latency of ONNXRuntime moved by 12%, more than that of others;"
    )
    assert "ratios" not in condition


def test_the_terminal_shows_the_three_most_important_caveats():
    warnings = [
        "a note of the exporter",
        "the first sample of a block is 2.0% slower than the others",
        "another note",
        "samples add up to 3 ms, but took 30 ms: the engine returns before its work is done",
        "samples are autocorrelated (0.91), so the effective sample size is smaller",
    ]
    report = a_report(a_row(warnings=warnings), notes=["a note on the run"])

    brief, full = report.to_text(width=120), report.to_text(width=120, verbose=True)

    shown = [line for line in brief.splitlines() if line.startswith("! ")]
    assert [line[:22] for line in shown] == [
        "! Torch: samples add u",
        "! Torch: a note of the",
        "! Torch: another note",
    ]
    assert "3 more with report.to_text(verbose=True)" in brief
    assert "more with" not in full
    for text in (*warnings, "a note on the run"):
        assert text in full
        assert text in html.unescape(report._repr_html_())
        assert text in report.to_markdown().replace("\\", "")


def test_what_a_noisy_run_is_diagnosed_with_is_a_detail_of_its_condition():
    rng = np.random.default_rng(1)
    drifting = np.repeat(np.linspace(1.0, 1.5, 40), 10) * rng.lognormal(0.0, 0.01, 400)
    found = diagnose(drifting, np.repeat(np.arange(40), 10))

    layout = lay_out(a_report(a_row(warnings=found.warnings, diagnosis={"drift": found.drift})))

    assert len(found.warnings) >= 2
    assert layout.warnings == ()
    assert len(layout.noise) == len(found.warnings)
    assert layout.is_noisy


def test_a_verbose_report_says_where_the_time_went():
    report = a_report(
        a_row(sampled_ms=4_000.0),
        a_row("onnxruntime", "ONNXRuntime", 9.9, sampled_ms=2_000.0),
        seconds={"import": 0.01, "rounds": 10.0},
    )

    brief, full = report.to_text(width=120), report.to_text(width=120, verbose=True)

    assert "Phases: import 10 ms, rounds 10 s" in full
    assert "Kept samples: 60% of the 10 s of rounds" in full
    assert "Phases" not in brief
    assert "Kept samples" not in brief


def test_percentiles_of_too_few_samples_are_marked_and_share_one_footnote():
    report = a_report(
        a_row(
            notes_on_percentiles={
                "p95_ms": "insufficient: 36 effective samples, 72 needed",
                "p99_ms": "insufficient: 36 effective samples, 368 needed",
            }
        )
    )

    assert "~49.5" in _row_of(report, "Torch")
    footnotes = lay_out(report).footnotes
    assert len(footnotes) == 1
    assert footnotes[0].startswith("~ from too few independent samples")
    assert footnotes[0] in report_to_text(report, 120)


def test_a_withheld_percentile_is_a_dash_with_a_reason():
    row = a_row(p99_ms=None, notes_on_percentiles={"p99_ms": "withheld: means of 12 calls"})

    assert "—¹" in _row_of(a_report(row), "Torch")


def test_columns_with_the_same_note_share_a_mark():
    notes = dict.fromkeys(("p90_ms", "p95_ms", "p99_ms"), "withheld: means of 12 calls")
    row = a_row(p90_ms=None, p95_ms=None, p99_ms=None, notes_on_percentiles=notes)

    report = a_report(row, a_row("onnxruntime", "ONNXRuntime"))

    assert lay_out(report).footnotes == ("¹ p90, p95, p99 withheld (Torch: means of 12 calls)",)
    assert _row_of(report, "Torch").count("—¹") == 3


def test_a_median_of_means_says_so():
    text = report_to_text(a_report(a_row(p50_ms=0.0061, loops=17)), 120)

    assert "p50 of means of 17 calls" in text


def test_latencies_of_microseconds_are_shown_in_microseconds():
    text = report_to_text(a_report(a_row(p50=0.0081)), 120)

    assert "p50 (µs)" in text
    assert "8.10 ±0.02" in text


def test_work_on_another_device_is_shown_with_the_device():
    placement = Placement(share=0.996, method="nodes", fallbacks=("Gather (CPU)",))
    row = a_row(device="GPU", device_name="cuda:0", placement=placement)

    text = report_to_text(a_report(row), 120)

    assert "GPU 99%" in text
    assert "some of the work did not run on the GPU: Gather (CPU)" in text


def test_warnings_that_rows_share_are_shown_once():
    rows = [a_row(warnings=["noisy"]), a_row("onnxruntime", "ONNXRuntime", warnings=["noisy"])]

    assert lay_out(a_report(*rows)).warnings == ("Torch, ONNXRuntime: noisy",)


def test_a_message_cannot_control_the_terminal():
    row = a_failed_row(label="\x1b[31mred", engine="\x1b[31mred")

    text = report_to_text(a_report(a_row(warnings=["\x1b]0;title\x07 \x1b[2J"]), row))

    assert "\x1b" not in text
    assert "\x07" not in text


def test_square_brackets_in_names_are_shown_as_they_are():
    assert "[bold]" in report_to_text(a_report(a_row("[bold]", "Torch", engine_name="torch")), 120)


def test_an_empty_report_prints():
    assert "there were no engines to measure" in str(a_report())


def test_a_report_of_failures_prints():
    assert "Nothing was measured" in str(a_report(a_failed_row()))


def test_the_command_is_on_one_line_however_long():
    command = "lexer benchmark " + "--input x " * 40

    assert f"Repeat: {command.strip()}" in _lines(a_report(a_row(), command=command), 80)


def test_printing_to_a_file_has_no_escape_codes():
    stream = _Stream()

    print_report(a_full_report(), stream)

    assert "\x1b" not in stream.getvalue()


def test_printing_to_a_terminal_uses_colour_unless_no_color_is_set(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = _Stream(terminal=True), _Stream(terminal=True)

    print_report(a_full_report(), coloured)
    monkeypatch.setenv("NO_COLOR", "1")
    print_report(a_full_report(), plain)

    assert "\x1b[" in coloured.getvalue()
    assert "\x1b" not in plain.getvalue()


def test_a_stream_without_these_characters_gets_ascii():
    stream = _Stream(encoding="ascii")

    print_report(a_full_report(), stream)

    assert stream.getvalue().isascii()
    assert "+-" in stream.getvalue()


def test_encodable_text_is_unchanged():
    assert encodable("±", "latin-1") == "±"
    assert encodable("✓", "latin-1") == "ok"


# --- Numbers. ---


@pytest.mark.parametrize(
    ("value", "text"),
    [(9.996, "10.0"), (0.0123456, "0.0123"), (1234.5, "1,234"), (0.0, "0"), (None, "—")],
)
def test_numbers_have_three_digits(value, text):
    assert significant(value) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (9.9124, 9.8784, 9.9464, "9.91 ±0.03"),
        (9.9124, 9.899, 9.9258, "9.912 ±0.013"),
        (38.06, 35.96, 40.16, "38.1 ±2.1"),
        (1234.0, 1024.0, 1444.0, "1,234 ±210"),
        (10.0, 10.0, 10.0, "10.0 ±0"),
        (10.0, None, 10.5, "10.0"),
        (10.0, 9.999999999, 10.000000001, "10.000 ±0.001"),
        (26.9, 26.0, 36.0, "26.9 [26.0–36.0]"),
        (26.9, 26.9, 36.0, "26.9 [26.9–36.0]"),
        (257.0, 1.93, 568.0, "257 [1.9–568]"),
        (1234.0, 1229.0, 1301.0, "1,234 [1,229–1,301]"),
        (9.9124, 9.911, 9.9128, "9.912 [9.911–9.913]"),
    ],
)
def test_an_interval_is_plus_minus_only_if_it_is_symmetric(value, low, high, text):
    assert estimate_text(value, Interval(estimate=value, low=low, high=high)) == text


def test_an_interval_has_enough_digits_to_differ():
    assert interval_text(3.72, 3.91, 4.08) == ("3.7", "3.9", "4.1")
    assert interval_text(3.911, 3.912, 3.913) == ("3.911", "3.912", "3.913")
    assert interval_text(1.73, 133.0, 422.0) == ("1.7", "133", "422")


@pytest.mark.parametrize(
    ("ms", "text"),
    [(0.0081, "8.1 µs"), (412.0, "412 ms"), (6100.0, "6.1 s"), (300_000.0, "5.0 min")],
)
def test_durations_have_a_suitable_unit(ms, text):
    assert duration_text(ms) == text


def test_sizes_counts_and_errors_are_readable():
    assert bytes_text(18 * 2**20) == "18 MiB"
    assert bytes_text(12) == "12 B"
    assert [percent_text(share) for share in (0.05, 0.025, 13.9)] == ["5%", "2.5%", "1,390%"]
    assert [count_text(value) for value in (220.4, 1203.2, 401_731)] == ["221", "1,210", "402,000"]
    assert [rate_text(value) for value in (26.27, 1234.4, 366_581.2)] == [
        "26.3",
        "1,234",
        "366,581",
    ]
    assert [error_text(value) for value in (2.4e-6, 0.0, 0.31)] == ["2e-06", "0", "0.31"]


# --- CSV. ---


def _csv_rows(report):
    return list(csv.DictReader(io.StringIO(report.to_csv())))


def test_csv_has_a_line_for_each_row_and_numbers_in_full():
    rows = _csv_rows(a_report(a_row(p50_ms=1 / 3), a_failed_row()))

    assert [row["label"] for row in rows] == ["torch", "tvm"]
    assert float(rows[0]["p50_ms"]) == 1 / 3
    assert rows[1]["p50_ms"] == ""
    assert rows[1]["error_phase"] == "load"


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\n", "＝"])
def test_text_that_a_spreadsheet_would_execute_is_escaped(sign):
    rows = _csv_rows(a_report(a_row(f"{sign}cmd|' /C calc'!A0")))

    assert rows[0]["label"] == f"'{sign}cmd|' /C calc'!A0"


def test_a_carriage_return_in_a_text_does_not_break_the_file():
    rows = _csv_rows(a_report(a_row(warnings=["\r=1+1", "a\r\nb"])))

    assert rows[0]["warnings"] == "'\n=1+1; a\nb"


def test_negative_numbers_stay_numbers():
    parity = Parity(status="fail", cosine=-0.5)

    assert _csv_rows(a_report(a_row(parity=parity)))[0]["parity_cosine"] == "-0.5"


def test_line_ends_and_quotes_in_a_text_survive():
    rows = _csv_rows(a_report(a_row(warnings=['a "b",\nc'])))

    assert rows[0]["warnings"] == 'a "b",\nc'


# --- Markdown and HTML. ---


def test_markdown_contains_one_well_formed_table():
    lines = [line for line in a_full_report().to_markdown().splitlines() if line.startswith("|")]

    assert len(lines) == 2 + 4
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_markdown_escapes_names():
    text = a_report(a_row("a|b*c<d>`e`@f", engine_name="torch")).to_markdown()

    assert r"a\|b\*c\<d\>\`e\`\@f" in text


def test_markdown_fences_a_command_that_has_fences_in_it():
    text = a_report(a_row(), command="lexer ```` x").to_markdown()

    assert "`````console\nlexer ```` x\n`````" in text


class _Tags(HTMLParser):
    """Collects the tags that are open and the text between them."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.text = [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_is_balanced_and_escapes_what_it_shows():
    row = a_row("<script>alert(1)</script>", engine_name="torch")
    page = a_report(row, a_failed_row())._repr_html_()

    tags = _Tags()
    tags.feed(page)

    assert tags.open == []
    assert "script" not in tags.seen
    assert "<script>alert(1)</script>" in tags.text


def test_html_shows_the_same_numbers_as_the_table():
    tags = _Tags()
    tags.feed(a_full_report()._repr_html_())

    for column in lay_out(a_full_report()).columns:
        for cell in column.cells:
            assert cell in tags.text


# --- Files. ---


def test_a_file_is_replaced_atomically_and_keeps_its_mode(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("old")
    path.chmod(0o640)

    write_text(path, "new")

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_writing_through_a_link_keeps_the_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)

    write_text(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"


def test_text_that_cannot_be_encoded_is_escaped(tmp_path):
    write_text(tmp_path / "log", "half a pair: \ud800")

    assert (tmp_path / "log").read_text() == "half a pair: \\ud800"


def test_checking_a_file_leaves_nothing_behind(tmp_path):
    check_writable(tmp_path / "results.json")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_found_in_advance(tmp_path):
    (tmp_path / "file").touch()

    for path in (tmp_path, tmp_path / "missing" / "a.json", tmp_path / "file" / "a.json"):
        with pytest.raises(OutputFileError, match=re.escape(str(path))):
            check_writable(path)


def test_an_interval_that_is_open_shows_no_half_width():
    row = a_row(intervals={"p50_ms": Interval(estimate=38.06, low=30.0, high=None)})

    assert "±" not in _row_of(a_report(row), "Torch")


@pytest.mark.parametrize(
    ("confidence", "text"),
    [(0.95, "95%"), (0.975, "97.5%"), (0.9985, "99.8%"), (0.99996, "99.9%"), (0.9, "90%")],
)
def test_a_confidence_level_is_rounded_down_and_never_certain(confidence, text):
    assert confidence_text(confidence) == text


def test_columns_are_aligned_on_a_stream_without_unicode(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # all columns next to each other
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding="ascii")

    print_report(a_full_report(), stream)
    stream.flush()

    lines = buffer.getvalue().decode("ascii").splitlines()
    heading = next(line for line in lines if line.startswith("engine"))
    at = heading.index("outputs")
    rows = [line for line in lines if line.startswith(("ONNXRuntime ", "Torch ", "int8 "))]
    assert [line[at : at + 2] for line in rows[:3]] == ["ok", "ok", "NO"]


def test_a_reason_that_all_engines_share_is_stated_once():
    failure = Failure(phase="resolve", kind="X", reason="no device 'cuda' here", hint="Only cpu.")
    rows = [a_failed_row(error=failure), a_failed_row("b", "B", error=failure)]

    text = a_report(*rows).to_text()

    assert text.count("no device 'cuda' here") == 1
    assert text.count("Only cpu.") == 1
    assert "TVM and B failed before it started" not in text
    assert "\nNothing was measured.\n" in f"{text}\n"


def test_installed_engines_that_were_not_run_are_listed():
    report = a_report(a_row(), not_run=("torch-compile",))

    assert "Also installed, not run: torch-compile (--engine torch-compile)" in report.to_text()
    assert BenchmarkReport.from_json(report.to_json()).not_run == ("torch-compile",)
