"""Is the HTML page complete, safe and accessible?"""

from __future__ import annotations

import itertools
import re

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from page_samples import (
    HOSTILE,
    a_canary,
    a_hostile_report,
    a_profiled_report,
    a_sampled_report,
    a_sampled_row,
    cells_of,
    read_page,
)
from report_samples import a_comparison, a_full_report, a_report, a_row

from lexer_core.cli.main import run
from lexer_core.cli.report import report as report_command
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.page import report_page
from lexer_core.reporting.page.figure_layout import log_axis
from lexer_core.reporting.table_layout import lay_out
from lexer_core.results import Environment

matplotlib = pytest.importorskip("matplotlib", reason="needs lexer-core[report]")
figure = pytest.importorskip("matplotlib.figure")
pytest.importorskip("jinja2", reason="needs lexer-core[report]")
pytestmark = pytest.mark.extras


@pytest.fixture(scope="module")
def html():
    return report_page(a_sampled_report(canary=a_canary()))


@pytest.fixture(scope="module")
def page(html):
    return read_page(html)


@pytest.fixture(scope="module")
def hostile():
    return report_page([a_hostile_report(), a_hostile_report()])


@pytest.fixture(scope="module", params=["one", "several", "hostile", "empty", "from JSON"])
def any_page(request, html, hostile):
    made = {
        "one": lambda: html,
        "several": lambda: report_page([a_sampled_report(), a_full_report()]),
        "hostile": lambda: hostile,
        "empty": lambda: report_page(BenchmarkReport()),
        "from JSON": lambda: report_page(BenchmarkReport.from_dict(a_full_report().to_dict())),
    }
    return read_page(made[request.param]())


def _text_of(cell):
    return " ".join(cell.split())


# --- What it says. ---


def test_the_tables_have_the_numbers_of_the_terminal_and_the_notebook():
    report = a_full_report()
    columns = lay_out(report).columns

    on_page = cells_of(read_page(report_page(report)))
    in_notebook = next(iter(cells_of(read_page(report._repr_html_())).values()))

    speed = [column for column in columns if column.group == "speed"]
    cost = [columns[0], *(column for column in columns if column.group == "cost")]
    for found, shown in (
        (on_page["All engines, fastest first"], speed),
        (on_page["Costs"], cost),
        (in_notebook, columns),
    ):
        assert found[0] == [column.heading for column in shown]
        for at, row in enumerate(found[1:]):
            assert row == [_text_of(column.cells[at]) for column in shown]


def test_it_begins_with_the_verdict(page):
    verdicts = [
        each.text for each in page.all("p") if "verdict" in each.attributes.get("class", "")
    ]

    assert page.all("h1")[0].text == "AmazingNet"
    assert verdicts == list(a_sampled_report().sentences)
    assert "3.2x faster than Torch (95% 3.0-3.4)" in verdicts[0]


def test_the_condition_of_the_machine_follows_the_verdict(page):
    paragraphs = page.all("p")
    (at,) = [
        at for at, each in enumerate(paragraphs) if each.attributes.get("class") == "condition"
    ]

    assert "verdict" in paragraphs[at - 1].attributes["class"]
    assert paragraphs[at].text == (
        "Quiet machine: latencies moved by 1% during the run; absolute times are good to ±2%."
    )


def test_the_medians_are_the_first_plot(page):
    first = page.all("figure")[0]

    assert first.all("h3")[0].text == "Median latency"
    assert [row[0::2] for row in next(iter(cells_of(first).values()))[1:]] == [
        ["ONNXRuntime", "3.2x [3.0–3.4]"],
        ["Torch", "baseline"],
    ]


def test_the_heading_is_the_target_as_typed():
    page = read_page(report_page(a_sampled_report(target="shop.py:make")))

    assert page.all("h1")[0].text == "shop.py:make (AmazingNet)"


