"""The parts of a page that need neither matplotlib nor jinja2."""

from __future__ import annotations

import ast
import math
import sys

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from page_samples import a_sampled_report, a_sampled_row
from report_samples import a_full_report, a_load_report, a_report, a_row

from lexer_core.cli.main import run
from lexer_core.cli.report import report as report_command
from lexer_core.errors import MissingPackageError, UsageError
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.page import report_page
from lexer_core.reporting.page.decimation import distribution_steps, stretches
from lexer_core.reporting.page.measured import measured_rows, undrawn
from lexer_core.reporting.page.repro_snippet import snippet
from lexer_core.reporting.page.run_axis import positions_in_run, run_axis, warm_up_positions
from lexer_core.reporting.page.series import series_of
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import ROLES, SERIES

# --- What of very many samples is drawn. ---

samples_of_any_shape = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=3000).map(np.array)


@given(samples_of_any_shape, st.integers(1, 50))
def test_no_sample_is_outside_the_groups(values, most):
    places = np.arange(values.size, dtype=float)

    found = stretches(places, values, most)

    assert found.start.size == min(most, values.size)
    assert found.low.min() == values.min()
    assert found.high.max() == values.max()
    for start, end, low, high in zip(found.start, found.end, found.low, found.high, strict=True):
        inside = values[(places >= start) & (places <= end)]
        assert inside.size <= found.most
        assert low == inside.min()
        assert high == inside.max()
    assert (found.low <= found.lower).all()
    assert (found.lower <= found.lower_quartile).all()
    assert (found.lower_quartile <= found.median).all()
    assert (found.median <= found.upper_quartile).all()
    assert (found.upper_quartile <= found.upper).all()
    assert (found.upper <= found.high).all()


def test_groups_are_contiguous_and_complete():
    places = np.arange(10_007, dtype=float)

    found = stretches(places, np.ones(places.size), 300)

    assert found.start[0] == 0
    assert found.end[-1] == 10_006
    assert (found.start[1:] == found.end[:-1] + 1).all()


def test_a_distribution_of_few_samples_is_drawn_sample_by_sample():
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))

    values, at_or_below = distribution_steps(samples)

    assert values.tolist() == sorted(samples)
    assert at_or_below.tolist() == list(range(1, 1001))


@pytest.mark.parametrize("count", [1001, 12_345, 1_000_000])
def test_a_distribution_of_many_samples_keeps_both_ends_and_is_nowhere_far_off(count):
    samples = np.random.default_rng(1).lognormal(size=count)
    ordered = np.sort(samples)

    values, at_or_below = distribution_steps(samples)

    assert values.size <= 401
    assert (values[0], values[-1]) == (ordered[0], ordered[-1])
    assert (values == ordered[at_or_below.astype(int) - 1]).all()
    # Between neighbours that are drawn lies at most half a percent of the samples, and in
    # the slow tail at most a quarter of what is slower still.
    assert np.diff(at_or_below).max() <= 0.006 * count
    slower = count - at_or_below[:-1]
    rare = slower < 0.004 * count
    assert (np.diff(at_or_below)[rare] <= np.maximum(1, 0.25 * slower[rare])).all()


# --- Where in the run a sample lies. ---


def test_samples_lie_within_their_rounds_and_warm_ups_before_the_launch():
    rows = measured_rows(
        a_report(a_sampled_row(launches=3), a_sampled_row("b", "B", 3.0, launches=3, per_round=4))
    )

    axis = run_axis(rows)

    assert axis.rounds.tolist() == list(range(90))
    assert [strip.launch for strip in axis.strips] == [0, 1, 2]
    for each in rows:
        places = positions_in_run(each, axis)
        assert (np.diff(places) > 0).all()
        starts = axis.starts[np.searchsorted(axis.rounds, each.rounds)]
        assert ((places > starts) & (places < starts + 1)).all()
        for strip in axis.strips:
            warm, seconds = warm_up_positions(each, strip)
            assert seconds.size == 60
            assert ((warm > strip.start) & (warm < strip.end)).all()
            mine = places[each.launches == strip.launch]
            assert mine.min() > strip.end
            assert all(mine.max() < later.start for later in axis.strips[strip.launch + 1 :])


def test_a_row_without_some_rounds_stays_aligned_with_the_others():
    whole = a_sampled_row(rounds=6)
    kept = whole.sample_rounds != 2
    holed = attrs.evolve(
        whole,
        label="holed",
        samples=whole.samples[kept],
        sample_rounds=whole.sample_rounds[kept],
        sample_launches=whole.sample_launches[kept],
    )

    first, second = measured_rows(a_report(whole, holed))
    axis = run_axis([first, second])

    assert positions_in_run(second, axis).tolist() == positions_in_run(first, axis)[kept].tolist()


def test_without_a_saved_warm_up_the_axis_has_no_room_for_it():
    row = attrs.evolve(a_sampled_row(), warm_up_samples=None, warm_up_launches=None)

    axis = run_axis(measured_rows(a_report(row)))

    assert (axis.strips[0].start, axis.strips[0].end, axis.end) == (0.0, 0.0, 30.0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"samples": None}, "this report has no raw samples of it"),
        ({"sample_rounds": None}, "its samples have no rounds"),
        ({"sample_launches": np.zeros(3, dtype=int)}, "its samples have no rounds"),
        ({"samples": np.full(300, np.nan)}, "not a number"),
        ({"samples": np.zeros(300)}, "above zero"),
        ({"sample_rounds": np.arange(300) % 2}, "round"),
    ],
)
def test_samples_that_cannot_be_drawn_have_a_reason(change, reason):
    report = a_report(attrs.evolve(a_sampled_row(), **change), a_sampled_row("b", "B"))

    (said,) = undrawn(report)

    assert [each.row.label for each in measured_rows(report)] == ["b"]
    assert said.startswith("Torch: ")
    assert reason in said


