"""Does a tuning find the best configuration, and say how every other one ended?

With an engine that needs no framework and takes as long as its options say.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from scale_engine import SCALE_ENGINE as FIXED_ENGINE
from scale_engine import write_scale_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.artifact import load, save
from lexer_core.cli.main import run
from lexer_core.errors import ArtifactError, OutputFileError, UsageError
from lexer_core.reporting.page.repro_snippet import snippet
from lexer_core.reporting.terminal_table import print_report
from lexer_core.results import BenchmarkResult, ReportData
from lexer_core.results.tuning import TuningConfiguration
from lexer_core.tuning.goals import read_goals, read_limits
from lexer_core.tuning.judging import Judgement, judge_configurations
from lexer_core.tuning_report import TuningReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.benchmark.progress import ProgressEvent

INPUT = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
QUICK = {
    "isolation": "none",
    "warm_up_seconds": 0.02,
    "max_seconds": 6.0,
    "min_seconds": 0.1,
    "canary": False,
    "show_progress": False,
    "launches": 1,
    "seed": 3,
}
UNITS = {"scale.unit": [200, 600, 300, 900]}

SCALE_ENGINE = FIXED_ENGINE.replace("shape=(2, 3)", 'shape=("batch", 3)')

# The outputs are not multiplied by the factor of the model.
WRONG_ENGINE = SCALE_ENGINE.replace("placed * self.factor", "placed * -self.factor").replace(
    '"Scale"', '"Wrong"'
)
# The work is done where it is not timed.
LAZY_ENGINE = (
    SCALE_ENGINE.replace("        return placed * self.factor", "        return placed, self")
    .replace("end = time.perf_counter() + self.seconds", "end = 0.0")
    .replace(
        'return {"y": outputs}',
        "placed, session = outputs\n"
        "    end = time.perf_counter() + 0.01\n"
        "    while time.perf_counter() < end:\n"
        "        pass\n"
        '    return {"y": placed * session.factor}',
    )
    .replace('"Scale"', '"Lazy"')
)
BROKEN_ENGINE = SCALE_ENGINE.replace(
    "return placed * self.factor", 'raise RuntimeError("broken")'
).replace('"Scale"', '"Broken"')
# A folder disappears while it is loaded.
THIEF_ENGINE = SCALE_ENGINE.replace(
    "model = facts_of(path)",
    'model = facts_of(path)\n        shutil.rmtree(os.environ["STOLEN"], ignore_errors=True)',
).replace("import os\n", "import os\nimport shutil\n")
# One call in ten takes as long as a thousand others.
BURSTY_ENGINE = SCALE_ENGINE.replace(
    "end = time.perf_counter() + self.seconds",
    "self.calls = getattr(self, 'calls', 0) + 1\n"
    "        end = time.perf_counter() + (0.1 if self.calls % 10 == 0 else 0.0001)",
).replace('"Scale"', '"Bursty"')


@pytest.fixture(scope="module", autouse=True)
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("scale", SCALE_ENGINE)
    site.add_engine("fixed", FIXED_ENGINE)
    site.add_engine("wrong", WRONG_ENGINE)
    site.add_engine("lazy", LAZY_ENGINE)
    site.add_engine("bursty", BURSTY_ENGINE)
    site.add_engine("broken", BROKEN_ENGINE)
    site.add_engine("thief", THIEF_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scale_model(tmp_path_factory.mktemp("models") / "model.onnx")


def tuned(model: Path, **asked: Any) -> TuningReport:
    asked = {"vary": UNITS, "engines": ["scale"], "input": INPUT} | QUICK | asked
    return LexerContext().tune(model, **asked)


@pytest.fixture(scope="module")
def by_unit(model: Path, tmp_path_factory: pytest.TempPathFactory) -> TuningReport:
    return tuned(model, save_to=tmp_path_factory.mktemp("runs") / "tuned.lexer")


def fates(report: TuningReport) -> dict[str, str]:
    return {each.label: each.fate for each in report.configurations}


# -- a winner ------------------------------------------------------------------------


def test_the_fastest_configuration_wins(by_unit: TuningReport) -> None:
    assert by_unit.best is not None
    assert by_unit.best.label == "scale[unit=200]"
    assert by_unit.best.p50_ms == pytest.approx(0.2, rel=0.2)
    assert by_unit.pareto == (by_unit.best,)


def test_every_other_configuration_says_by_what_it_is_beaten(by_unit: TuningReport) -> None:
    others = [each for each in by_unit.configurations if each.label != "scale[unit=200]"]

    assert {each.fate for each in others} == {"slower"}
    for each in others:
        assert each.beaten_by
        assert each.ratio is not None
        assert each.ratio > 1.2
        assert each.beaten_by in each.reason
        assert 5 <= each.rounds <= by_unit.search.race_rounds


def test_the_race_spends_its_time_on_those_that_may_win(by_unit: TuningReport) -> None:
    search = by_unit.search

    assert search.race_samples < len(by_unit) * search.race_rounds or search.race_rounds == 5


def test_the_winners_numbers_are_not_those_of_the_race(by_unit: TuningReport) -> None:
    (winner,) = [each for each in by_unit.configurations if each.fate == "winner"]
    assert by_unit.best is not None

    assert winner.confirmed
    assert int(by_unit.best.sample_rounds.min()) >= by_unit.search.race_rounds


def test_the_result_is_in_words_and_in_a_table(by_unit: TuningReport) -> None:
    text = str(by_unit)

    assert by_unit.sentences[0].startswith("The best is scale[unit=200] (p50 0.")
    assert "Of 4 configurations: 3 slower." in by_unit.sentences
    assert "minimize p50" in text


def test_the_table_has_a_column_for_each_axis_and_numbers_its_lines(by_unit: TuningReport) -> None:
    lines = [line.split() for line in by_unit.to_text(width=120).splitlines()]

    (heading,) = (line for line in lines if line[:1] == ["#"])
    table = {line[2]: line for line in lines if len(line) > 2 and line[1] == "scale"}
    assert heading[:4] == ["#", "engine", "unit", "result"]
    assert {unit: line[3] for unit, line in table.items()} == {
        "200": "best",
        "300": "slower",
        "600": "slower",
        "900": "slower",
    }
    assert table["200"][0] == "1"
    assert " ".join(table["900"]).split("x ")[-1].startswith("the time of #")


def test_a_tuning_is_loaded_as_it_was_saved(by_unit: TuningReport, tmp_path: Path) -> None:
    again = load(save(by_unit, tmp_path / "tuned.lexer"))

    assert again.search == by_unit.search
    assert again.best == by_unit.best
    assert TuningReport.from_json(by_unit.to_json()).search == by_unit.search


def test_the_code_on_the_page_repeats_the_tuning(by_unit: TuningReport, model: Path) -> None:
    names: dict[str, Any] = {"model": model, "inputs": INPUT}

    exec(snippet(by_unit), names)

    assert isinstance(names["report"], TuningReport)
    assert set(names["report"].labels) == set(by_unit.labels)
    assert names["report"].tuning.goals == by_unit.tuning.goals  # type: ignore[union-attr]


def on_terminal(report: TuningReport, monkeypatch: Any, *, width: int, encoding: str) -> str:
    """Return what is printed on a terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")

    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    printed = io.BytesIO()
    stream = Terminal(printed, encoding=encoding)
    print_report(report, stream)
    stream.flush()
    return printed.getvalue().decode(encoding)


