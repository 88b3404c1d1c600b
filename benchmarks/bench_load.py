"""Is a load test true in real time, and does it repeat its answer?

Three parts. The dispatch: an engine of 100 µs at 1,000 requests a second; the p99 of the
lateness of a thread that waited must be 0.2 ms at most, or the rate is withheld. The
queue: the waits of M/M/1, M/D/1 and M/D/2 in real time, compared with what the recursion
of queueing theory gives for the same arrivals and calls. The answer: ``lexer load`` on
EfficientNet-Lite0 with three engines, one and two instances, in three minutes; the
highest rate of the best engine is within 10 % of the median in all runs but one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import (
    BENCHMARKS,
    Figure,
    arguments,
    installed_engines,
    print_figures,
    print_header,
)

from lexer_core.benchmark.case_records import CaseSpec
from lexer_core.load_testing.arrivals import Arrivals
from lexer_core.load_testing.measure import Requests
from lexer_core.load_testing.queueing import fifo_starts
from lexer_core.load_testing.session import LoadSession
from lexer_core.records import (
    CallInputs,
    CallStructure,
    ExportedModel,
    SessionConfig,
    TensorRef,
    TensorSpec,
)

LINE = [
    *(sys.executable, "-m", "lexer_core", "load", f"{BENCHMARKS / 'models.py'}:efficientnet"),
    *("--input", "float32[1,3,224,224]", "--engine", "torch", "--engine", "onnxruntime"),
    *("--engine", "openvino", "--instances", "1,2", "--threads", "1", "--slo", "p95<=150ms"),
    *("--max-seconds", "130", "--format", "json"),
]
MOST_SECONDS = 180.0
WITHIN = 0.1
LATENESS_MS = 0.2


def main() -> None:
    """Print a table for each part."""
    read = arguments(
        "Measure a load test.",
        seeds=(2, 20, "seeds of the queue"),
        seconds=(4, 10, "seconds of each seed"),
        repeats=(1, 5, "runs of the command"),
    )
    print_header("Load test")
    with installed_engines("timed") as folder:
        model = folder / "model.onnx"
        model.write_bytes(b"any bytes will do")
        print_figures([lateness(model)], title="Dispatch")
        queues = [
            queue(model, name, servers, load, read.seeds, read.seconds)
            for name, servers, load in (("M/M/1", 1, 0.6), ("M/D/1", 1, 0.7), ("M/D/2", 2, 0.7))
        ]
        print_figures([each for pair in queues for each in pair], title="Waits, measured ÷ theory")
    print_figures(answers(read.repeats), title="EfficientNet-Lite0, p95 ≤ 150 ms")


def opened(model: Path, instances: int, **options: int | bool) -> LoadSession:
    """Return a session of the timed engine with some instances."""
    specs = [TensorSpec(name=name, dtype="float32", shape=(1, 64)) for name in ("x", "y")]
    exported = ExportedModel(
        format="onnx",
        path=model,
        inputs=(specs[0],),
        outputs=(specs[1],),
        size_bytes=0,
        exporter="given",
    )
    spec = CaseSpec(
        engine="timed",
        device="cpu",
        exported=exported,
        config=SessionConfig(
            threads=1, options={"microseconds": 100, "exponential": False, **options}
        ),
    )
    session = LoadSession()
    session.load(spec)
    array = np.ones((1, 64), dtype=np.float32)
    session.place(CallInputs(arrays={"x": array}, structure=CallStructure(args=(TensorRef("x"),))))
    session.first_call()
    session.open_instances(spec, instances, shared_session=False)
    return session


def requests(rate: float, seconds: float, seed: int) -> Requests:
    """Return requests at random times that are never given up."""
    return Requests(
        due=Arrivals(name="poisson", seed=seed).times(rate, seconds, 0),
        limit=1e9,
        most_late=10**9,
        longest_wait=1e9,
    )


def lateness(model: Path) -> Figure:
    """Serve 1,000 requests a second with an engine of 100 µs."""
    session = opened(model, 1, microseconds=100)
    found = []
    for seed in range(5):
        block = session.open_block(requests(1000.0, 2.0, seed))
        late = block.lateness[np.isfinite(block.lateness)] * 1e3
        found.append([float(np.percentile(late, at)) for at in (50, 99)])
    session.close()
    median, p99 = np.median(found, axis=0)
    return Figure(
        "lateness at 1,000 requests/s of 100 µs: p99",
        p99,
        f"{p99:.3f} ms",
        limit=LATENESS_MS,
        unit=" ms",
        remark=f"p50 {median:.3f} ms; p99 of each of 5 blocks: "
        + ", ".join(f"{each[1]:.3f}" for each in found),
    )


def queue(
    model: Path, name: str, servers: int, load: float, seeds: int, seconds: float
) -> tuple[Figure, Figure]:
    """Compare waits in real time with the recursion."""
    session = opened(model, servers, microseconds=5000, exponential=name == "M/M/1")
    means, tails = [], []
    for seed in range(seeds):
        asked = requests(load * servers / 0.005, seconds, seed)
        block = session.open_block(asked)
        services = block.ends - block.starts
        theory = fifo_starts(asked.due, services, servers) - asked.due
        waits = block.starts - asked.due
        means.append(waits.mean() / theory.mean())
        tails.append(np.percentile(waits, 99) / np.percentile(theory, 99))
    session.close()
    return tuple(
        Figure(
            f"{name}: {what} of the wait",
            abs(float(np.mean(ratios)) - 1.0) * 100.0,
            f"{np.mean(ratios):.3f}",
            limit=limit,
            unit=" %",
            remark=f"{seeds} seeds of {seconds:g} s, from {min(ratios):.3f} to {max(ratios):.3f}",
        )
        for what, ratios, limit in (("mean", means, 3.0), ("p99", tails, 5.0))
    )


def answers(repeats: int) -> list[Figure]:
    """Run the command several times, with a cached export after the first."""
    seconds, rates = [], []
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as cache:
        for repeat in range(repeats):
            start = time.perf_counter()
            answer = subprocess.run(
                LINE,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "LEXER_CACHE_DIR": cache},
                cwd=Path(cache),
            )
            seconds.append(time.perf_counter() - start)
            report = json.loads(answer.stdout)
            rates.append(best_rates(report))
            print(f"  {repeat + 1}: {seconds[-1]:.0f} s: {' '.join(report['sentences'])}")
            sys.stdout.flush()
    figures = [
        Figure(
            "whole command: slowest",
            max(seconds),
            f"{max(seconds):.0f} s",
            limit=MOST_SECONDS,
            unit=" s",
            remark=f"median {np.median(seconds):.0f} s, {len(seconds)} runs",
        )
    ]
    for engine in sorted({name for each in rates for name in each}):
        known = [each[engine] for each in rates if engine in each]
        middle = float(np.median(known))
        agreeing = sum(abs(rate / middle - 1.0) <= WITHIN for rate in known)
        figures.append(
            Figure(
                f"runs of {engine} within {WITHIN:.0%} of the median",
                float(agreeing),
                f"{agreeing} of {repeats}",
                limit=max(1.0, repeats - 1.0),
                at_least=True,
                remark=", ".join(f"{rate:.3g}" for rate in known),
            )
        )
    return figures


def best_rates(report: dict[str, Any]) -> dict[str, float]:
    """Return the highest rate of each engine."""
    best: dict[str, float] = {}
    for each in report["load_test"]["configurations"]:
        if each["rate"] is not None:
            best[each["engine"]] = max(best.get(each["engine"], 0.0), each["rate"])
    return best


if __name__ == "__main__":
    main()
