"""Reports to show, which were not measured."""

from __future__ import annotations

from typing import Any

from lexer_core.records import Placement, TensorSpec
from lexer_core.report import BenchmarkReport
from lexer_core.reporting.sentences import verdict_sentences
from lexer_core.results import (
    BenchmarkResult,
    Comparison,
    Environment,
    Failure,
    Interval,
    OutputParity,
    Parity,
)
from lexer_core.results.load_test import ClosedPoint, LoadConfiguration, LoadTest, RatePoint
from lexer_core.results.tuning import Tuning, TuningConfiguration

AGREES = Parity(status="pass", reference="AmazingNet (eager)", max_abs_error=2e-6)
DIFFERS = Parity(
    status="fail",
    reference="AmazingNet (eager)",
    max_abs_error=0.31,
    reason="31 % of the elements of 'logits' differ",
    outputs=(OutputParity(name="logits", max_abs_error=0.31, passed=False),),
)


def a_row(label: str = "torch", engine: str = "Torch", p50: float = 38.06, **facts: Any) -> Any:
    """A measured row; ``facts`` override its values."""
    values: dict[str, Any] = {
        "label": label,
        "engine": engine,
        "engine_name": label,
        "device": "CPU",
        "status": "ok",
        "num_samples": 620,
        "throughput_per_sec": 1000 / p50,
        "variance": 0.1,
        "mean_ms": p50 * 1.01,
        "p50_ms": p50,
        "p90_ms": p50 * 1.04,
        "p95_ms": p50 * 1.08,
        "p99_ms": p50 * 1.3,
        "intervals": {"p50_ms": Interval(estimate=p50, low=p50 * 0.997, high=p50 * 1.003)},
        "batch_size": 1,
        "threads": 2,
        "rounds": 31,
        "load_ms": 310.0,
        "first_call_ms": 114.0,
        "peak_memory_bytes": 412 * 2**20,
        "parity": AGREES,
    }
    return BenchmarkResult(**values | facts)


def a_failed_row(label: str = "tvm", engine: str = "TVM", **facts: Any) -> BenchmarkResult:
    """A row without numbers."""
    values: dict[str, Any] = {
        "status": "failed",
        "error": Failure(
            phase="load", kind="SIGSEGV", reason="the worker died of SIGSEGV", hint="Its log: …"
        ),
    }
    values = {"engine_name": label, "device": "CPU", **values}
    return BenchmarkResult(label=label, engine=engine, **values | facts)


def a_comparison(
    a: str = "torch",
    b: str = "onnxruntime",
    ratio: tuple[float, float, float] = (3.7, 3.9, 4.1),
    verdict: Any = "faster",
    **facts: Any,
) -> Comparison:
    """``ratio`` is low, estimate, high."""
    low, estimate, high = ratio
    interval = Interval(estimate=estimate, low=low, high=high)
    return Comparison(a=a, b=b, ratio=interval, verdict=verdict, rounds=31, **facts)


def a_report(*rows: BenchmarkResult, comparisons: Any = (), **facts: Any) -> BenchmarkReport:
    """A report with its sentences."""
    values: dict[str, Any] = {
        "model_name": "AmazingNet",
        "input_specs": [TensorSpec(name="image", dtype="float32", shape=(1, 3, 224, 224))],
        "sentences": verdict_sentences(rows, comparisons),
        "stopped_because": "precise",
    }
    return BenchmarkReport(results=rows, comparisons=comparisons, **values | facts)


def a_full_report() -> BenchmarkReport:
    """A report in which no field is empty."""
    rows = [
        a_row(rank=2, notes_on_percentiles={"p99_ms": "insufficient: 310 of 368 samples"}),
        a_row(
            "onnxruntime",
            "ONNXRuntime",
            9.912,
            rank=1,
            break_even_calls=220.4,
            export_ms=6100.0,
            export_cached=False,
            options={"graph_optimization_level": "basic"},
            placement=Placement(share=0.82, method="nodes", fallbacks=["Gather (CPU)"]),
            warnings=["warm-up never settled"],
            diagnosis={"drift": 0.01},
        ),
        a_row("int8", "ONNXRuntime", 5.1, engine_name="onnxruntime", parity=DIFFERS),
        a_failed_row(),
    ]
    return a_report(
        *rows,
        comparisons=[
            a_comparison(),
            a_comparison(b="int8", verdict="none", reason="its outputs disagree"),
        ],
        environment=Environment(
            cpu_model="EPYC", cores_usable=2, python="3.11.9", engines={"Torch": "2.13.0"}
        ),
        settings={"margin": 0.01, "threads": None},
        notes=["latency moved by 14% between the halves of the run"],
        command="lexer benchmark net.py:Net",
        created_at="2026-01-02T03:04:05+00:00",
        seed=7,
        seconds={"export": 6.1, "rounds": 12.0},
    )


