"""How long does a tuning take, and does it find the same winner each time?

The command ``lexer tune`` on EfficientNet-Lite0: Torch and ONNXRuntime, batch sizes 1, 2,
4 and 8, one and two threads, float32 and bfloat16 (which ONNXRuntime lacks on a CPU), for
throughput, with a cached export after the first run. The gates: three minutes for the
whole command, and one configuration is the winner, or ties with it, in all runs but one.
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
from common import BENCHMARKS, Figure, arguments, print_figures, print_header

LINE = [
    *(sys.executable, "-m", "lexer_core", "tune", f"{BENCHMARKS / 'models.py'}:efficientnet"),
    *("--input", "float32[1,3,224,224]", "--engine", "torch", "--engine", "onnxruntime"),
    *("--vary", "batch=1,2,4,8", "--vary", "threads=1,2"),
    *("--vary", "precision=float32,bfloat16", "--maximize", "throughput"),
    *("--format", "json"),
]
CONFIGURATIONS = 24
"""Those that race; the others are unsupported."""

MOST_SECONDS = 180.0


@frozen
class Run:
    """The duration of one run in seconds, and its report."""

    seconds: float
    report: dict[str, Any] = field(repr=False)

    @property
    def best(self) -> set[str]:
        """The labels of the winner and of those that tie with it."""
        ended = self.report["tuning"]["configurations"]
        return {each["label"] for each in ended if each["fate"] in ("winner", "tie")}

    @property
    def winner(self) -> str:
        """The label of the winner."""
        ended = self.report["tuning"]["configurations"]
        return next((each["label"] for each in ended if each["fate"] == "winner"), "none")

    @property
    def closest(self) -> list[str]:
        """How those ended that took at most a tenth longer than another one."""
        return [
            f"{each['label']}: {each['fate']}, {each['reason']}"
            f" ({'confirmed' if each['confirmed'] else 'in the race'}, {each['rounds']} rounds)"
            for each in self.report["tuning"]["configurations"]
            if each["fate"] == "tie" or (each["ratio"] is not None and each["ratio"] < 1.1)
        ]

    @property
    def share(self) -> float:
        """Blocks of the race, relative to those of all configurations in all rounds."""
        tuning = self.report["tuning"]
        return float(tuning["race_samples"]) / (CONFIGURATIONS * tuning["race_rounds"])


def main() -> None:
    """Run the command several times and print a table."""
    read = arguments("Measure a whole tuning.", repeats=(1, 5, "runs"))
    print_header("Tuning of EfficientNet-Lite0, 32 configurations")
    runs = []
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as cache:
        for repeat in range(read.repeats):
            runs.append(run(cache))
            print(f"  {repeat + 1}: {runs[-1].seconds:.0f} s, {runs[-1].winner}")
            for line in runs[-1].closest:
                print(f"       {line}")
            sys.stdout.flush()
    agreeing = {each.winner: sum(each.winner in other.best for other in runs) for each in runs}
    most = max(agreeing.values())
    print_figures(
        [
            Figure(
                "whole command: slowest",
                max(each.seconds for each in runs),
                f"{max(each.seconds for each in runs):.0f} s",
                limit=MOST_SECONDS,
                unit=" s",
                remark=f"median {np.median([each.seconds for each in runs]):.0f} s, {len(runs)} "
                "runs",
            ),
            Figure(
                "runs in which the same one is the best, or ties with it",
                float(most),
                f"{most} of {len(runs)}",
                limit=max(1.0, len(runs) - 1.0),
                at_least=True,
                remark=", ".join(f"{label} in {count}" for label, count in agreeing.items()),
            ),
            Figure(
                "blocks of the race, relative to all configurations in all rounds",
                shown=f"{np.median([each.share for each in runs]):.0%}",
            ),
        ]
    )


def run(cache: str) -> Run:
    """Run the command once."""
    start = time.perf_counter()
    answer = subprocess.run(
        LINE,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LEXER_CACHE_DIR": cache},
        cwd=Path(cache),
    )
    return Run(time.perf_counter() - start, json.loads(answer.stdout))


if __name__ == "__main__":
    main()
