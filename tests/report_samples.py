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
    return BenchmarkResult(
        label=label, engine=engine, engine_name=label, device="CPU", **values | facts
    )


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
