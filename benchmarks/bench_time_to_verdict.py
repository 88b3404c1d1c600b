"""How long does a verdict take?

The command ``lexer benchmark``, timed from its start to its end, with default settings
and with ``--quick``: EfficientNet-Lite0 on Torch and ONNXRuntime with an empty export
cache and with a cached export, and ResNet-18 on three engines with an empty cache. Each
gate applies to the slowest run. The table also shows where the time went.

``--busy 2`` repeats this next to two processes that compute all the time; the gates
then apply to the verdicts, and the times are shown for comparison.
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
from attrs import field, frozen
from common import BENCHMARKS, Figure, arguments, busy_neighbours, print_figures, print_header

INPUT = "float32[1,3,224,224]"


@frozen
class Command:
    """One command, and the most seconds that it may take."""

    title: str
    limit: float
    target: str
    engines: tuple[str, ...]
    options: tuple[str, ...] = ()

    @property
    def line(self) -> list[str]:
        """The command line."""
        engines = [part for engine in self.engines for part in ("--engine", engine)]
        target = f"{BENCHMARKS / 'models.py'}:{self.target}"
        start = [sys.executable, "-m", "lexer_core", "benchmark", target, "--input", INPUT]
        return [*start, "--format", "json", *engines, *self.options]


@frozen
class Run:
    """The duration of one run of a command in seconds, and its report."""

    seconds: float
    report: dict[str, Any] = field(repr=False)

    @property
    def verdicts(self) -> list[str]:
        """The verdict of each pair."""
        return [comparison["verdict"] for comparison in self.report["comparisons"]]


TWO = ("torch", "onnxruntime")
TITLE = "EfficientNet-Lite0, 2 engines"
EFFICIENTNET = [  # in this order: the first fills the cache
    Command(f"{TITLE}, cold", 20.0, "efficientnet", TWO),
    Command(f"{TITLE}, cached", 12.0, "efficientnet", TWO),
    Command(f"{TITLE}, cached, --quick", 8.0, "efficientnet", TWO, ("--quick",)),
]
RESNET = Command("ResNet-18, 3 engines, cold", 25.0, "resnet18", (*TWO, "openvino"))


def main() -> None:
    """Run the commands several times and print a table."""
    read = arguments(
        "Measure the time from the start of the command to its verdict.",
        repeats=(2, 7, "runs of each command"),
        busy=(0, 0, "processes that compute next to it"),
    )
    beside = f", next to {read.busy} busy processes" if read.busy else ""
    print_header(f"Time to a verdict{beside}")
    runs: dict[Command, list[Run]] = {command: [] for command in (*EFFICIENTNET, RESNET)}
    with busy_neighbours(read.busy):
        for repeat in range(read.repeats):
            for commands in (EFFICIENTNET, [RESNET]):
                with tempfile.TemporaryDirectory(prefix="lexer-bench-") as cache:
                    for command in commands:
                        runs[command].append(run(command, cache))
                        print(f"  {command.title} {repeat + 1}: {describe(runs[command][-1])}")
                        sys.stdout.flush()
    figures = []
    for command, done in runs.items():
        figures += summarise(command, done, gated=not read.busy)
    print_figures(figures)


def run(command: Command, cache: str) -> Run:
    """Run a command once."""
    start = time.perf_counter()
    answer = subprocess.run(
        command.line,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LEXER_CACHE_DIR": cache},
        cwd=Path(cache),
    )
    return Run(time.perf_counter() - start, json.loads(answer.stdout))


def describe(run: Run) -> str:
    """Describe one run."""
    ratios = []
    for comparison in run.report["comparisons"]:
        ratio = comparison["ratio"]
        half = (ratio["high"] / ratio["low"]) ** 0.5 - 1.0
        ratios.append(f"{ratio['estimate']:.2f} ± {half:.1%} {comparison['verdict']}")
    rounds = max(comparison["rounds"] for comparison in run.report["comparisons"])
    stopped = run.report["stopped_because"]
    return f"{run.seconds:.1f} s, {'; '.join(ratios)} ({stopped}, {rounds} rounds)"


def summarise(command: Command, runs: list[Run], *, gated: bool) -> list[Figure]:
    """Summarise the runs of one command."""
    seconds = [done.seconds for done in runs]
    clear = [all(verdict in ("faster", "slower") for verdict in done.verdicts) for done in runs]
    first_pair = [done.verdicts[0] in ("faster", "slower") for done in runs]
    return [
        Figure(
            f"{command.title}: slowest",
            max(seconds),
            f"{max(seconds):.1f} s",
            limit=command.limit if gated else None,
            unit=" s",
            remark=f"median {np.median(seconds):.1f} s, fastest {min(seconds):.1f} s, "
            f"{len(runs)} runs",
        ),
        Figure(
            "  runs with a clear verdict",
            float(np.mean(first_pair)),
            f"{sum(first_pair)} of {len(runs)}",
            limit=1.0,
            at_least=True,
            remark=f"Torch and ONNXRuntime; every pair in {sum(clear)}",
        ),
        *(
            Figure(f"  {phase}", shown=f"{spent:.2f} s")
            for phase, spent in where_it_went(runs).items()
        ),
    ]


def where_it_went(runs: list[Run]) -> dict[str, float]:
    """Return the median seconds of each phase, and of the remaining time."""
    phases: dict[str, list[float]] = {}
    for done in runs:
        for phase, spent in done.report["seconds"].items():
            phases.setdefault(phase, []).append(spent)
        rest = done.seconds - sum(done.report["seconds"].values())
        phases.setdefault("start, imports, target, statistics, end", []).append(rest)
    return {phase: float(np.median(spent)) for phase, spent in phases.items()}


if __name__ == "__main__":
    main()
