"""The reference workload runs with the cases, costs little and affects nothing else."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
import threadpoolctl
from fake_engines import FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.benchmark import reference_workload as workload_module
from lexer_core.benchmark.reference_workload_session import (
    REFERENCE_WORKLOAD_VERSION,
    ReferenceWorkloadSession,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_model(tmp_path_factory.mktemp("model"))


def benchmark(model: Path, *engines: str | EngineChoice, **settings: object) -> BenchmarkReport:
    settings = {"num_iterations": 40, "warm_up_seconds": 0.05, **settings}
    return LexerContext().benchmark(model, INPUT, engines=list(engines or ["toy"]), **settings)


@pytest.fixture(scope="module")
def measured(toys: FakeSite, model: Path) -> BenchmarkReport:
    return benchmark(model, "toy", EngineChoice("toy", label="b"), launches=2)


def test_every_launch_has_a_median_of_the_workload(measured: BenchmarkReport) -> None:
    canary = measured.canary

    assert canary is not None
    assert canary.version == REFERENCE_WORKLOAD_VERSION
    assert canary.made_with.startswith(f"numpy {np.__version__}")
    medians = [np.median(canary.samples[canary.sample_launches == launch]) for launch in range(2)]
    assert canary.launch_medians == pytest.approx(medians)
    assert min(medians) > 0
    assert len(canary.samples) == len(canary.sample_rounds) == len(canary.sample_launches)


def test_its_blocks_are_in_the_rounds_of_the_cases(measured: BenchmarkReport) -> None:
    canary, row = measured.canary, measured["toy"]
    assert canary is not None

    of_cases = dict(zip(row.sample_rounds.tolist(), row.sample_launches.tolist(), strict=True))
    of_workload = dict(
        zip(canary.sample_rounds.tolist(), canary.sample_launches.tolist(), strict=True)
    )
    assert of_workload.items() <= of_cases.items()
    assert set(of_workload.values()) == {0, 1}


def test_it_is_not_a_row_and_not_in_a_verdict(measured: BenchmarkReport) -> None:
    assert [row.label for row in measured.results] == ["toy", "b"]
    assert len(measured.comparisons) == 1
    assert not any(
        "reference workload" in text.lower() for text in (*measured.sentences, *measured.notes)
    )
    assert [row.num_samples for row in measured] == [40, 40]


def test_it_can_be_left_out(toys: FakeSite, model: Path) -> None:
    report = benchmark(model, canary=False)

    assert report.canary is None
    assert report["toy"].status == "ok"
    assert report.settings["canary"] is False


def test_without_isolation_it_runs_in_the_callers_process(toys: FakeSite, model: Path) -> None:
    before = psutil.Process().children()
    report = benchmark(model, isolation="none")

    assert report.canary is not None
    assert len(report.canary.launch_medians) == 1
    assert psutil.Process().children() == before


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("RaisesAtStart", "no memory for the workload"),
        ("DiesInWarmUp", "SIGKILL"),
        ("DiesInTheThirdBlock", "SIGKILL"),
    ],
)
def test_a_failure_of_the_workload_costs_only_a_note(
    toys: FakeSite, model: Path, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    monkeypatch.setattr(workload_module, "_FACTORY", f"hosted_workloads:{fault}")
    report = benchmark(model, launches=2)

    assert report.canary is None
    (note,) = (note for note in report.notes if "reference workload" in note)
    assert "the reference workload failed" in note
    assert reason in note
    assert (report["toy"].status, report["toy"].num_samples) == ("ok", 40)
    assert not report["toy"].warnings or not any(
        "reference workload" in w for w in report["toy"].warnings
    )


def test_a_worker_that_does_not_start_costs_only_a_note(
    toys: FakeSite, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError("no more processes")

    monkeypatch.setattr(workload_module, "start_worker", refuse)
    report = benchmark(model)

    assert report.canary is None
    assert any("no more processes" in note for note in report.notes)
    assert report["toy"].status == "ok"


def test_without_a_case_that_runs_the_workload_does_not_run(toys: FakeSite, model: Path) -> None:
    report = benchmark(model, EngineChoice("toy", {"fault": "raise_in_load"}))

    assert report.canary is None
    assert not any("reference workload" in note for note in report.notes)


class VirtualHost:
    """A workload whose block takes this long, on a clock that only it moves."""

    isolated = True

    def __init__(self, block_seconds: float) -> None:
        self.now = 0.0
        self.block_seconds = block_seconds

    def call(self, method: str, *arguments: Any, timeout: float) -> object:
        if method == "warm_up":
            return ReferenceWorkloadSession().warm_up(0.0, own_process=False)
        self.now += self.block_seconds
        return np.full(arguments[0], 1e-5)

    def resume(self) -> None: ...

    def suspend(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("block_seconds", "round_seconds", "rounds", "fewest", "most"),
    [
        (0.005, 0.5, 50, 50, 50),  # slow models: in every round
        (0.005, 0.01, 400, 30, 50),  # fast ones: a twentieth of the time
        (0.005, 0.01, 4, 4, 4),  # few rounds: in all of them
    ],
)
def test_it_takes_a_block_in_each_round_while_that_costs_little(
    monkeypatch: pytest.MonkeyPatch,
    block_seconds: float,
    round_seconds: float,
    rounds: int,
    fewest: int,
    most: int,
) -> None:
    host = VirtualHost(block_seconds)
    monkeypatch.setattr(workload_module.time, "perf_counter", lambda: host.now)
    workload = workload_module.ReferenceWorkload(isolated=True, threads=1)
    live = workload_module.ReferenceWorkloadLaunch(host, workload, 0)
    monkeypatch.undo()  # its own warm-up is measured in real time
    live.warm_up()
    monkeypatch.setattr(workload_module.time, "perf_counter", lambda: host.now)
    taken, start = 0, host.now
    for number in range(rounds):
        if live.takes_part(number, host.now - start):
            live.take(number)
            taken += 1
        host.now += round_seconds
    monkeypatch.undo()

    assert fewest <= taken <= most
    assert workload.evidence() is not None


def test_its_worker_imports_no_framework_and_no_engine() -> None:
    code = """
        import sys
        import lexer_core.benchmark.reference_workload_session
        heavy = {"torch", "onnx", "onnxruntime", "scipy", "pluggy"} & set(sys.modules)
        assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_work_is_the_same_however_often_it_is_done() -> None:
    """Values that drift may turn into subnormal numbers, which are slow."""
    session = ReferenceWorkloadSession()
    session.warm_up(0.0, own_process=False)
    first = session._product.copy(), session._target.copy()
    session.block(50, own_process=False)

    np.testing.assert_array_equal(session._product, first[0])
    np.testing.assert_array_equal(session._target, first[1])
    assert np.abs(first[1][first[1] != 0]).min() > np.finfo(np.float32).tiny


def test_it_leaves_the_threads_of_the_callers_process_as_they_were() -> None:
    """numpy's own threads, where this numpy has some."""
    before = threadpoolctl.threadpool_info()
    session = ReferenceWorkloadSession()
    session.block(3, own_process=False)

    assert threadpoolctl.threadpool_info() == before