def test_every_caveat_is_on_the_page():
    notes = [f"note {at}" for at in range(9)]

    page = read_page(report_page(a_sampled_report(notes=notes)))

    items = [each.text for each in page.all("li")]
    assert set(notes) <= set(items)
    assert "ONNXRuntime: samples are autocorrelated (0.31)" in items


def test_every_section_is_present_in_order(page):
    assert [each.text for each in page.all("h2")] == [
        "Results",
        "Latency",
        "Over time",
        "Ratios",
        "Costs",
        "Outputs",
        "Diagnosis",
        "Environment",
        "How to reproduce",
    ]
    assert len(page.all("figure")) == 6


def test_an_empty_section_is_left_out():
    headings = [each.text for each in read_page(report_page(BenchmarkReport())).all("h2")]

    assert "Ratios" not in headings
    assert "Costs" not in headings


def test_a_row_that_failed_says_why_and_what_it_printed():
    report = a_full_report()
    failed = report["tvm"]
    log = "Traceback (most recent call last):\n  <frame>"
    failed = attrs.evolve(failed, error=attrs.evolve(failed.error, log=log))

    page = read_page(report_page(attrs.evolve(report, results=(*report.results[:3], failed))))

    assert "TVM failed while loading the model: the worker died of SIGSEGV." in page.text
    assert "Its log: …" in page.text
    (shown,) = [each for each in page.all("details") if "Output of the TVM process" in each.text]
    assert "Traceback (most recent call last): <frame>" in shown.text


def test_a_report_without_samples_says_what_it_cannot_draw():
    report = BenchmarkReport.from_dict(a_sampled_report().to_dict())

    page = read_page(report_page(report))

    assert "Torch: this report has no raw samples of it" in page.text
    assert "ONNXRuntime: this report has no raw samples of it" in page.text
    titles = [each.all("h3")[0].text for each in page.all("figure")]
    assert titles == ["Median latency", "Speed ratios", "Start-up time and memory"]


def test_descriptions_for_screen_readers_contain_the_numbers(page):
    descriptions = [each.text for each in page.all("desc")]

    report = a_sampled_report()
    for text in descriptions[:6]:
        assert f"median {report['torch'].p50_ms:.1f}" in text
    assert any("ONNXRuntime vs. Torch: faster, 3.2x (95% 3.0-3.4)" in t for t in descriptions)
    assert any("Load: ONNXRuntime 310 ms, Torch 310 ms." in text for text in descriptions)


def test_every_plot_has_its_numbers_in_a_table(page):
    for figure in page.all("figure"):
        (table,) = figure.all("table")
        assert len(table.all("tr")) > 1

    tables = cells_of(page)
    (ratio,) = tables["All comparisons; above 1, the first engine is faster"][1:]
    assert ratio[:6] == ["ONNXRuntime vs. Torch", "3.2", "95% 3.0-3.4", "faster", "±2%", "31"]
    percentiles = next(rows for caption, rows in tables.items() if caption.startswith("Percent"))
    row = a_sampled_report()["torch"]
    assert percentiles[2][:2] == ["Torch", "300"]
    assert float(percentiles[2][7]) == pytest.approx(row.max_ms, rel=0.01)


def test_the_slowest_sample_is_in_the_text(page):
    slowest = a_sampled_report()["torch"].max_ms

    assert f"slowest {slowest:.0f} ms" in page.text


def test_captions_say_that_samples_are_means_of_calls():
    report = a_report(a_sampled_row(loops=17))

    page = read_page(report_page(report))

    captions = [each.text for each in page.all("figcaption")]
    assert sum("the mean of several calls (Torch: 17)" in text for text in captions) == 2


def test_warm_up_and_reference_workload_are_drawn_if_they_were_saved(page):
    without = attrs.evolve(a_sampled_row(), warm_up_samples=None, warm_up_launches=None)
    bare = read_page(report_page(a_report(without)))

    assert "warm-up, which is not part of the samples" in page.text
    assert "This report has no warm-up samples." in bare.text
    assert "reference workload" in [each.text for each in page.all("li")]
    assert "reference workload" not in bare.text


