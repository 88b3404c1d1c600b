"""The page in a browser; skipped without Chromium.

One browser for all tests. ``CHROMIUM`` may name the program.
"""

from __future__ import annotations

import pytest
from chromium import Chromium, find_chromium
from page_samples import (
    a_canary,
    a_hostile_report,
    a_profiled_report,
    a_sampled_report,
    a_sampled_row,
)
from report_samples import a_comparison, a_report

from lexer_core.reporting.page import report_page

pytest.importorskip("matplotlib", reason="needs lexer-core[report]")
pytest.importorskip("jinja2", reason="needs lexer-core[report]")

PHONE, DESKTOP = 390, 1280
LONG_COMMAND = "lexer benchmark net.py:Net --input 'image=float32[1,3,224,224]' --engine torch " * 3

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.extras,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium was found; install it, or name it in $CHROMIUM"
    ),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(CHROMIUM, tmp_path_factory.mktemp("browser")) as started:
        yield started


def _long_names():
    label = "onnxruntime[graph_optimization_level=extended,execution_mode=parallel,spinning=off]"
    rows = [
        a_sampled_row(),
        a_sampled_row(label, "ONNXRuntime", 6.0, seed=1, engine_name="onnxruntime"),
        a_sampled_row("很长的引擎名称" * 6, "引擎", 7.0, seed=2, engine_name="x"),
    ]
    pairs = [a_comparison(b=row.label) for row in rows[1:]]
    return a_report(*rows, comparisons=pairs)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    reports = {
        "one": a_sampled_report(canary=a_canary(), command=LONG_COMMAND),
        "several": [a_sampled_report(), a_sampled_report()],
        "hostile": a_hostile_report(),
        "long": _long_names(),
        "profiled": a_profiled_report(),
    }
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(report_page(report), encoding="utf-8")
    return folder


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", ["one", "several", "hostile", "long", "profiled"])
def test_a_page_makes_no_requests_and_fits_the_window(name, width, dark, browser, files):
    path = files / f"{name}.html"

    page = browser.open(path, width=width, dark=dark)

    assert page.messages() == []
    # The icon is empty, and within the page.
    assert [url for url in page.requests() if url != "data:,"] == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 22, 27)" if dark else "rgb(255, 255, 255)")


def test_markup_in_a_name_does_not_run(browser, files):
    page = browser.open(files / "hostile.html")

    assert page.evaluate("typeof window.hacked") == "undefined"
    assert page.evaluate("document.images.length + document.scripts.length") == 0


def test_a_script_would_not_run_in_a_page(browser, files):
    altered = (files / "one.html").read_text(encoding="utf-8")
    path = files / "altered.html"
    path.write_text(
        altered.replace(
            "<main",
            "<script>window.hacked = 1</script><img src='https://example.invalid/x.png'><main",
        ),
        encoding="utf-8",
    )

    page = browser.open(path)

    assert page.evaluate("typeof window.hacked") == "undefined"
    # The two are refused, and the console says so: the test above can see what it looks for.
    assert len([text for text in page.messages() if "Content Security Policy" in text]) >= 2


@pytest.mark.parametrize("width", [PHONE, 768, DESKTOP])
def test_each_plot_is_shown_once_and_its_text_can_be_read(width, browser, files):
    page = browser.open(files / "one.html", width=width)

    shown = page.evaluate("""
        [...document.querySelectorAll("figure")].map(figure =>
            [...figure.querySelectorAll("svg.plot")].filter(svg => svg.checkVisibility()).length)
    """)
    smallest = page.evaluate("""
        Math.min(...[...document.querySelectorAll("svg.plot text")]
            .filter(text => text.checkVisibility())
            .map(text => parseFloat(getComputedStyle(text).fontSize)
                * text.getScreenCTM().a))
    """)

    assert shown == [1] * 6
    assert smallest >= 9.5


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", ["one", "long", "profiled"])
def test_no_text_of_a_plot_is_cut_off(name, width, browser, files):
    page = browser.open(files / f"{name}.html", width=width)

    outside = page.evaluate("""
        [...document.querySelectorAll("svg.plot text")]
            .filter(text => text.checkVisibility())
            .filter(text => {
                const inner = text.getBoundingClientRect();
                const outer = text.closest("svg").getBoundingClientRect();
                return inner.left < outer.left - 1 || inner.right > outer.right + 1
                    || inner.top < outer.top - 3 || inner.bottom > outer.bottom + 3;
            })
            .map(text => text.textContent)
    """)

    assert outside == []


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_numbers_are_within_their_parts_of_the_bars(width, browser, files):
    page = browser.open(files / "profiled.html", width=width)

    outside = page.evaluate("""
        [...document.querySelectorAll("figure[id$=modules] svg.plot")]
            .filter(svg => svg.checkVisibility())
            .flatMap(svg => [...svg.querySelectorAll("text")]
                .filter(text => /^[0-9]+$/.test(text.textContent)
                    && getComputedStyle(text).fontWeight >= 600)
                .map(text => text.getBoundingClientRect())
                .map(text => [...svg.querySelectorAll("path")]
                    .map(path => path.getBoundingClientRect())
                    .some(bar => bar.left <= text.left + 1 && text.right - 1 <= bar.right
                        && bar.top <= text.top + 6 && text.bottom - 6 <= bar.bottom)))
    """)

    assert len(outside) >= 8
    assert all(outside)


