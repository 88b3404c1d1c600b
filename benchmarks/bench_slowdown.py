"""Does Lexer find a real difference?

The same engine with 100 and with 105 small matrix products per call: 5 % more
work, and no other difference. Each trial is a whole benchmark with default
settings. The case with more work should be called slower.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from common import (
    Figure,
    arguments,
    installed_engines,
    print_figures,
    print_header,
    trials_within,
)

from lexer_core import EngineChoice, LexerContext

SIZE = 48
WORK, MORE_WORK = 100, 105


def main() -> None:
    """Run the trials and print a table."""
    read = arguments(
        "Measure a known slowdown.",
        trials=(8, 40, "benchmarks"),
        minutes=(3, 45, "start no further trial after this time"),
    )
    print_header("A slowdown of 5 %, each trial a benchmark with default settings")
    ratios: list[float] = []
    verdicts: list[str] = []
    seconds: list[float] = []
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as folder:
        model = Path(folder, "products.onnx")
        model.write_bytes(b"the engine does not read this")
        with installed_engines("products"):
            for trial in trials_within(read.trials, read.minutes):
                start = time.perf_counter()
                report = LexerContext().benchmark(
                    model,
                    np.ones((SIZE, SIZE), dtype=np.float32),
                    engines=[
                        EngineChoice("products", {"work": WORK}, label="before"),
                        EngineChoice("products", {"work": MORE_WORK}, label="after"),
                    ],
                )
                seconds.append(time.perf_counter() - start)
                (comparison,) = report.comparisons
                ratio = comparison.ratio
                ratios.append(1.0 / ratio.estimate)
                verdicts.append(comparison.verdict)
                print(
                    f"  {trial + 1}: {ratios[-1]:.4f} "
                    f"({1.0 / (ratio.high or 1):.4f}–{1.0 / (ratio.low or 1):.4f}) "
                    f"{comparison.verdict} ({comparison.reason or report.stopped_because}, "
                    f"{comparison.rounds} rounds, {seconds[-1]:.0f} s)",
                    flush=True,
                )
    found = verdicts.count("slower") / len(verdicts)
    p50 = report["before"].p50_ms
    print_figures(
        [
            Figure(
                "5 % more work is called slower",
                found,
                f"{found:.0%}",
                limit=0.95,
                at_least=True,
                remark=f"{verdicts.count('slower')} of {len(verdicts)} trials; "
                f"{verdicts.count('undecided')} undecided, {verdicts.count('none')} no verdict, "
                f"{verdicts.count('faster') + verdicts.count('tie')} wrong; "
                f"{np.median(seconds):.0f} s a trial",
            ),
            Figure(
                "measured ratio",
                float(np.median(ratios)),
                f"{np.median(ratios):.4f}",
                aim="true value 1.05",
                remark=f"{min(ratios):.4f} to {max(ratios):.4f}; a call takes {p50:.2f} ms",
            ),
        ]
    )


if __name__ == "__main__":
    main()
