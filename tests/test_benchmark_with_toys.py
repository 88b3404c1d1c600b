"""A whole benchmark, with engines that need no framework."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest
from fake_engines import FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import EngineChoice, LexerContext
from lexer_core.errors import InputError, SettingError, TargetError, UnknownEngineError, UsageError
from lexer_core.report import BenchmarkReport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.benchmark.progress import ProgressEvent

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("toy", TOY_ENGINE)
    site.add_module("sleepy_runtime", "import time\ntime.sleep(600)\n")
    needs_runtime = TOY_ENGINE.replace("runtime_modules=()", 'runtime_modules=("sleepy_runtime",)')
    needs_runtime = needs_runtime.replace(
        "runtime_distributions=()", 'runtime_distributions=("sleepy",)'
    )
    site.add_engine("sleeper", needs_runtime)
    own_export = "def lexer_export_model(source, format):\n"
    for fault in ("segv", "hang"):
        fails = TOY_ENGINE.replace(own_export, f'{own_export}    misbehave("{fault}_in_x", "x")\n')
        site.add_engine(f"{fault}_in_export", fails)
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_model(tmp_path_factory.mktemp("model"))


def benchmark(model: Path, *engines: str | EngineChoice, **settings: object) -> BenchmarkReport:
    # The reference workload has its own tests, and takes a process in every benchmark.
    settings = {"num_iterations": 40, "warm_up_seconds": 0.05, "canary": False, **settings}
    return LexerContext().benchmark(model, INPUT, engines=list(engines), **settings)


def faulty(fault: str) -> EngineChoice:
    return EngineChoice("toy", {"fault": fault}, label=fault)


def test_a_row_has_the_documented_numbers(toys: FakeSite, model: Path) -> None:
    row = benchmark(model, "toy")["toy"]

    assert row.status == "ok"
    assert row.num_samples == 40
    assert (row.engine, row.device, row.batch_size) == ("Toy", "CPU", 2)
    assert 0.2 <= row.p50_ms <= row.p90_ms <= row.p95_ms <= row.p99_ms
    samples = row.samples * 1000
    assert row.mean_ms == pytest.approx(samples.mean())
    assert row.variance == pytest.approx(samples.var(ddof=1))
    assert row.throughput_per_sec == pytest.approx(2 * 40 / row.samples.sum())
    assert row.load_ms is not None
    assert row.first_call_ms >= 0.2
    assert row.peak_memory_bytes > 2**20
    assert row.isolation == "process"
    assert len(row.sample_rounds) == len(row.sample_launches) == 40


@pytest.mark.parametrize(
    ("samples", "isolation"), [(1, "none"), (7, "none"), (40, "process"), (101, "none")]
)
def test_exactly_the_requested_number_of_samples_is_taken(
    toys: FakeSite, model: Path, samples: int, isolation: str
) -> None:
    other = EngineChoice("toy", label="b")
    report = benchmark(model, "toy", other, num_iterations=samples, isolation=isolation)

    assert [row.num_samples for row in report.results] == [samples, samples]
    assert report.stopped_because == "num_iterations"


@pytest.mark.parametrize(
    ("margin", "launches", "stopped_because"), [(0.0045, 3, "precise"), (0.001, 5, "launches")]
)
def test_launches_are_added_where_only_they_can_decide(
    toys: FakeSite, model: Path, margin: float, launches: int, stopped_because: str
) -> None:
    report = benchmark(
        model,
        *(EngineChoice("toy", {}, label=label) for label in ("a", "b")),
        num_iterations=None,
        min_seconds=0.1,
        margin=margin,
    )

    assert [row.launches for row in report.results] == [launches] * 2
    assert report.stopped_because == stopped_because
    assert report.comparisons[0].verdict == "tie"


def test_samples_are_divided_among_launches(toys: FakeSite, model: Path) -> None:
    row = benchmark(model, "toy", num_iterations=41, launches=3)["toy"]

    assert row.launches == 3
    assert np.bincount(row.sample_launches).tolist() == [14, 14, 13]


def test_an_engine_with_less_work_is_found_faster_in_every_order(
    toys: FakeSite, model: Path
) -> None:
    slow = EngineChoice("toy", {"work": 3}, label="slow")
    report = benchmark(model, slow, "toy", num_iterations=200, seed=5)

    (pair,) = report.comparisons
    assert (pair.a, pair.b) == ("slow", "toy")
    assert pair.ratio.estimate == pytest.approx(3, rel=0.3)
    assert report.seed == 5


FAILURES = {
    "raise_in_load": ("load", "the toy was told to fail"),
    "segv_in_load": ("load", "SIGSEGV"),
    "exit_in_load": ("load", "3"),
    "hog_in_load": ("load", "memory"),
    "raise_in_place": ("place", "the toy was told to fail"),
    "kill_in_call": ("warm_up", "SIGKILL"),
    "exit_in_call": ("warm_up", "3"),
    "raise_in_fetch": ("first_call", "the toy was told to fail"),
    "raise_in_time": ("warm_up", "the toy was told to fail"),
    "raise_in_placement": ("fetch", "the toy was told to fail"),
    "none_from_create_session": ("load", "lexer_create_session"),
    "none_from_fetch": ("first_call", "lexer_fetch_outputs"),
    "wrong_type": ("first_call", "lexer_fetch_outputs"),
    "wrong_name": ("first_call", "'z'"),
    "negative_times": ("warm_up", "lexer_time_calls"),
    "too_few_times": ("warm_up", "lexer_time_calls"),
}
WRONG_OUTPUTS = ("nan", "wrong", "wrong_later")
WRONG_TIMES = ("async", "minimum_times")
NOISY = ("chatter_in_load", "closefds_in_load")


@pytest.fixture(scope="module")
def crowd(toys: FakeSite, model: Path) -> BenchmarkReport:
    """One benchmark of a good engine, and of one engine for each way to be wrong."""
    choices = map(faulty, [*FAILURES, *WRONG_OUTPUTS, *WRONG_TIMES, *NOISY, "lexer_error_in_load"])
    settings = {"num_iterations": 100, "memory_limit_mb": 400.0, "canary": True}
    return benchmark(model, "toy", *choices, **settings)


def test_faults_of_others_do_not_affect_a_good_engine(crowd: BenchmarkReport) -> None:
    row = crowd["toy"]

    assert (row.status, row.num_samples, row.rank) == ("ok", 100, 1)
    assert row.error is None
    assert not any("samples add up to" in warning for warning in row.warnings)


@pytest.mark.parametrize("fault", FAILURES)
def test_a_faulty_engine_costs_only_its_own_row(crowd: BenchmarkReport, fault: str) -> None:
    row, (phase, words) = crowd[fault], FAILURES[fault]

    assert row.status == "failed"
    assert row.error.phase == phase
    assert words in row.error.reason
    assert row.rank is None


def test_an_unsupported_model_has_an_unsupported_row(
    crowd: BenchmarkReport,
) -> None:
    row = crowd["lexer_error_in_load"]

    assert row.status == "unsupported"
    assert row.error.reason == "the toy does not support this"


@pytest.mark.parametrize("fault", NOISY)
def test_an_engine_that_abuses_its_outputs_is_still_measured(
    crowd: BenchmarkReport, fault: str
) -> None:
    assert (crowd[fault].status, crowd[fault].num_samples) == ("ok", 100)


@pytest.mark.parametrize("fault", WRONG_OUTPUTS)
def test_an_engine_with_wrong_outputs_keeps_its_row_and_loses_its_rank(
    crowd: BenchmarkReport, fault: str
) -> None:
    row = crowd[fault]

    assert row.status == "ok"
    assert row.p50_ms > 0
    assert row.parity.status == "fail"
    assert row.rank is None
    pairs = [pair for pair in crowd.comparisons if fault in (pair.a, pair.b)]
    assert {pair.verdict for pair in pairs} == {"none"}
    assert any(fault in each and "its outputs differ" in each for each in crowd.sentences)


@pytest.mark.parametrize("fault", WRONG_TIMES)
def test_times_that_do_not_account_for_the_work_get_no_verdict(
    crowd: BenchmarkReport, fault: str
) -> None:
    row = crowd[fault]

    assert any("samples add up to" in warning for warning in row.warnings)
    assert row.rank is None


def test_an_engine_that_hangs_is_stopped(toys: FakeSite, model: Path) -> None:
    report = benchmark(
        model,
        "toy",
        "sleeper",
        faulty("hang_in_load"),
        faulty("hang_in_call"),
        load_timeout=4.0,
        call_timeout=2.0,
    )

    assert report["toy"].status == "ok"
    assert {row.label: row.error.phase for row in report if row.status == "failed"} == {
        "sleeper": "import",
        "hang_in_load": "load",
        "hang_in_call": "warm_up",
    }


@pytest.mark.parametrize("fault", ["segv_in_export", "hang_in_export"])
def test_an_export_that_ends_its_process_costs_only_its_own_row(
    toys: FakeSite, model: Path, fault: str
) -> None:
    report = benchmark(model, fault, "toy", load_timeout=6.0, use_cache=False)

    assert [row.status for row in report.results] == ["failed", "ok"]
    assert report[fault].error.phase == "export"


LASTING = {"num_iterations": None, "rounds": 1_000_000}


def test_ctrl_c_reports_what_was_measured(toys: FakeSite, model: Path) -> None:
    report = benchmark(model, "toy", faulty("interrupt_after_calls"), **LASTING)

    assert report.stopped_because == "interrupted"
    assert report["toy"].num_samples > 0


def test_pressing_ctrl_c_twice_loses_no_row(toys: FakeSite, model: Path) -> None:
    report = benchmark(model, "toy", faulty("interrupt_again_and_again"), **LASTING)

    assert report.stopped_because == "interrupted"
    assert report["toy"].num_samples > 0
    assert psutil.Process().children() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_ctrl_c_during_a_finalizer_ends_the_run_too(toys: FakeSite, model: Path) -> None:
    class PressesCtrlC:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    pressed: list[str] = []

    def press_once(event: ProgressEvent) -> None:
        if event.phase == "rounds" and not pressed:
            pressed.append(event.message)
            PressesCtrlC()  # deleted at once

    report = benchmark(model, "toy", progress=press_once, **LASTING)

    assert pressed
    assert report.stopped_because == "interrupted"
    assert report["toy"].num_samples > 0


@pytest.mark.parametrize("phase", ["prepare", "export", "import", "load", "warm_up"])
def test_ctrl_c_before_the_first_sample_calls_every_engine_interrupted(
    toys: FakeSite, model: Path, phase: str
) -> None:
    def press_ctrl_c(event: ProgressEvent) -> None:
        if event.phase == phase:
            raise KeyboardInterrupt

    other = EngineChoice("toy", label="other")
    report = benchmark(model, "toy", other, isolation="none", progress=press_ctrl_c)

    assert report.stopped_because == "interrupted"
    assert [row.error.kind for row in report.results] == ["Interrupted", "Interrupted"]
    assert report.sentences == ("Nothing was measured: interrupted before the first sample.",)
    assert str(report).count("interrupted") == 3


def test_the_time_of_the_samples_is_part_of_that_of_the_rounds(toys: FakeSite, model: Path) -> None:
    report = benchmark(model, "toy", isolation="none", launches=2)

    (row,) = report
    assert row.sampled_ms == pytest.approx(row.samples.sum() * row.loops * 1000)
    assert 0 < row.sampled_ms / 1000 < report.seconds["rounds"]
    assert BenchmarkReport.from_json(report.to_json())["toy"].sampled_ms == row.sampled_ms


def test_no_worker_is_left_behind(toys: FakeSite, model: Path) -> None:
    benchmark(model, "toy", faulty("segv_in_load"))

    workers = [
        child
        for child in psutil.Process().children(recursive=True)
        if "lexer_core.worker.main" in " ".join(child.cmdline())
    ]
    assert workers == []


def test_without_isolation_everything_happens_in_the_caller(toys: FakeSite, model: Path) -> None:
    row = benchmark(model, "toy", isolation="none")["toy"]

    assert (row.status, row.isolation, row.num_samples) == ("ok", "none", 40)


def test_a_script_needs_no_guard(toys: FakeSite, model: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        dedent(
            f"""
            import numpy as np
            from lexer.api.lexer_context import LexerContext

            print("once")
            report = LexerContext().benchmark(
                {str(model)!r}, np.ones((2, 3), np.float32), 10, engines=["toy"]
            )
            assert report["toy"].num_samples == 10
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script],
        env=toys.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert all(line.startswith("lexer: ") for line in done.stderr.splitlines())
    assert done.stdout == "once\n"


