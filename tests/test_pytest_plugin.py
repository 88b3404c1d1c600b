"""The pytest plugin: claims fail on evidence, and are skipped if the machine cannot tell."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fake_engines import FakeSite
from report_samples import DIFFERS, a_comparison, a_failed_row, a_report, a_row
from saved_runs import a_run
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core.errors import SettingError, UsageError
from lexer_core.pytest_plugin import assert_faster, assert_no_regression
from lexer_core.records import TensorSpec
from lexer_core.results import Failure

if TYPE_CHECKING:
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

Skipped = pytest.skip.Exception


def two(*ratio: Any, verdict: str = "faster", **facts: Any) -> BenchmarkReport:
    """Torch and ONNXRuntime; ``ratio`` is low, estimate and high of Torch over ONNXRuntime."""
    rows = (a_row(), a_row("onnxruntime", "ONNXRuntime", 38.06 / ratio[1]))
    pair = a_comparison(ratio=ratio, verdict=verdict, **facts)
    return a_report(*rows, comparisons=[pair])


# --- assert_faster ---


def test_a_claim_holds_if_the_whole_interval_reaches_it() -> None:
    assert_faster(two(1.5, 1.6, 1.7), "onnxruntime", than="torch", at_least=1.5)


def test_a_claim_fails_if_the_whole_interval_is_below_it() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_faster(two(1.28, 1.32, 1.37), "onnxruntime", than="torch", at_least=1.5)

    message = str(failed.value)
    assert "not true that onnxruntime is at least 1.5x as fast as torch" in message
    assert "1.32x, 95% interval 1.28x to 1.37x; 31 rounds" in message
    assert "Lower at_least" in message


def test_a_claim_inside_the_interval_skips_the_test_and_says_what_to_do() -> None:
    with pytest.raises(Skipped, match=r"contains 1\.5x.*[Mm]easure.*longer") as skipped:
        assert_faster(two(1.4, 1.55, 1.7), "onnxruntime", than="torch", at_least=1.5)

    assert "1.55x, 95% interval 1.40x to 1.70x" in str(skipped.value)


def test_an_undecided_claim_fails_on_request() -> None:
    with pytest.raises(AssertionError, match="Cannot tell"):
        assert_faster(
            two(1.4, 1.55, 1.7), "onnxruntime", than="torch", at_least=1.5, undecided="fail"
        )


def test_the_verdict_decides_if_no_factor_is_given() -> None:
    assert_faster(two(1.03, 1.04, 1.05), "onnxruntime", than="torch")
    with pytest.raises(AssertionError, match="count as a tie"):
        assert_faster(two(1.0, 1.01, 1.015, verdict="tie"), "onnxruntime", than="torch")
    with pytest.raises(AssertionError, match="not true that onnxruntime is faster than torch"):
        assert_faster(two(0.5, 0.6, 0.7, verdict="slower"), "onnxruntime", than="torch")
    with pytest.raises(Skipped, match="crosses the edge of what counts as a tie"):
        assert_faster(two(1.0, 1.03, 1.06, verdict="undecided"), "onnxruntime", than="torch")


def test_rows_may_be_named_in_either_order() -> None:
    report = two(0.4, 0.5, 0.6, verdict="slower")

    assert_faster(report, "torch", than="onnxruntime", at_least=1.6)
    with pytest.raises(AssertionError, match=r"2\.0x, 95% interval 1\.7x to 2\.5x"):
        assert_faster(report, "torch", than="onnxruntime", at_least=3)


@pytest.mark.parametrize("at_least", [None, 1.5])
def test_a_ratio_without_a_verdict_decides_nothing(at_least: float | None) -> None:
    report = two(3.7, 3.9, 4.1, verdict="none", reason="the CPU quota ran out")

    with pytest.raises(Skipped, match="the CPU quota ran out"):
        assert_faster(report, "onnxruntime", than="torch", at_least=at_least)


def test_a_fast_engine_with_wrong_outputs_fails() -> None:
    rows = (a_row(), a_row("onnxruntime", "ONNXRuntime", 5.0, parity=DIFFERS))
    report = a_report(*rows, comparisons=[a_comparison(verdict="none", reason="outputs differ")])

    with pytest.raises(AssertionError, match="outputs of onnxruntime are wrong"):
        assert_faster(report, "onnxruntime", than="torch")


def test_an_engine_that_fails_fails_the_test_with_its_reason() -> None:
    report = a_report(a_row(), a_failed_row("onnxruntime"))

    with pytest.raises(AssertionError, match="SIGSEGV"):
        assert_faster(report, "onnxruntime", than="torch")


def test_a_device_that_this_machine_lacks_skips_the_test() -> None:
    error = Failure(phase="load", kind="DeviceUnavailableError", reason="there is no cuda:0")
    report = a_report(a_row(), a_failed_row("onnxruntime", error=error))

    with pytest.raises(Skipped, match="there is no cuda:0"):
        assert_faster(report, "onnxruntime", than="torch", at_least=1.5)


def test_mistakes_in_a_claim_are_errors_and_neither_fail_nor_skip() -> None:
    report = two(1.5, 1.6, 1.7)

    with pytest.raises(UsageError, match="has no row 'openvino'"):
        assert_faster(report, "openvino", than="torch")
    with pytest.raises(UsageError, match="with itself"):
        assert_faster(report, "torch", than="torch")
    with pytest.raises(SettingError, match="at_least"):
        assert_faster(report, "onnxruntime", than="torch", at_least=0)
    with pytest.raises(SettingError, match="undecided"):
        assert_faster(report, "onnxruntime", than="torch", undecided="ignore")  # type: ignore[arg-type]


# --- assert_no_regression ---


def run(seed: int, slowdown: float = 1.0, **facts: Any) -> BenchmarkReport:
    seconds = {"torch": 0.02, "onnxruntime": 0.006 * slowdown}
    return a_run(np.random.default_rng(seed), seconds=seconds, **{"launch_sd": 0.001, **facts})


def test_a_run_that_is_as_fast_as_its_base_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert_no_regression(run(1), run(2), threshold=0.05)

    assert "new against base" in capsys.readouterr().out


def test_a_slower_row_fails_with_its_interval_and_the_comparison() -> None:
    with pytest.raises(AssertionError) as failed:
        assert_no_regression(run(1), run(2, slowdown=1.3), threshold=0.05)

    first, line, *rest = str(failed.value).splitlines()
    assert first == "There is a regression:"
    assert "onnxruntime: REGRESSION, 1." in line
    assert "interval 1." in line
    assert "launches: 5 and 5" in line
    assert "save a new base" in rest[0]
    assert "Threshold 5%" in "\n".join(rest)


def test_only_the_requested_rows_are_judged() -> None:
    assert_no_regression(run(1), run(2, slowdown=1.3), threshold=0.05, rows=["torch"])
    with pytest.raises(UsageError, match="no results for 'openvino'"):
        assert_no_regression(run(1), run(2), rows=["openvino"])


def test_too_few_launches_skip_the_test_or_fail_it_on_request() -> None:
    with pytest.raises(Skipped, match="only 1 launch"):
        assert_no_regression(run(1), run(2, launches=1))
    with pytest.raises(AssertionError, match="only 1 launch"):
        assert_no_regression(run(1), run(2, launches=1), undecided="fail")


def test_a_slower_row_fails_even_if_another_row_is_undecided() -> None:
    new = run(2, slowdown=1.3, rows={"torch": {"withheld": "its latency never settled"}})

    with pytest.raises(AssertionError, match="onnxruntime: REGRESSION"):
        assert_no_regression(run(1), new, threshold=0.05)


def test_another_machine_skips_the_test_and_other_inputs_fail_it() -> None:
    with pytest.raises(Skipped, match="different CPU"):
        assert_no_regression(run(1), run(2, environment={"cpu_model": "Xeon"}))
    inputs = [TensorSpec(name="image", dtype="float32", shape=(8, 3, 224, 224))]
    with pytest.raises(AssertionError, match="different inputs"):
        assert_no_regression(run(1), run(2, input_specs=inputs))


def test_an_engine_that_broke_or_became_wrong_fails() -> None:
    error = Failure(phase="load", kind="SIGSEGV", reason="the worker died of SIGSEGV")
    broken = run(2, rows={"onnxruntime": {"status": "failed", "error": error}})
    with pytest.raises(AssertionError, match="SIGSEGV"):
        assert_no_regression(run(1), broken)

    with pytest.raises(AssertionError, match="onnxruntime: its outputs became wrong: 31 %"):
        assert_no_regression(run(1), run(2, rows={"onnxruntime": {"parity": DIFFERS}}))


def test_a_row_that_the_base_does_not_have_is_no_regression() -> None:
    base = a_run(np.random.default_rng(1), seconds={"torch": 0.02}, launch_sd=0.001)

    assert_no_regression(base, run(2), threshold=0.05)


def test_arguments_that_only_measuring_can_use_are_an_error_for_two_saved_runs() -> None:
    with pytest.raises(SettingError, match="without input, rounds"):
        assert_no_regression(run(1), run(2), np.zeros(1), rounds=20)


# --- in pytest itself ---


def pytest_run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", *arguments],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


TOY_TESTS = """
    import numpy as np
    import pytest

    from lexer_core import EngineChoice
    from lexer_core.pytest_plugin import assert_faster, assert_no_regression

    INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)


    @pytest.fixture(scope="module")
    def report(lexer_benchmark):
        engines = [EngineChoice("toy", {"work": work}, label=f"toy{work}") for work in (1, 4)]
        return lexer_benchmark("toy.onnx", INPUT, engines=engines, rounds=12)


    def test_true(report):
        assert_faster(report, "toy1", than="toy4", at_least=1.2)


    def test_false(report):
        assert_faster(report, "toy1", than="toy4", at_least=40)  # too much


    def test_undecided(lexer_benchmark):
        engines = [EngineChoice("toy", {"work": work}, label=f"toy{work}") for work in (1, 4)]
        report = lexer_benchmark("toy.onnx", INPUT, engines=engines, num_iterations=2)
        assert_faster(report, "toy1", than="toy4")


    def test_measured_again(report, lexer_context):
        assert_no_regression(
            report, "toy.onnx", INPUT, rows=["toy4"], threshold=3, rounds=12, context=lexer_context
        )