def test_pairs_that_are_not_drawn_are_in_the_table():
    rows = [a_row(f"e{at}", f"E{at}", 10.0 + at) for at in range(5)]
    pairs = [
        a_comparison(f"e{a}", f"e{b}", (0.9, 1.0, 1.1), "undecided")
        for a in range(5)
        for b in range(a + 1, 5)
    ]

    page = read_page(report_page(a_report(*rows, comparisons=pairs)))

    assert "Not drawn: 6 more pairs" in page.text
    assert len(cells_of(page)["All comparisons; above 1, the first engine is faster"]) == 11


def test_a_ratio_that_is_not_a_number_is_not_drawn():
    nothing = a_comparison(ratio=(0.0, float("nan"), 0.0), verdict="none", reason="no rounds")
    rows = [a_row(), a_row("onnxruntime", "ONNXRuntime")]

    page = read_page(report_page(a_report(*rows, comparisons=[nothing])))

    assert "Ratios" not in [each.text for each in page.all("h2")]
    assert "no rounds" in page.text


def test_the_command_is_shown_verbatim():
    command = "lexer benchmark net.py:Net --input 'image=float32[1,3]' && rm -rf \"$HOME\""

    page = read_page(report_page(a_sampled_report(command=command)))

    assert command in [each.text for each in page.all("code")]


# --- Axes. ---


@given(st.floats(1e-6, 1e6), st.floats(1.0, 1e9), st.sampled_from([4, 9]))
def test_a_logarithmic_axis_has_a_few_ticks_within_it(low, ratio, most):
    axes = figure.Figure().add_subplot()

    log_axis(axes, "x", low, low * ratio, most)

    begin, end = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if begin <= tick <= end]
    assert 1 <= len(ticks) <= most
    assert all(label.get_text() for label in axes.get_xticklabels())


def test_labels_of_an_axis_fit_within_the_figure():
    rows = [a_sampled_row(rounds=5000, per_round=40)]

    page = read_page(report_page(a_report(*rows)))

    labels = [each for each in page.all("text") if each.text.startswith("1 in ")]
    assert "1 in 10,000" in [each.text for each in labels]
    for label in labels:
        # In a sans-serif font of 12 pixels, a digit is about 6.7 pixels wide.
        assert "text-anchor: end" in label.attributes["style"]
        assert float(label.attributes["x"]) > 6.7 * len(label.text)


# --- Very many samples. ---


def test_a_million_samples_make_a_small_file_that_says_what_is_not_drawn():
    rows = [
        a_sampled_row("torch", "Torch", rounds=5000, per_round=100, warm_up=5000),
        a_sampled_row("ort", "ONNXRuntime", 6.0, rounds=5000, per_round=100, seed=1),
    ]

    html = report_page(a_report(*rows))

    assert len(html.encode()) < 3_000_000
    text = read_page(html).text
    assert "Torch: 500,000 samples, up to 1,667 per group" in text
    assert "the light band holds nine tenths of a group" in text
    assert "of 500,000 samples): they are chosen evenly by rank" in text
    assert "the median of up to 9 round medians per point" in text
    for row in rows:
        assert f"slowest {row.max_ms:.3g} ms" in text


def test_many_engines_still_make_a_small_file():
    rows = [a_sampled_row(f"e{at}", f"E{at}", 5.0 + at, seed=at, per_round=49) for at in range(12)]

    html = report_page(a_report(*rows))

    assert len(html.encode()) < 3_000_000


# --- Several runs. ---