def test_an_unavailable_device_is_refused_with_the_available_ones(
    toys: FakeSite, model: Path
) -> None:
    row = benchmark(model, "toy", device="cuda:0")["toy"]

    assert row.status == "failed"
    assert "cuda:0" in row.error.reason
    assert "cpu" in row.error.reason + row.error.hint


def test_a_misspelt_engine_is_refused_with_the_nearest_name(toys: FakeSite, model: Path) -> None:
    with pytest.raises(UnknownEngineError, match="toy"):
        benchmark(model, "toi")


def test_a_misspelt_setting_is_refused_with_the_nearest_name(toys: FakeSite, model: Path) -> None:
    with pytest.raises(SettingError, match="max_seconds"):
        benchmark(model, "toy", max_second=3.0)


@pytest.mark.parametrize("count", [0, -1, "ten", 2.5, True])
def test_an_invalid_number_of_iterations_is_refused(
    toys: FakeSite, model: Path, count: object
) -> None:
    with pytest.raises(SettingError, match="num_iterations"):
        benchmark(model, "toy", num_iterations=count)


def test_two_rows_with_the_same_label_are_refused(toys: FakeSite, model: Path) -> None:
    with pytest.raises(UsageError, match="'a'"):
        benchmark(model, EngineChoice("toy", label="a"), EngineChoice("toy", label="a"))


def test_inputs_that_do_not_fit_the_graph_are_refused(toys: FakeSite, model: Path) -> None:
    with pytest.raises(InputError, match="float64"):
        LexerContext().benchmark(model, INPUT.astype(np.float64), engines=["toy"])


def test_a_model_file_that_does_not_exist_is_refused(toys: FakeSite, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"absent\.onnx"):
        benchmark(tmp_path / "absent.onnx", "toy")


def test_the_same_seed_gives_the_same_order_of_rounds(toys: FakeSite, model: Path) -> None:
    reports = [benchmark(model, "toy", seed=3, num_iterations=20) for _ in range(2)]

    assert reports[0].seed == reports[1].seed == 3