"""


def test_a_suite_measures_with_the_fixture_and_shows_the_line_of_the_claim(tmp_path: Path) -> None:
    FakeSite(tmp_path).add_engine("toy", TOY_ENGINE)
    write_toy_model(tmp_path).rename(tmp_path / "toy.onnx")
    (tmp_path / "conftest.py").write_text(
        dedent("""
            import pytest

            from lexer_core import LexerContext

            pytest_plugins = ["lexer_core.pytest_plugin"]


            @pytest.fixture(scope="session")
            def lexer_context():
                return LexerContext(isolation="none", canary=False, warm_up_seconds=0.05)
        """)
    )
    (tmp_path / "test_toys.py").write_text(dedent(TOY_TESTS))

    done = pytest_run(tmp_path, "-W", "error")

    print(done.stdout, done.stderr)
    assert "1 failed, 2 passed, 1 skipped" in done.stdout
    assert '>       assert_faster(report, "toy1", than="toy4", at_least=40)  # too much' in (
        done.stdout
    )
    assert "It is not true that toy1 is at least 40x as fast as toy4" in done.stdout
    assert "SKIPPED [1] test_toys.py:" in done.stdout
    assert "leave_undecided" not in done.stdout


def test_the_plugin_loads_only_if_it_is_asked_for(tmp_path: Path) -> None:
    without = pytest_run(tmp_path, "--fixtures")
    asked = pytest_run(tmp_path, "--fixtures", "-p", "lexer_core.pytest_plugin")

    assert "lexer_benchmark" not in without.stdout
    assert "lexer_benchmark" in asked.stdout