def test_a_terminal_shows_throughput_over_latency(
    by_unit: TuningReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = attrs.evolve(
        by_unit, tuning=attrs.evolve(by_unit.search, bounds={"p50": 0.5, "throughput": 1500.0})
    )
    text = on_terminal(limited, monkeypatch, width=100, encoding="utf-8")

    assert "items/s over p50" in text
    assert "\n1 scale[unit=200]: " in text
    assert text.count("×") >= 3
    assert "░ beyond the limit: p50 above 0.500 ms or less than 1,500 items/s" in text
    assert max(map(len, text.split("Repeat:")[0].splitlines())) <= 100


@pytest.mark.parametrize(("width", "encoding"), [(60, "utf-8"), (100, "ascii")])
def test_a_terminal_that_is_narrow_or_has_only_ascii(
    by_unit: TuningReport, monkeypatch: pytest.MonkeyPatch, width: int, encoding: str
) -> None:
    text = on_terminal(by_unit, monkeypatch, width=width, encoding=encoding)

    assert ("items/s over p50" in text) == (width == 100)
    assert "scale[unit=200]" in text
    assert "?" not in text


def test_what_is_not_a_terminal_has_no_chart(by_unit: TuningReport) -> None:
    assert "items/s over" not in str(by_unit)


def test_rows_are_sorted_by_any_figure(by_unit: TuningReport) -> None:
    rows = by_unit.sorted_by("p50_ms", descending=True)

    assert rows[-1] == by_unit.best
    assert [row.p50_ms for row in rows] == sorted((row.p50_ms for row in by_unit), reverse=True)
    with pytest.raises(UsageError, match="no figure is called 'p5_ms'") as caught:
        by_unit.sorted_by("p5_ms")
    assert "p50_ms" in caught.value.hint


def test_the_csv_says_how_each_configuration_ended(by_unit: TuningReport) -> None:
    rows = list(csv.DictReader(io.StringIO(by_unit.to_csv())))

    assert {row["label"]: row["tuning_fate"] for row in rows} == fates(by_unit)
    assert all(row["tuning_beaten_by"] for row in rows if row["tuning_fate"] == "slower")


@pytest.mark.extras
def test_a_tuning_is_a_table_and_a_plot(by_unit: TuningReport, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    frame = by_unit.to_dataframe().set_index("label")
    by_unit.plot(tmp_path / "front.svg")

    assert frame.loc["scale[unit=200]", "tuning_fate"] == "winner"
    assert frame["tuning_rounds"].dtype == "Int64"
    assert "items per second" in (tmp_path / "front.svg").read_text()


@pytest.mark.extras
def test_the_page_shows_how_throughput_grows_with_the_batch_size(by_unit: TuningReport) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    names = {each.label: f"scale[batch={at}]" for at, each in enumerate(by_unit.results, start=1)}
    with_batches = attrs.evolve(
        by_unit,
        results=tuple(attrs.evolve(row, label=names[row.label]) for row in by_unit.results),
        comparisons=(),
        tuning=attrs.evolve(
            by_unit.search,
            configurations=tuple(
                attrs.evolve(each, label=names[each.label], batch=at)
                for at, each in enumerate(by_unit.configurations, start=1)
            ),
        ),
    )

    assert "Items per second by threads and batch size" not in by_unit.to_html()
    assert "Items per second by threads and batch size" in with_batches.to_html()


# -- limits --------------------------------------------------------------------------


def test_a_file_whose_configurations_have_no_rows_is_refused(
    by_unit: TuningReport, tmp_path: Path
) -> None:
    document = json.loads(by_unit.to_json())
    document["tuning"]["configurations"][1]["label"] = "another"
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(document))

    with pytest.raises(ArtifactError, match=r"configurations\[1\].label: .* no row 'another'"):
        load(path)


def test_a_configuration_over_a_limit_cannot_win(model: Path) -> None:
    report = tuned(model, vary={"scale.unit": [200, 2000]}, limits="p50<=1ms")

    assert fates(report) == {"scale[unit=200]": "winner", "scale[unit=2000]": "over_limit"}
    assert "the limit is p50<=1ms" in report.configurations[1].reason


def test_a_limit_that_nothing_meets_is_named_with_what_comes_closest(model: Path) -> None:
    report = tuned(model, vary={"scale.unit": [500, 900]}, limits="p50<=0.1ms")

    assert report.best is None
    assert set(fates(report).values()) == {"over_limit"}
    assert report.sentences[0].startswith(
        "Nothing meets p50<=0.1ms; the closest is scale[unit=500]"
    )


@pytest.mark.parametrize(
    ("limit", "reason"),
    [("p99<=100ms", ""), ("p99<=5ms", "p99<=5ms is likely but not certain")],
)
def test_a_limit_that_no_sample_comes_near_is_certain_without_an_interval_of_the_percentile(
    limit: str, reason: str
) -> None:
    # 40 rounds of 20 calls, of which one round is slow.
    seconds = np.full(800, 0.001)
    seconds[400:406] = 0.006
    row = BenchmarkResult(
        label="toy[threads=1]",
        engine="Toy",
        engine_name="toy",
        device="CPU",
        status="ok",
        p50_ms=1.0,
        p99_ms=1.0,
        samples=seconds,
        sample_rounds=np.repeat(np.arange(40), 20),
    )
    judgement = Judgement(
        goals=read_goals("p50", None),
        limits=read_limits([limit]),
        tie=0.02,
        finalists=(row.label,),
    )
    configuration = TuningConfiguration(label=row.label, engine="toy", threads=1)

    (ended,) = judge_configurations(ReportData(results=(row,)), [configuration], judgement)

    assert (ended.fate, ended.reason) == ("winner", reason)


def test_one_that_is_over_a_limit_makes_no_other_one_leave(model: Path) -> None:
    # Its median is smaller, its mean is not.
    report = tuned(model, vary={"threads": [1]}, engines=["scale", "bursty"], limits="mean<=5ms")

    assert fates(report) == {"scale[threads=1]": "winner", "bursty[threads=1]": "over_limit"}
    assert "mean is" in report.configurations[1].reason


# -- configurations that are wrong ------------------------------------------------------


def test_wrong_outputs_cannot_win(model: Path) -> None:
    report = tuned(
        model, vary={"threads": [1]}, engines=["scale", EngineChoice("wrong", {"unit": 20})]
    )

    assert fates(report) == {"scale[threads=1]": "winner", "wrong[threads=1]": "failed"}
    assert "disagree" in report.configurations[1].reason


def test_what_was_never_measured_is_below_the_table_by_reason(model: Path) -> None:
    report = tuned(model, vary={"threads": [1, 2]}, engines=["scale", "wrong"], max_seconds=2.0)

    text = report.to_text(width=200)
    (line,) = (line for line in text.splitlines() if line.startswith("Failed:"))
    assert line.startswith("Failed: 2 configurations (wrong): its outputs disagree")
    assert {
        line.split()[1] for line in text.splitlines() if line[:1] in "12" and line[1:2] == " "
    } == {"scale"}


def test_work_that_is_not_timed_neither_wins_nor_makes_others_leave(model: Path) -> None:
    report = tuned(model, vary={"threads": [1]}, engines=["scale", "lazy"])

    assert fates(report)["scale[threads=1]"] == "winner"
    assert fates(report)["lazy[threads=1]"] == "failed"


def test_one_that_dies_costs_only_itself(tmp_path: Path) -> None:
    model = write_scale_model(tmp_path / "model.onnx", dies_at=400)
    dying = SCALE_ENGINE.replace(
        'if model.get("dies"):', 'if config.options["unit"] == model["dies_at"]:'
    ).replace('"Scale"', '"Dying"')
    site = FakeSite(tmp_path / "site")
    site.add_engine("dying", dying)
    with site.on_path():
        report = tuned(
            model, vary={"dying.unit": [200, 400]}, engines=["dying"], isolation="process"
        )

    assert fates(report) == {"dying[unit=200]": "winner", "dying[unit=400]": "failed"}


# -- two goals --------------------------------------------------------------------------


def test_two_goals_have_a_front(tmp_path: Path) -> None:
    # A call takes as long for four items as for one.
    model = write_scale_model(tmp_path / "model.onnx")
    report = tuned(
        model,
        vary={"batch": [2, 4], "scale.unit": [200, 1000]},
        minimize="p50",
        maximize="throughput",
    )

    ended = Counter(fates(report).values())
    assert ended["front"] >= 1
    assert fates(report)["scale[batch=4,unit=200]"] == "front"
    assert fates(report)["scale[batch=2,unit=1000]"] == "slower"
    assert report.best is None
    assert report["scale[batch=4,unit=200]"].batch_size == 4


def test_throughput_counts_items(model: Path) -> None:
    report = tuned(model, vary={"batch": [2, 8]}, maximize="throughput")

    assert report.best is not None
    assert report.best.label == "scale[batch=8]"
    assert report["scale[batch=2]"].batch_size == 2


# -- going on ---------------------------------------------------------------------------


def test_a_tuning_goes_on_where_it_ended(model: Path) -> None:
    whole = tuned(model)
    undecided = attrs.evolve(
        whole.search,
        configurations=tuple(
            attrs.evolve(each, fate="not_reached")
            if each.label in ("scale[unit=200]", "scale[unit=300]")
            else each
            for each in whole.configurations
        ),
    )
    stopped = attrs.evolve(whole, tuning=undecided)

    report = tuned(model, resume=stopped)

    assert fates(report) == fates(whole)
    assert report["scale[unit=900]"] == whole["scale[unit=900]"]  # not measured again
    assert report.best is not None
    assert report.best.label == "scale[unit=200]"


def test_an_interrupted_tuning_without_results_keeps_the_file(model: Path, tmp_path: Path) -> None:
    def press_ctrl_c(event: ProgressEvent) -> None:
        if event.phase == "load":
            raise KeyboardInterrupt

    path = tmp_path / "tuned.lexer"
    path.write_bytes(b"an earlier tuning")

    report = tuned(model, save_to=path, progress=press_ctrl_c)

    assert report.stopped_because == "interrupted"
    assert {each.reason for each in report.configurations} == {
        "interrupted before the first sample"
    }
    assert path.read_bytes() == b"an earlier tuning"


def test_an_interrupted_race_does_not_say_that_the_time_was_up(model: Path) -> None:
    def press_ctrl_c(event: ProgressEvent) -> None:
        if event.phase == "rounds":
            raise KeyboardInterrupt

    report = tuned(model, progress=press_ctrl_c)

    undecided = [each for each in report.configurations if each.fate == "not_reached"]
    assert undecided
    assert all(each.reason.startswith("interrupted") for each in undecided)


@pytest.fixture
def stolen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in a folder that is gone when a tuning with the engine ``thief`` is written."""
    folder = tmp_path / "stolen"
    folder.mkdir()
    monkeypatch.setenv("STOLEN", str(folder))
    return folder / "tuned.lexer"


def test_a_tuning_that_cannot_be_written_is_finished_and_can_be_written_elsewhere(
    model: Path, tmp_path: Path, stolen: Path
) -> None:
    context = LexerContext()
    with pytest.raises(OutputFileError, match="cannot write") as raised:
        context.tune(
            model,
            INPUT,
            engines=["thief"],
            vary={"thief.unit": [200, 900]},
            save_to=stolen,
            **QUICK,
        )

    report = raised.value.report
    assert isinstance(report, TuningReport)
    assert fates(report) == {"thief[unit=200]": "winner", "thief[unit=900]": "slower"}
    assert load(context.flush("elsewhere", tmp_path)).search == report.search


def test_a_tuning_that_cannot_be_written_is_printed(
    model: Path, stolen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(
        [
            *["tune", str(model), "--input", "x=float32[2,3]", "--engine", "thief"],
            *["--vary", "thief.unit=200,900", "--isolation", "none", "--max-seconds", "2"],
            *["--no-progress", "-o", str(stolen)],
        ]
    )
    printed = capsys.readouterr()

    assert status == 2
    assert "The best is thief[unit=200]" in printed.out
    assert "cannot write" in printed.err


def test_another_tuning_is_not_resumed(by_unit: TuningReport, model: Path) -> None:
    with pytest.raises(UsageError, match="other axes"):
        tuned(model, vary={"scale.unit": [200, 250]}, resume=by_unit)
    with pytest.raises(UsageError, match="other goals"):
        tuned(model, minimize="p99", resume=by_unit)


def test_a_tuning_of_another_model_or_other_inputs_is_not_resumed(
    by_unit: TuningReport, model: Path, tmp_path: Path
) -> None:
    other = write_scale_model(tmp_path / "other.onnx", work=5)
    with pytest.raises(UsageError, match="measured the model 'model', not 'other'"):
        tuned(other, resume=by_unit)
    undecided = attrs.evolve(
        by_unit.search,
        configurations=[attrs.evolve(each, fate="not_reached") for each in by_unit.configurations],
    )
    trained = attrs.evolve(
        by_unit,
        tuning=undecided,
        model_fingerprint=dict.fromkeys(by_unit.model_fingerprint, "0"),
    )
    with pytest.raises(UsageError, match=r"'model' with other (weights|contents)"):
        tuned(model, resume=trained)
    described = attrs.evolve(by_unit, input_options=["x=float32[2,3]"])
    with pytest.raises(UsageError, match="other inputs"):
        tuned(model, resume=described, input_options=["x=float32[8,3]"])


def test_a_finished_tuning_is_saved_again_when_it_is_resumed(
    by_unit: TuningReport, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "again.lexer"

    assert tuned(model, resume=by_unit, save_to=path).configurations == by_unit.configurations
    assert load(path).search == by_unit.search


def test_nothing_raced_if_every_configuration_failed(model: Path) -> None:
    report = tuned(model, engines=["broken"], vary={"broken.unit": [200, 300]})
    stream = io.StringIO()
    print_report(report, stream)
    text = stream.getvalue()

    assert set(fates(report).values()) == {"failed"}
    assert "No configuration could be measured." in text
    assert "raced" not in text


# -- what is wrong is refused before anything is measured ----------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"vary": {"scale.unit": []}}, "axis 'scale.unit' has no values"),
        ({"vary": {"scale.unit": [200, 200]}}, "has a value twice"),
        ({"vary": {"batch": [0, 1]}}, "not a whole number above 0"),
        ({"vary": {"batch": [1, 10**15]}}, "would need .* of memory"),
        ({"vary": {"batch": [1, 10**30]}}, "axis batch is too large"),
        ({"vary": {"bach": [1, 2]}}, "no axis is called 'bach'"),
        ({"vary": {"torch.x": [1, 2]}}, "'torch', which does not take part"),
        ({"vary": {"scale.unit": ["quick"]}}, "unit"),
        ({"vary": {"scale.units": [1]}}, "units"),
        ({"limits": "p99<20parsecs"}, "no unit 'parsecs'"),
        ({"limits": "p99>=20ms"}, "asks for a bad p99"),
        ({"limits": ["p99<=20ms", "p99<=30ms"]}, "two limits"),
        ({"limits": "p99<=0ms"}, "nothing can have such a p99"),
        ({"limits": "memory<=-1GB"}, "nothing can have such a memory"),
        ({"limits": "speed<=1"}, "no figure is called 'speed'"),
        ({"minimize": "throughput"}, "finds the worst"),
        ({"minimize": ["p50", "p99", "memory"]}, "3 goals are too many"),
        ({"save_to": "tuned.json"}, "saved to a .lexer file"),
        ({"save_to": ""}, "saved to a .lexer file"),
        ({"vary": None}, "vary=None is not a mapping"),
        ({"limits": [5]}, r"limits=\[5\] is neither text nor"),
        ({"minimize": 5}, "minimize=5 is neither text nor"),
        ({"slo": 50, "maximize": "rate"}, "slo=50 is not text"),
        ({"engines": ["fixed"], "vary": {"batch": [2, 4]}}, r"input 'x' is float32\[4, 3\]"),
    ],
)
def test_bad_input_is_refused(model: Path, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tuned(model, **asked)


# -- the command ------------------------------------------------------------------------


def test_the_command_tunes_and_writes_a_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(
        [
            *("tune", str(model), "--input", "x=float32[2,3]", "--engine", "scale"),
            *("--vary", "scale.unit=200,800", "--limit", "p50<=5ms", "--isolation", "none"),
            *("--max-seconds", "4", "--warm-up-seconds", "0.02", "--no-progress"),
            *("-o", str(tmp_path / "tuned.lexer")),
        ]
    )

    shown = capsys.readouterr().out
    assert status == 0
    assert "The best is scale[unit=200]" in shown
    assert load(tmp_path / "tuned.lexer").best is not None


def test_the_help_of_the_command_has_its_own_default_of_the_time_limit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["tune", "--help"]) == 0

    shown = " ".join(capsys.readouterr().out.split())
    assert "Export and load come on top of it. Default: 100." in shown


@pytest.mark.parametrize(
    ("asked", "message"),
    [(["--minimize", "memory"], "needs a single winner"), ([], "it is a file")],
)
def test_a_folder_that_the_winner_cannot_be_saved_to_is_refused_before_anything_is_measured(
    model: Path, capsys: pytest.CaptureFixture[str], asked: list[str], message: str
) -> None:
    status = run(
        [
            *("tune", str(model), "--input", "x=float32[2,3]", "--engine", "scale"),
            *("--vary", "threads=1,2", "--minimize", "p50", "--save-best", str(model), *asked),
        ]
    )

    assert status == 2
    assert message in capsys.readouterr().err


def test_the_command_fails_if_nothing_meets_the_limits(model: Path) -> None:
    status = run(
        [
            *("tune", str(model), "--input", "x=float32[2,3]", "--engine", "scale"),
            *("--vary", "scale.unit=300,800", "--limit", "p50<=0.01ms", "--isolation", "none"),
            *("--max-seconds", "4", "--warm-up-seconds", "0.02", "--no-progress"),
        ]
    )

    assert status == 1
