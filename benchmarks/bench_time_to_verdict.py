"""How long does a verdict take?

``lexer benchmark`` of EfficientNet-Lite0 on Torch and ONNXRuntime to ± 2 %,
timed from the start of the command to its end, with an empty export cache and with
a cached export. The table also shows where the time went.
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
from common import BENCHMARKS, Figure, arguments, print_figures, print_header

AIMS = {"cold": 20.0, "cached": 12.0}
TARGET = f"{BENCHMARKS / 'models.py'}:efficientnet"
COMMAND = [
    *(sys.executable, "-m", "lexer_core", "benchmark", TARGET),
    *("--input", "inputs=float32[1,3,224,224]", "--format", "json"),
    *("--engine", "torch", "--engine", "onnxruntime"),
]


def main() -> None:
    """Run the command several times, cold and cached, and print a table."""
    read = arguments(
        "Measure the time from the start of the command to its verdict.",
        repeats=(2, 7, "runs with an empty cache, and the same number with a cached export"),
    )
    print_header("Time to a verdict: Torch and ONNXRuntime on EfficientNet-Lite0, to ± 2 %")
    runs: dict[str, list[tuple[float, dict[str, Any]]]] = {kind: [] for kind in AIMS}
    for repeat in range(read.repeats):
        with tempfile.TemporaryDirectory(prefix="lexer-bench-") as cache:
            for kind in AIMS:  # the cached run reuses the export of the cold one
                runs[kind].append(one_run(cache))
                print(f"  {kind} {repeat + 1}: {describe(*runs[kind][-1])}", flush=True)
    figures = []
    for kind, aim in AIMS.items():
        seconds = [taken for taken, _ in runs[kind]]
        typical = float(np.median(seconds))
        figures.append(
            Figure(
                f"{kind}: from start to end",
                typical,
                f"{typical:.1f} s",
                limit=aim,
                unit=" s",
                remark=f"{min(seconds):.1f} to {max(seconds):.1f} s, {len(seconds)} runs",
            )
        )
        figures += [
            Figure(f"  {phase}", shown=f"{spent:.2f} s")
            for phase, spent in where_it_went(runs[kind]).items()
        ]
    print_figures(figures)


def one_run(cache: str) -> tuple[float, dict[str, Any]]:
    """Run the command once; return its duration in seconds and its report."""
    start = time.perf_counter()
    answer = subprocess.run(
        COMMAND,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LEXER_CACHE_DIR": cache},
        cwd=Path(cache),
    )
    seconds = time.perf_counter() - start
    report: dict[str, Any] = json.loads(answer.stdout)
    return seconds, report


def describe(seconds: float, report: dict[str, Any]) -> str:
    """Describe one run."""
    (comparison,) = report["comparisons"]
    ratio = comparison["ratio"]
    half = (ratio["high"] / ratio["low"]) ** 0.5 - 1.0
    return (
        f"{seconds:.1f} s, ratio {ratio['estimate']:.2f} ± {half:.1%} {comparison['verdict']} "
        f"({comparison['reason'] or report['stopped_because']}, {comparison['rounds']} rounds)"
    )


def where_it_went(runs: list[tuple[float, dict[str, Any]]]) -> dict[str, float]:
    """Return the median seconds of each phase, and of the remaining time."""
    phases: dict[str, list[float]] = {}
    for seconds, report in runs:
        for phase, spent in report["seconds"].items():
            phases.setdefault(phase, []).append(spent)
        rest = seconds - sum(report["seconds"].values())
        phases.setdefault("start, imports, target, statistics, end", []).append(rest)
    return {phase: float(np.median(spent)) for phase, spent in phases.items()}


if __name__ == "__main__":
    main()