def test_several_runs_are_side_by_side_and_each_has_its_own_part():
    other = attrs.evolve(
        a_sampled_report(), environment=Environment(cpu_model="Xeon", cores_usable=4)
    )

    page = read_page(report_page([a_sampled_report(), other], names=["before", "after"]))

    tables = cells_of(page)
    assert [row[0] for row in tables["All runs side by side"]] == [
        "engine",
        "Torch · before",
        "Torch · after",
        "ONNXRuntime · before",
        "ONNXRuntime · after",
        "TVM · before",
        "TVM · after",
    ]
    assert ["processor", "EPYC", "Xeon"] in tables["Differences between the runs"]
    assert "model" not in [row[0] for row in tables["Differences between the runs"]]
    assert [each.text for each in page.all("h2")] == [
        "Overview",
        "before: AmazingNet",
        "after: AmazingNet",
    ]
    assert "measured at different times" in page.text
    assert len(page.all("article")) == 2


def test_runs_side_by_side_keep_units_of_their_own():
    fast = a_report(a_row(p50=0.02), a_row("ort", "ONNXRuntime", 0.01))
    slow = a_report(a_row(p50=40.0), a_row("ort", "ONNXRuntime", 20.0))

    overview = cells_of(read_page(report_page([fast, slow])))["All runs side by side"]
    alike = cells_of(read_page(report_page([slow, slow])))["All runs side by side"]

    columns = list(zip(*overview, strict=True))
    (medians,) = (column for column in columns if column[0] == "p50")
    (tails,) = (column for column in columns if column[0] == "p99")
    assert [cell.lstrip("\N{FIGURE SPACE}") for cell in medians[1:]] == [
        "20.00 ±0.06 µs",
        "40.00 ±0.12 ms",
        "10.00 ±0.03 µs",
        "20.00 ±0.06 ms",
    ]
    assert tails[1:] == ("26.0 µs", "52.0 ms", "13.0 µs", "26.0 ms")
    assert "p50 (ms)" in alike[0]


def test_a_rank_is_not_compared_across_runs():
    page = read_page(report_page([a_sampled_report(), a_sampled_report()]))

    assert "rank" not in cells_of(page)["All runs side by side"][0]


def test_runs_with_the_same_name_are_numbered():
    page = read_page(report_page([a_sampled_report()] * 3, names=["run", "run", "run"]))

    assert [each.text for each in page.all("h2")][1:] == [
        "run: AmazingNet",
        "run (2): AmazingNet",
        "run (3): AmazingNet",
    ]


def test_runs_without_measurements_make_a_page():
    page = read_page(report_page([BenchmarkReport(), BenchmarkReport()]))

    assert len(page.all("article")) == 2


@pytest.mark.parametrize(("reports", "names"), [([], []), ([BenchmarkReport()] * 2, ["only one"])])
def test_no_report_or_too_few_names_are_an_error(reports, names):
    with pytest.raises(ValueError, match=r"at least one|1 names"):
        report_page(reports, names=names)


# --- That it is safe. ---


def test_markup_in_a_name_is_escaped(hostile):
    page = read_page(hostile)

    assert not page.all("script", "img", "iframe", "object", "embed", "form", "base")
    for element in page.all():
        assert not [name for name in element.attributes if name.startswith("on")]
    # In the title, the table, the plots and their descriptions alike.
    for tag in ("h2", "th", "td", "code", "li", "desc", "text", "summary"):
        assert any("window.hacked" in each.text for each in page.all(tag)), tag
    assert HOSTILE in page.text
    alone = read_page(report_page(a_hostile_report()))
    assert HOSTILE in alone.all("h1")[0].text
    assert HOSTILE in alone.all("title")[0].text


def test_control_characters_do_not_reach_the_page(hostile):
    assert "\x1b" not in hostile
    assert "\u202e" not in hostile


