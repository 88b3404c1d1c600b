"""Does a load test say how many requests a second engines serve?

With an engine that needs no framework and sleeps for as long as its model says.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
from fake_engines import FakeSite
from load_engine import load_engine
from scale_engine import write_scale_model

from lexer_core import LexerContext, LoadReport
from lexer_core.artifact import load, save
from lexer_core.cli.main import run
from lexer_core.errors import UsageError
from lexer_core.load_testing.setups import Setup, combined
from lexer_core.reporting.terminal_table import report_to_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INPUT = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
QUICK = {
    "isolation": "none",
    "warm_up_seconds": 0.02,
    "show_progress": False,
    "max_seconds": 4.0,
    "seed": 3,
    "min_seconds": 0.0,
}
SLO = "p90<=400ms"  # so that a busy machine withholds nothing

# Raises once its sessions have been called as often as an option says.
MORTAL_ENGINE = (
    load_engine("Mortal", "shared")
    .replace(
        "        time.sleep(self.seconds)\n",
        "        self.calls_until_death -= 1\n"
        "        if self.calls_until_death < 0:\n"
        '            raise RuntimeError("it died of old age")\n'
        "        time.sleep(self.seconds)\n",
    )
    .replace(
        'self.factor = model["factor"]',
        'self.factor = model["factor"]\n        self.calls_until_death = config.options["calls"]',
    )
    .replace(
        "options=(", 'options=(EngineOption(name="calls", type=int, default=100, help="Calls."), '
    )
)


# Returns other outputs from then on, instead.
SPOILED_ENGINE = MORTAL_ENGINE.replace(
    'raise RuntimeError("it died of old age")', "self.factor = -1000"
).replace('"Mortal"', '"Spoiled"')


@pytest.fixture(scope="module", autouse=True)
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("sleepy", load_engine("Sleepy", "shared"))
    site.add_engine("apart", load_engine("Apart", "per_thread"))
    site.add_engine("alone", load_engine("Alone", "none"))
    site.add_engine("mixed", load_engine("Mixed", "shared", mixes_up=True))
    site.add_engine("mortal", MORTAL_ENGINE)
    site.add_engine("spoiled", SPOILED_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # 10 ms for each call of the default unit
    return write_scale_model(tmp_path_factory.mktemp("models") / "model.onnx", work=50)


def load_test(model: Path, **arguments: object) -> LoadReport:
    return LexerContext().load(model, INPUT, **{**QUICK, "slo": SLO, **arguments})


@pytest.fixture(scope="module")
def tested(model: Path) -> LoadReport:
    """Two engines at given rates: 100 calls a second for one instance."""
    return load_test(
        model, engines=["sleepy", "alone"], rates=[20, 250], instances=1, threads=1, max_seconds=3.0
    )


def test_each_engine_has_a_row_and_its_rates(tested):
    found = {each.engine: each for each in tested.configurations}

    assert set(found) == {"sleepy", "alone"}
    for each in found.values():
        assert 50 < each.capacity_per_sec <= 100
        assert [point.rate for point in each.points] == [20.0, 250.0]
        slow, fast = each.points
        assert slow.service_mean_ms >= 10.0
        assert slow.p50_ms >= slow.service_mean_ms / 2
        assert (fast.verdict, fast.ended_early) == ("fails", True)
        assert fast.goodput_per_sec < 250.0
    assert {row.status for row in tested} == {"ok"}


def test_a_saved_load_test_is_read_back(tested, tmp_path, capsys):
    path = save(tested, tmp_path / "load.lexer")
    read = load(path)

    assert isinstance(read, LoadReport)
    assert read == tested
    assert LoadReport.from_json(tested.to_json()) == tested
    assert run(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "fails" in shown
    assert tested.sentences[0][:40] in shown.replace("\n", " ")


def test_the_numbers_are_in_the_json(tested):
    data = json.loads(tested.to_json())["load_test"]

    assert (data["slo"], data["percent"], data["limit_ms"]) == ("p90<=400ms", 90.0, 400.0)
    assert data["configurations"][0]["points"][0]["rate"] == 20.0


def test_two_instances_serve_twice_as_much(model):
    report = load_test(model, engines="sleepy", instances=[1, 2], threads=1, rates=[30])
    one, two = sorted(report.configurations, key=lambda each: each.instances)

    assert two.capacity_per_sec > 1.6 * one.capacity_per_sec
    assert [point.concurrency for point in two.closed] == [1, 2]
    assert two.gil == "released"
    assert any("its calls release Python's global lock" in each for each in report.sentences)


def test_an_engine_that_declares_no_concurrency_has_one_instance(model):
    report = load_test(model, engines=["alone"], instances=[1, 2], threads=1, rates=[20])

    refused = report["alone[instances=2,threads=1]"]
    assert refused.status == "unsupported"
    assert "does not declare that sessions can be called from several threads" in (
        refused.error.reason
    )
    assert [each.instances for each in report.configurations] == [1]


def test_threads_share_a_session_only_if_the_engine_declares_that_they_can(model):
    report = load_test(
        model,
        engines=["sleepy", "apart"],
        instances=2,
        threads=1,
        shared_session=True,
        rates=[30],
    )

    (shared,) = report.configurations
    assert (shared.engine, shared.shared_session) == ("sleepy", True)
    assert report["apart"].status == "unsupported"


def test_wrong_outputs_of_calls_at_the_same_time_cost_the_row(model):
    report = load_test(model, engines=["mixed", "sleepy"], instances=2, threads=1, rates=[30])
    mixed = report["mixed"]

    assert mixed.status == "failed"
    assert "are wrong when all are called at the same time" in mixed.error.reason
    assert [each.engine for each in report.configurations if each.points] == ["sleepy"]


def failed_under_load(model, engine, calls):
    """Test an engine that fails after some calls beside one that does not; return its part."""
    report = load_test(
        model,
        engines=[f"{engine}[calls={calls}]", "sleepy"],
        slo="p99<=400ms",
        instances=1,
        threads=1,
        rates=[50],
    )
    failed = next(each for each in report.configurations if each.engine == engine)

    assert report[failed.label].status == "failed"
    assert failed.rate is None
    assert report.best is None or report.best.engine == "sleepy"
    return report, failed


@pytest.mark.parametrize(("calls", "is_served"), [(20, False), (110, True)])
def test_an_engine_that_fails_under_load_has_no_rate_and_says_why(model, calls, is_served):
    report, mortal = failed_under_load(model, "mortal", calls)

    assert bool(mortal.points) is is_served
    assert "it died of old age" in mortal.reason
    lines = report_to_text(report, 200).splitlines()
    assert any(line.startswith(f"{mortal.label}: ") for line in lines)
    assert LoadReport.from_json(report.to_json()) == report


def test_a_reason_that_is_a_sentence_ends_with_one_period(model):
    report = load_test(model, engines=["sleepy"], device="cuda:0", rates=[20])

    assert report.sentences == ("Sleepy has no rate: no device 'cuda:0' on this machine.",)


def test_requests_are_served_in_batches(tmp_path):
    model = write_scale_model(tmp_path / "model.onnx", work=50)
    report = load_test(
        model, engines="sleepy", instances=1, threads=1, rates=[200], batch_up_to=8, batch_wait_ms=5
    )
    (each,) = report.configurations

    assert each.capacity_per_sec > 300
    assert each.points[0].achieved_per_sec > 100
    assert each.batch_up_to == 8


def test_a_worker_process_serves_requests(model, tmp_path, capsys):
    path = tmp_path / "load.lexer"
    status = run(
        [
            *["load", str(model), "--input", "x=float32[2,3]", "--engine", "sleepy"],
            *["--slo", SLO, "--rate", "20", "--instances", "1", "--threads", "1"],
            *["--max-seconds", "2", "--warm-up-seconds", "0.02", "--no-progress", "-o", str(path)],
        ]
    )

    assert status in (0, 4)  # 4 on a busy machine, where the rate is withheld
    assert "Repeat: lexer load " in capsys.readouterr().out
    assert load(path).test.configurations[0].points[0].requests > 5


def test_a_rate_that_is_not_kept_to_is_an_exit_status(model, capsys):
    status = run(
        [
            *["load", str(model), "--input", "x=float32[2,3]", "--engine", "sleepy"],
            *["--slo", "p90<=5ms", "--rate", "60", "--instances", "1", "--threads", "1"],
            *["--max-seconds", "4", "--warm-up-seconds", "0.02", "--no-progress"],
            *["--isolation", "none"],
        ]
    )

    assert status == 1
    assert "has no rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--slo", "p99<=soon"], "not a limit on the latency"),
        (["--slo", SLO, "--rate", "fast"], "not a list of numbers"),
        (["--slo", SLO, "--rate", "0"], "not a number of requests per second"),
        (["--slo", SLO, "--rate", "0.1", "--max-seconds", "5"], "less than one request arrives"),
        (["--slo", SLO, "--instances", "0"], "numbers are at least 1"),
        (["--slo", SLO, "--instances", "500", "--threads", "2"], "cores can be used"),
        (["--slo", SLO, "--arrivals", "never.txt"], "neither 'poisson' nor 'constant'"),
        (["--slo", SLO, "--batch-up-to", "4", "--batch-wait", "900"], "cannot wait 900 ms"),
    ],
)
def test_what_cannot_be_tested_is_refused_before_the_model_is_loaded(options, complaint, capsys):
    assert run(["load", "no_such_file.onnx", *options]) == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "argument", [{"rates": ["fast"]}, {"rates": [True]}, {"instances": [1.5]}, {"threads": "two"}]
)
def test_an_argument_that_is_no_number_is_refused_by_name(model, argument):
    (name,) = argument
    with pytest.raises(UsageError, match=f"^{name}=.* are not "):
        load_test(model, **argument)


@pytest.mark.parametrize(
    "argument", [{"slo": 50}, {"arrivals": 3}, {"batch_up_to": 1.5}, {"batch_wait_ms": "long"}]
)
def test_an_argument_of_another_type_is_refused_by_name(model, argument):
    (name,) = argument
    with pytest.raises(UsageError, match=f"^{name}="):
        load_test(model, **argument)


def test_numbers_of_numpy_are_numbers_and_none_is_the_default(model):
    report = load_test(
        model,
        engines="sleepy",
        instances=np.int64(1),
        threads=None,
        rates=np.array([20]),
        max_seconds=0.5,
    )

    (each,) = report.configurations
    assert (each.instances, [point.rate for point in each.points]) == (1, [20.0])


def test_outputs_that_become_wrong_under_load_cost_the_row(model):
    _, spoiled = failed_under_load(model, "spoiled", 100)

    assert spoiled.points
    assert "are wrong after the load test" in spoiled.reason


def test_a_benchmark_is_no_load_test(tested):
    with pytest.raises(UsageError, match="not of a load test"):
        LoadReport.of(attrs.evolve(tested, load_test=None))


@pytest.mark.parametrize(
    ("instances", "threads", "wanted"),
    [
        ((), (), [(1, 4), (4, 1)]),
        ((1, 2), (), [(1, 4), (2, 2)]),
        ((), (2,), [(2, 2)]),
        ((1, 2, 4), (1, 2), [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1)]),
    ],
)
def test_instances_and_threads_fit_on_the_cores(instances, threads, wanted):
    assert combined(instances, threads, 4) == tuple(
        Setup(instances=each, threads=per_call) for each, per_call in wanted
    )
