"""Does Lexer find a real difference, and how soon?

The same engine with 100 small matrix products per call and with more: 5 % more, twice
and three times as many, and no other difference. Each trial is a whole benchmark with
default settings, with the machine as it is; twice and three times as many also next to
two processes that compute all the time. The case with more work should be called slower.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
from attrs import define, field
from common import (
    Figure,
    arguments,
    busy_neighbours,
    installed_engines,
    print_figures,
    print_header,
    trials_within,
)

from lexer_core import EngineChoice, LexerContext

SIZE = 48
WORK = 100
NEIGHBOURS = 2
SOON = 15.0
"""Seconds within which 5 % should be found."""


@define
class Trials:
    """The results of all trials with one amount of work."""

    more_work: int
    neighbours: int
    ratios: list[float] = field(factory=list)
    verdicts: list[str] = field(factory=list)
    seconds: list[float] = field(factory=list)

    @property
    def title(self) -> str:
        """What is compared."""
        beside = f", next to {self.neighbours} busy processes" if self.neighbours else ""
        return f"{self.more_work / WORK:g} times the work{beside}"


def main() -> None:
    """Run the trials and print a table."""
    read = arguments(
        "Measure known slowdowns.",
        trials=(8, 40, "benchmarks with each amount of work"),
        minutes=(3, 45, "start no further trial after this time"),
    )
    print_header("Known slowdowns, each trial a benchmark with default settings")
    figures = []
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as folder:
        model = Path(folder, "products.onnx")
        model.write_bytes(b"the engine does not read this")
        with installed_engines("products"):
            for more_work, neighbours in (
                *((105, 0), (200, 0), (300, 0)),
                *((200, NEIGHBOURS), (300, NEIGHBOURS)),
            ):
                trials = Trials(more_work, neighbours)
                with busy_neighbours(neighbours):
                    for trial in trials_within(read.trials, read.minutes):
                        one_trial(model, trials)
                        print(f"  {trials.title} {trial + 1}: {describe_last(trials)}", flush=True)
                figures += summarise(trials)
    print_figures(figures)


def one_trial(model: Path, trials: Trials) -> None:
    """Run one benchmark."""
    start = time.perf_counter()
    report = LexerContext(show_progress=False).benchmark(
        model,
        np.ones((SIZE, SIZE), dtype=np.float32),
        engines=[
            EngineChoice("products", {"work": WORK}, label="before"),
            EngineChoice("products", {"work": trials.more_work}, label="after"),
        ],
    )
    trials.seconds.append(time.perf_counter() - start)
    (comparison,) = report.comparisons
    trials.ratios.append(1.0 / comparison.ratio.estimate)
    trials.verdicts.append(comparison.verdict)


def describe_last(trials: Trials) -> str:
    """Describe the result of the last trial."""
    return f"{trials.ratios[-1]:.4f} {trials.verdicts[-1]} ({trials.seconds[-1]:.1f} s)"


def summarise(trials: Trials) -> list[Figure]:
    """Summarise the trials with one amount of work."""
    five_percent = trials.more_work < 2 * WORK
    count = len(trials.verdicts)
    found = sum(
        verdict == "slower" and (seconds <= SOON or not five_percent)
        for verdict, seconds in zip(trials.verdicts, trials.seconds, strict=True)
    )
    wrong = sum(verdict in ("faster", "tie") for verdict in trials.verdicts)
    return [
        Figure(
            f"{trials.title}: called slower" + (f" within {SOON:.0f} s" if five_percent else ""),
            found / count,
            f"{found} of {count}",
            limit=0.95 if five_percent else 1.0,
            at_least=True,
            remark=f"{trials.verdicts.count('undecided')} undecided, "
            f"{trials.verdicts.count('none')} no verdict, {wrong} wrong; "
            f"median {np.median(trials.seconds):.1f} s, longest {max(trials.seconds):.1f} s",
        ),
        Figure(
            "  measured ratio",
            float(np.median(trials.ratios)),
            f"{np.median(trials.ratios):.4f}",
            remark=f"{min(trials.ratios):.4f} to {max(trials.ratios):.4f}",
        ),
    ]


if __name__ == "__main__":
    main()