def test_the_content_security_policy_forbids_scripts_and_the_network(any_page):
    (policy,) = [
        each.attributes["content"]
        for each in any_page.all("meta")
        if each.attributes.get("http-equiv") == "Content-Security-Policy"
    ]

    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_in_a_page_refers_to_anything_outside(any_page):
    for element in any_page.all():
        for name in ("href", "src", "srcset", "action", "data", "xlink:href", "poster"):
            address = element.attributes.get(name, "#")
            assert address.startswith("#") or address == "data:,", f"{element.tag} {address}"
        for value in (element.attributes.get("style", ""), element.attributes.get("clip-path", "")):
            assert all(name.startswith("#") for name in re.findall(r"url\(([^)]*)", value))
    (style,) = any_page.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


# --- That it can be read. ---


def test_a_page_has_a_language_a_title_and_one_main_heading(any_page):
    assert any_page.all("html")[0].attributes["lang"] == "en"
    assert any_page.all("title")[0].text
    assert len(any_page.all("h1")) == 1
    assert len(any_page.all("main")) == 1


def test_headings_skip_no_level(any_page):
    levels = [int(each.tag[1]) for each in any_page.all("h1", "h2", "h3", "h4", "h5", "h6")]

    assert levels[0] == 1
    for one, other in itertools.pairwise(levels):
        assert other <= one + 1


def test_ids_are_unique_and_references_resolve(any_page):
    ids = [each.attributes["id"] for each in any_page.all() if "id" in each.attributes]

    assert len(set(ids)) == len(ids)
    for element in any_page.all():
        link = element.attributes.get("href", "")
        referred = [link[1:]] if link.startswith("#") else []
        referred += element.attributes.get("aria-labelledby", "").split()
        referred += re.findall(r"url\(#([^)]+)\)", element.attributes.get("clip-path", ""))
        assert set(referred) <= set(ids)


def test_every_picture_has_a_name_and_a_description_or_is_hidden(any_page):
    for svg in any_page.all("svg"):
        if svg.attributes.get("aria-hidden") == "true":
            continue
        assert svg.attributes["role"] == "img"
        for name in svg.attributes["aria-labelledby"].split():
            assert svg.by_id(name).text


def test_every_table_has_a_caption_and_headings_with_a_scope(any_page):
    for table in any_page.all("table"):
        assert table.all("caption")[0].text
        head, *body = table.all("tr")
        assert all(cell.attributes["scope"] == "col" for cell in head.all("th"))
        for row in body:
            assert [cell.attributes["scope"] for cell in row.all("th")] == ["row"]
            assert len(row.all("th", "td")) == len(head.all("th"))


def test_scrolling_areas_have_a_name_and_are_reachable_by_keyboard(any_page):
    areas = [each for each in any_page.all() if "scroll" in each.attributes.get("class", "")]

    for area in areas:
        assert area.attributes["tabindex"] == "0"
        assert area.attributes["role"] == "region"
        named = area.attributes.get("aria-labelledby")
        assert area.attributes.get("aria-label") or any_page.by_id(named).text
    within = {id(table) for area in areas for table in area.all("table")}
    assert all(id(table) in within for table in any_page.all("table"))


def test_plots_take_every_colour_from_the_theme(any_page):
    for svg in any_page.all("svg"):
        for element in [svg, *svg.all()]:
            for name in ("style", "fill", "stroke"):
                assert not re.search(r"#[0-9a-f]{3}|rgb", element.attributes.get(name, ""))


def test_every_plot_exists_in_a_wide_and_a_narrow_version(page):
    for figure in page.all("figure"):
        boxes = {
            each.attributes["class"]: each.all("svg")[0].attributes["viewbox"].split()
            for each in figure.all("div")
            if each.attributes.get("class") in ("wide", "narrow")
        }
        assert float(boxes["wide"][2]) == 880
        assert float(boxes["narrow"][2]) == 350


# --- That it depends on nothing else. ---


def test_the_same_report_makes_the_same_page():
    assert report_page(a_sampled_report()) == report_page(a_sampled_report())