def test_on_a_phone_the_results_and_the_command_need_no_scrolling(browser, files):
    page = browser.open(files / "one.html", width=PHONE)

    wider = page.evaluate("""
        [...document.querySelectorAll("table.stacked, pre")]
            .filter(each => each.checkVisibility())
            .filter(each => each.scrollWidth > each.clientWidth + 1
                || each.getBoundingClientRect().right > innerWidth)
            .map(each => each.innerText.slice(0, 60))
    """)
    labels = page.evaluate("""
        [...document.querySelectorAll("table.stacked td:not(.missing)")]
            .filter(each => each.checkVisibility())
            .map(each => getComputedStyle(each, "::before").content)
    """)

    assert wider == []
    assert {'"p50 (ms)"', '"speed"', '"outputs"'} <= set(labels)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_table_that_goes_on_to_the_right_has_a_shadow_there(dark, browser, files):
    page = browser.open(files / "several.html", width=800, dark=dark)

    hidden = page.evaluate("""
        (() => {
            const box = document.querySelector("div.scroll");
            return box.scrollWidth - box.clientWidth;
        })()
    """)
    style = page.evaluate("""
        (() => {
            const style = getComputedStyle(document.querySelector("div.scroll"));
            const images = style.backgroundImage.split("linear-gradient");
            return [style.backgroundAttachment, images.length];
        })()
    """)

    assert hidden > 0
    # The cover moves with the table, and the shadow stays at the edge of the window.
    assert style == ["local, scroll", 3]


def test_a_reader_with_a_keyboard_reaches_links_folds_and_what_scrolls(browser, files):
    page = browser.open(files / "one.html", width=PHONE)
    wanted = page.evaluate("document.querySelectorAll('a, summary, [tabindex]').length")
    folded = page.evaluate(
        "[...document.querySelectorAll('details:not([open]) [tabindex]')].length"
    )

    reached = []
    for _ in range(wanted - folded):
        for kind in ("rawKeyDown", "keyUp"):
            page.call(
                "Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9
            )
        reached.append(page.evaluate("document.activeElement.outerHTML.slice(0, 60)"))

    assert 'class="skip"' in reached[0]
    assert len({*reached}) > 15
    kinds = {text.split(">")[0].split()[0] for text in reached}
    assert {"<a", "<summary", "<div"} <= kinds
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_screen_reader_finds_the_parts_of_a_page_by_name(width, browser, files):
    page = browser.open(files / "one.html", width=width)

    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    ]

    roles = {role for role, _ in named}
    assert {"main", "navigation", "heading", "table", "columnheader", "rowheader"} <= roles
    for role, name in named:
        if role in ("image", "img", "region", "table", "link", "heading", "columnheader"):
            assert name, f"a {role} without a name"
    # Chromium calls an svg of the role img an image.
    pictures = [name for role, name in named if role in ("image", "img")]
    assert len(pictures) == 6
    described = [
        node["description"]["value"]
        for node in nodes
        if node.get("role", {}).get("value") in ("image", "img") and node.get("description")
    ]
    median = f"median {a_sampled_report()['torch'].p50_ms:.1f}"
    assert len([text for text in described if median in text]) == 4


def test_on_paper_folds_are_open_and_links_are_gone(browser, files):
    page = browser.open(files / "one.html", width=718, dark=True)
    folded = "document.querySelector('figure details td').checkVisibility()"
    assert page.evaluate(folded) is False

    page.emulate(media="print", dark=True)

    assert page.evaluate(folded) is True
    assert page.evaluate("document.querySelector('nav').checkVisibility()") is False
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)"
    assert page.evaluate(
        "[...document.querySelectorAll('svg.plot')].filter(s => s.checkVisibility()).length"
    ) == page.evaluate("document.querySelectorAll('figure').length")


def test_a_page_can_be_printed(browser, files, tmp_path):
    page = browser.open(files / "one.html")

    page.to_pdf(tmp_path / "page.pdf")

    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