def a_tuned_report() -> BenchmarkReport:
    """A tuning in which configurations ended in every way."""
    ends: dict[str, dict[str, Any]] = {
        "winner": {"batch": 8, "confirmed": True},
        "tie": {"batch": 4, "reason": "within 1 % of the best", "confirmed": True},
        "front": {"batch": 16},
        "slower": {"batch": 2, "beaten_by": "winner", "ratio": 1.4, "reason": "slower by 40 %"},
        "over_limit": {"batch": 32, "reason": "p99 is 31 ms: 1.6 times the limit"},
        "failed": {"batch": 64, "reason": "out of memory"},
        "unsupported": {"batch": 128, "reason": "no such batch"},
        "not_reached": {"batch": 1, "reason": "the time was up"},
    }
    torch: dict[str, Any] = {"engine": "Torch", "engine_name": "torch"}
    measured = [a_row(end, p50=10.0 + at, **torch) for at, end in enumerate(list(ends)[:5])]
    rows = [*measured, *(a_failed_row(end, **torch) for end in list(ends)[5:])]
    return a_report(*rows, comparisons=[a_comparison("tie", "winner")], tuning=_tuning(ends))


def a_tuning_without_numbers() -> BenchmarkReport:
    """A tuning in which nothing could be measured."""
    ends: dict[str, dict[str, Any]] = {
        "failed": {"batch": 1, "reason": "no such file"},
        "unsupported": {"batch": 2, "reason": "no such batch"},
    }
    return a_report(*map(a_failed_row, ends), tuning=_tuning(ends))


def _tuning(ends: dict[str, dict[str, Any]]) -> Tuning:
    configurations: list[Any] = [
        TuningConfiguration(label=end, engine="torch", fate=end, rounds=5, number=at, **facts)  # type: ignore[arg-type]
        for at, (end, facts) in enumerate(ends.items())
    ]
    return Tuning(
        goals=["minimize p50"],
        limits=["p99<=20ms"],
        bounds={"p99": 20.0},
        vary={"batch": [str(each.batch) for each in configurations]},
        configurations=configurations,
        space_size=len(configurations),
        race_rounds=5,
        race_samples=40,
    )


def a_load_report() -> BenchmarkReport:
    """A load test of one engine that keeps to the limit, and one that cannot be measured."""
    figures: dict[str, Any] = {
        "requests": 900,
        "share_low": 0.98,
        "share_high": 1.0,
        "p50_ms": 9.0,
        "p95_ms": 20.0,
        "p99_ms": 40.0,
        "wait_mean_ms": 1.0,
        "wait_p99_ms": 20.0,
        "service_mean_ms": 9.0,
        "service_p99_ms": 12.0,
        "lateness_p99_ms": 0.1,
        "cpus": 1.5,
        "blocks": 3,
    }
    points = [
        RatePoint(
            rate=rate,
            verdict=verdict,
            share=share,
            achieved_per_sec=rate,
            goodput_per_sec=rate * share,
            **figures,
        )
        for rate, verdict, share in ((60.0, "passes", 0.999), (120.0, "fails", 0.7))
    ]
    configurations = [
        LoadConfiguration(
            label="torch",
            engine="torch",
            instances=1,
            threads=2,
            capacity_per_sec=130.0,
            closed=[ClosedPoint(concurrency=1, throughput_per_sec=130.0, p50_ms=7.0, p99_ms=9.0)],
            gil="partly",
            points=points,
            rate=60.0,
            highest_passing=60.0,
            lowest_failing=120.0,
        ),
        _load_without_numbers("tvm"),
    ]
    return a_report(a_row(), a_failed_row(), load_test=_load_test(configurations))


def a_load_test_without_numbers() -> BenchmarkReport:
    """A load test in which nothing could be measured."""
    return a_report(a_failed_row(), load_test=_load_test([_load_without_numbers("tvm")]))


def _load_without_numbers(label: str) -> LoadConfiguration:
    return LoadConfiguration(
        label=label, engine=label, instances=2, threads=1, reason="the worker died of SIGSEGV"
    )


def _load_test(configurations: list[LoadConfiguration]) -> LoadTest:
    return LoadTest(slo="p99<=50ms", percent=99.0, limit_ms=50.0, configurations=configurations)