# --- Colours. ---


def _contrast(one, other):
    """The contrast ratio of WCAG 2: relative luminances, each plus 0.05."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("background", ["page", "surface"])
@pytest.mark.parametrize(
    "role",
    ["text", "muted", "link", "good", "bad", *(f"series-{at + 1}" for at in range(SERIES))],
)
def test_text_colours_have_enough_contrast(role, background, theme):
    ink, paper = getattr(ROLES[role], theme), getattr(ROLES[background], theme)

    assert _contrast(ink, paper) >= 4.5


def test_every_role_has_its_own_colour():
    assert len({shades.light for shades in ROLES.values()}) == len(ROLES)


def test_many_engines_differ_without_colours():
    rows = [a_row(f"e{at}", f"E{at}") for at in range(28)]

    series = series_of(rows).values()

    assert len({(each.role, each.dashes) for each in series}) == 28
    # Neighbours in the table differ in dashes and in markers.
    for one, other in zip(list(series)[:-1], list(series)[1:], strict=True):
        assert one.dashes != other.dashes
        assert one.marker != other.marker


@given(st.text())
def test_control_characters_and_direction_changes_are_removed(text):
    kept = harmless(text + "\x1b\u202e\ud800\x00a\tb\nc")

    assert kept.endswith("a b\nc")
    assert all(character.isprintable() or character == "\n" for character in kept)


# --- How to do it again. ---


def test_the_snippet_has_the_same_engines_and_settings():
    rows = [a_row(), a_row("plain", "ONNXRuntime", engine_name="onnxruntime", options={"x": "a"})]
    settings = {"margin": 0.05, "max_seconds": 30.0, "threads": None, "device": "cpu"}

    text = snippet(a_report(*rows, settings=settings))

    ast.parse(text)
    assert "LexerContext(margin=0.05)" in text
    assert "'torch'," in text
    assert "EngineChoice('onnxruntime', options={'x': 'a'}, label='plain')," in text


def test_the_snippet_of_a_load_test_has_what_was_tried():
    text = snippet(a_load_report())

    ast.parse(text)
    assert "context.load(" in text
    assert "slo='p99<=50ms'" in text
    assert "instances=[1, 2]" in text
    assert "engines=[\n        'torch',\n        'tvm',\n    ]" in text


def test_a_label_cannot_break_out_of_the_snippet():
    label = "x'), __import__('os').system('true'), ('"

    text = snippet(a_report(a_row(label, engine_name="torch")))

    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert {ast.unparse(call.func) for call in calls} == {
        "LexerContext",
        "context.benchmark",
        "EngineChoice",
    }


# --- Without what it needs. ---


@pytest.fixture
def without(monkeypatch):
    def remove(*names):
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return remove


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra_a_page_says_what_to_install(missing, without):
    without(missing)

    with pytest.raises(MissingPackageError, match=missing) as caught:
        report_page(a_full_report())

    assert "pip install 'lexer-core[report]'" in str(caught.value)


def test_without_the_extra_the_command_says_so_before_anything_else(without, capsys):
    without("matplotlib", "jinja2")

    status = run(["report", "not-there.lexer", "-o", "page.html"])

    assert status == 2
    assert "matplotlib and jinja2" in capsys.readouterr().err


def test_the_help_of_the_command_needs_no_extra(without):
    without("matplotlib", "jinja2")

    result = CliRunner().invoke(report_command, ["--help"])

    assert result.exit_code == 0
    assert "lexer-core[report]" in result.output


def test_without_pandas_a_dataframe_says_what_to_install(without):
    without("pandas")

    for samples in (False, True):
        with pytest.raises(UsageError, match="pip install pandas"):
            a_full_report().to_dataframe(samples=samples)


# --- A DataFrame. ---


@pytest.mark.extras
def test_a_dataframe_has_the_columns_and_numbers_of_the_csv():
    pandas = pytest.importorskip("pandas")
    report = a_full_report()

    frame = report.to_dataframe()

    assert list(frame.columns) == report.to_csv().splitlines()[0].split(",")
    assert frame["label"].tolist() == [row.label for row in report.results]
    assert frame.loc[0, "p50_ms"] == report["torch"].p50_ms
    assert frame.loc[0, "p50_ms_low"] == report["torch"].intervals["p50_ms"].low
    assert frame.loc[1, "rank"] == 1
    assert frame.loc[2, "parity"] == "fail"
    assert pandas.isna(frame.loc[3, "p50_ms"])
    assert frame.loc[3, "error_reason"] == "the worker died of SIGSEGV"


@pytest.mark.extras
def test_the_types_of_a_dataframe_do_not_depend_on_the_rows():
    pytest.importorskip("pandas")

    full, empty = a_full_report().to_dataframe(), BenchmarkReport().to_dataframe()

    assert full.dtypes.to_dict() == empty.dtypes.to_dict()
    assert str(full["p50_ms"].dtype) == "float64"
    assert str(full["num_samples"].dtype) == "Int64"
    assert str(full["export_cached"].dtype) == "boolean"


@pytest.mark.extras
def test_samples_have_their_own_dataframe():
    pytest.importorskip("pandas")
    report = a_sampled_report()

    frame = report.to_dataframe(samples=True)

    assert list(frame.columns) == ["label", "engine", "device", "launch", "round", "latency_ms"]
    medians = frame.groupby("label")["latency_ms"].median()
    for row in (report["torch"], report["onnxruntime"]):
        assert math.isclose(medians[row.label], row.p50_ms)
        assert (frame["label"] == row.label).sum() == row.num_samples
    assert len(BenchmarkReport().to_dataframe(samples=True)) == 0