def test_the_users_matplotlib_settings_have_no_effect_and_are_unchanged():
    expected = report_page(a_sampled_report())
    with matplotlib.rc_context({"font.size": 40, "axes.grid": True, "lines.color": "red"}):
        before = dict(matplotlib.rcParams)

        found = report_page(a_sampled_report())

        assert dict(matplotlib.rcParams) == before
    assert found == expected


def test_a_name_in_any_script_is_drawn_without_a_warning():
    page = read_page(report_page(a_report(a_sampled_row("torch", "引擎 × 🚀"))))

    assert "引擎 × 🚀" in [each.text for each in page.all("text")]


def test_one_sample_makes_a_page():
    row = a_sampled_row(rounds=1, per_round=1)

    assert report_page(a_report(attrs.evolve(row, samples=np.array([0.01]))))


# --- The command, and the methods. ---


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("monday", "tuesday"):
        a_sampled_report().to_json(f"{name}.json")
    return tmp_path


def test_the_command_writes_a_page_and_says_how_large_it_is(saved):
    result = CliRunner().invoke(report_command, ["monday.json", "-o", "report.html"])

    assert result.exit_code == 0, result.output
    assert re.fullmatch(r"Wrote report.html: \d+ KiB\.\n", result.output)
    page = read_page((saved / "report.html").read_text(encoding="utf-8"))
    assert page.all("h1")[0].text == "AmazingNet"


def test_the_command_names_several_runs_after_their_files(saved):
    CliRunner().invoke(report_command, ["monday.json", "tuesday.json", "-o", "both.html"])

    page = read_page((saved / "both.html").read_text(encoding="utf-8"))
    assert [each.text for each in page.all("h2")] == [
        "Overview",
        "monday: AmazingNet",
        "tuesday: AmazingNet",
    ]


def test_a_page_of_a_saved_run_has_its_samples(saved):
    from lexer_core.artifact import save

    save(a_sampled_report(), "run.lexer")

    assert run(["report", "run.lexer", "-o", "report.html"]) == 0

    page = read_page((saved / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("figure")) == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.lexer", "-o", "page.html"], "file 'none.lexer' does not exist"),
        (["broken.json", "-o", "page.html"], "'broken.json' cannot be read as a Lexer run"),
        (["broken.lexer", "-o", "page.html"], "broken.lexer"),
        (["monday.json", "-o", "none/page.html"], "cannot write"),
        (["monday.json", "-o", "./monday.json"], "is one of the runs"),
        (["monday.json"], "--output"),
    ],
)
def test_what_cannot_be_read_or_written_is_an_error_and_leaves_nothing(
    arguments, said, saved, capsys
):
    (saved / "broken.json").write_text("{")
    (saved / "broken.lexer").write_text("no zip")
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    status = run(["report", *arguments])

    assert status == 2
    assert said in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_report_writes_its_own_page(tmp_path):
    html = a_sampled_report().to_html(tmp_path / "report.html")

    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html
    assert read_page(html).all("h1")[0].text == "AmazingNet"


# --- Profiles. ---


def test_a_profile_is_drawn_with_the_same_parts_for_every_engine():
    page = read_page(report_page(a_profiled_report()))

    (figure,) = [each for each in page.all("figure") if each.attributes["id"].endswith("modules")]
    legend = [item.text.strip() for item in figure.all("li")]
    assert legend[0] == "1 stem"
    assert legend[-2:] == ["other modules", "unattributed"]
    (description,) = {each.text for each in figure.all("desc")}
    assert description.startswith("ONNXRuntime: stem 9%, encoder.layers.0")
    rows = cells_of(page)["Time in ms per call and its share, by module"]
    assert rows[0] == ["module", "ONNXRuntime", "Torch"]
    assert rows[1][0] == "stem"


def test_an_engine_that_cannot_be_profiled_says_so_on_the_page():
    assert "TVM: not available: the engine cannot tell" in report_page(a_profiled_report())


def test_a_benchmark_that_was_not_profiled_has_no_section_for_it(page):
    assert "Where the time goes" not in [each.text for each in page.all("h2")]
