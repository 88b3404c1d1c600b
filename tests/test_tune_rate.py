"""Does a tuning for rate find the configuration that serves the most requests?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from load_engine import load_engine
from scale_engine import write_scale_model

from lexer_core import LexerContext
from lexer_core.artifact import load
from lexer_core.cli.main import run
from lexer_core.errors import UsageError
from lexer_core.reporting.page.repro_snippet import snippet
from lexer_core.reporting.terminal_table import report_to_text
from lexer_core.tuning_report import TuningReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INPUT = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
QUICK = {
    "isolation": "none",
    "warm_up_seconds": 0.02,
    "show_progress": False,
    "max_seconds": 5.0,
    "seed": 3,
    "slo": "p90<=3s",
    "maximize": "rate",
}


@pytest.fixture(scope="module", autouse=True)
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("sleepy", load_engine("Sleepy", "per_thread"))
    site.add_engine("alone", load_engine("Alone", "none"))
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # 10 ms for each call of the default unit
    return write_scale_model(tmp_path_factory.mktemp("models") / "model.onnx", work=50)


@pytest.fixture(scope="module")
def tuned(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[TuningReport, Path]:
    path = tmp_path_factory.mktemp("tuned") / "tuned.lexer"
    report = LexerContext().tune(
        model,
        INPUT,
        vary={"instances": [1, 2], "threads": [1, 500], "sleepy.unit": [200, 2000]},
        engines="sleepy",
        save_to=path,
        **QUICK,
    )
    return report, path


def test_the_code_on_the_page_has_the_objective_once(tuned):
    text = snippet(tuned[0])

    assert "maximize=['rate']" in text
    assert f"slo={tuned[0].load_test.slo!r}" in text
    assert "limits=" not in text


def fates(report: TuningReport) -> dict[str, str]:
    return {each.label: each.fate for each in report.configurations}


def test_every_configuration_ends_in_some_way(tuned):
    ended = fates(tuned[0])

    # Calls of 100 ms serve a tenth of the requests, and 500 threads do not fit on the cores.
    assert ended["sleepy[instances=1,threads=500,unit=200]"] == "unsupported"
    assert ended["sleepy[instances=1,threads=1,unit=2000]"] == "slower"
    assert ended["sleepy[instances=2,threads=1,unit=2000]"] == "slower"
    assert len(ended) == 8


def test_the_rates_are_those_of_a_load_test(tuned):
    report = tuned[0]
    found = {each.label: each for each in report.load_test.configurations}

    assert len(found) == 4
    assert found["sleepy[instances=2,threads=1,unit=200]"].points
    assert not found["sleepy[instances=2,threads=1,unit=2000]"].points
    assert report.search.goals == ("maximize rate",)
    assert report.search.limits == ("p90<=3000ms",)
    assert "were tested under load" in report_to_text(report, 160)


def test_a_saved_tuning_for_rate_is_read_back(tuned):
    report, path = tuned
    read = load(path)

    assert isinstance(read, TuningReport)
    assert read == report


def test_configurations_that_cannot_be_tested_do_not_exceed_the_limit(model):
    report = LexerContext().tune(
        model, INPUT, vary={"instances": [2, 3], "threads": [1]}, engines="alone", **QUICK
    )

    assert set(fates(report).values()) == {"unsupported"}
    assert report.sentences == ("No configuration could be tested under load.",)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"slo": None}, "needs a limit on the latency"),
        ({"maximize": ["rate", "throughput"]}, "a goal on its own"),
        ({"maximize": "throughput"}, "for the goal 'rate'"),
        ({"maximize": None, "minimize": "rate"}, "finds the worst"),
        ({"vary": {"threads": list(range(1, 100))}}, "too many to be tested under load"),
    ],
)
def test_what_is_no_tuning_for_rate_is_refused(model, arguments, complaint):
    asked = {"vary": {"instances": [1, 2]}, "engines": "sleepy", **QUICK, **arguments}

    with pytest.raises(UsageError, match=complaint):
        LexerContext().tune(model, INPUT, **asked)


def test_instances_are_no_axis_of_other_goals(model, capsys):
    status = run(
        [
            "tune",
            str(model),
            "--input",
            "x=float32[2,3]",
            "--vary",
            "instances=1,2",
            "--no-progress",
        ]
    )

    assert status == 2
    assert "--maximize rate --slo" in capsys.readouterr().err
