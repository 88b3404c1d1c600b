"""How much does a call of a deployed session cost, compared with the engine's own call?

The model is a small layer, so that the difference is visible. The calls take turns in
random order, in blocks; the figure is the median over rounds of the difference of the
two means, with the engine's own session in the same process, on the same file and
options. Run ``python benchmarks/bench_deployed_call.py``.
"""

from __future__ import annotations

import random
import runpy
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from common import Figure, arguments, print_figures, print_header

import lexer_core
from lexer_core import LexerContext

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_US = 5.0
ENGINES = ("onnxruntime", "openvino", "torch")
ROUNDS, CALLS = 200, 200


class Layer(torch.nn.Module):
    """A small model, whose calls take microseconds."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(64, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer."""
        return self.layer(x)


def differences(ours: Callable[[], object], own: Callable[[], object]) -> np.ndarray:
    """Return the own call's mean and the difference to it, in µs, by round."""
    rng = random.Random(0)
    means = np.empty((ROUNDS, 2))
    for row in means:
        for side in rng.sample((0, 1), 2):
            call = (own, ours)[side]
            call()
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            row[side] = (time.perf_counter() - start) / CALLS * 1e6
    return np.column_stack([means[:, 0], means[:, 1] - means[:, 0]])


def main() -> None:
    """Measure every engine that is installed."""
    arguments("Compare a call of a deployed session with the engine's own call.")
    print_header("A call of a deployed session")
    x = torch.randn(1, 64)
    array = x.numpy()
    figures = []
    model = Layer()  # the report does not keep it alive
    report = LexerContext().benchmark(
        model, {"x": x}, engines=list(ENGINES), num_iterations=20, threads=1, canary=False
    )
    with tempfile.TemporaryDirectory() as folder:
        for engine in ENGINES:
            if report[engine].status != "ok":
                continue
            build = {"build": "bench_deployed_call:Layer"} if engine == "torch" else {}
            path = report[engine].save(Path(folder) / engine, **build)
            own = partial(runpy.run_path(str(path / "run.py"))["run"], array)
            with lexer_core.load(path, trusted=True) as session:
                rounds = differences(partial(session, x=array), own)
                noise = differences(own, own)[:, 1]
            base, extra = np.median(rounds, axis=0)
            low, high = np.percentile(rounds[:, 1], (25, 75))
            figures.append(
                Figure(
                    f"{engine}: a call, beyond the one in run.py",
                    float(extra),
                    f"{extra:.2f} µs (quartiles {low:.2f} to {high:.2f})",
                    limit=LIMIT_US if engine == "onnxruntime" else None,
                    unit=" µs",
                    remark=f"the own call takes {base:.2f} µs; two of it differ by "
                    f"{np.percentile(np.abs(noise), 75):.2f} µs in a quarter of the rounds",
                )
            )
    print_figures(figures)


if __name__ == "__main__":
    main()
