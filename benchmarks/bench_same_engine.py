"""Does Lexer find a difference where there is none?

The same engine under two names: any ratio other than 1 is an error of the
harness. Each trial is a whole benchmark with default settings. For comparison, the
usual method: a loop over one session, then a loop over another session of the same
model, in one process.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import models
import numpy as np
from attrs import define, field
from common import (
    BENCHMARKS,
    Figure,
    arguments,
    busy_neighbours,
    exported_model,
    log_ratio_spread,
    print_figures,
    print_header,
    trials_within,
)

from lexer_core import EngineChoice, LexerContext
from lexer_core.machine.affinity import usable_threads

MODELS = ("linear", "efficientnet")
SAMPLES_IN_SEQUENCE = 200


@define
class Trials:
    """The results of all trials with one model."""

    ratios: list[float] = field(factory=list)
    in_sequence: list[float] = field(factory=list)
    contained: list[bool] = field(factory=list)
    half_widths: list[float] = field(factory=list)
    verdicts: list[str] = field(factory=list)
    reasons: list[str] = field(factory=list)
    seconds: list[float] = field(factory=list)
    rounds: list[int] = field(factory=list)


def main() -> None:
    """Run the trials of each model and print a table."""
    read = arguments(
        "Compare an engine with itself.",
        trials=(5, 50, "benchmarks of each model"),
        minutes=(3, 45, "start no further trial of a model after this time"),
        busy=(0, 0, "processes that compute next to it"),
    )
    beside = f", next to {read.busy} busy processes" if read.busy else ""
    print_header(f"A/A: ONNXRuntime against itself, each trial a default benchmark{beside}")
    figures = []
    with (
        tempfile.TemporaryDirectory(prefix="lexer-bench-") as folder,
        busy_neighbours(read.busy),
    ):
        for model in MODELS:
            path = exported_model(model, Path(folder))
            trials = Trials()
            for trial in trials_within(read.trials, read.minutes):
                one_trial(model, path, trials)
                print(f"  {model} {trial + 1}: {describe_last(trials)}", flush=True)
            figures += summarise(model, trials)
    print_figures(figures)


def one_trial(model: str, path: Path, trials: Trials) -> None:
    """Run one benchmark and the sequential loops."""
    start = time.perf_counter()
    report = LexerContext(show_progress=False).benchmark(
        path,
        models.example_input(model),
        engines=[EngineChoice("onnxruntime", label=label) for label in ("a", "b")],
    )
    trials.seconds.append(time.perf_counter() - start)
    (comparison,) = report.comparisons
    ratio = comparison.ratio
    assert ratio.low is not None
    assert ratio.high is not None
    trials.ratios.append(ratio.estimate)
    trials.contained.append(ratio.low <= 1.0 <= ratio.high)
    trials.half_widths.append((ratio.high / ratio.low) ** 0.5 - 1.0)
    trials.verdicts.append(comparison.verdict)
    trials.reasons.append(comparison.reason or report.stopped_because)
    trials.rounds.append(comparison.rounds)
    trials.in_sequence.append(loops_in_sequence(model, path))


def loops_in_sequence(model: str, path: Path) -> float:
    """Time two sessions one after the other and return the ratio of their medians."""
    program = [sys.executable, str(BENCHMARKS / "hand_written.py"), "sequential"]
    answer = subprocess.run(
        [*program, model, str(usable_threads()), str(path), str(SAMPLES_IN_SEQUENCE)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    first, second = map(float, answer.stdout.split())
    return first / second


def describe_last(trials: Trials) -> str:
    """Describe the result of the last trial."""
    return (
        f"{trials.ratios[-1]:.4f} ± {trials.half_widths[-1]:.2%} {trials.verdicts[-1]} "
        f"({trials.reasons[-1]}, {trials.rounds[-1]} rounds, {trials.seconds[-1]:.0f} s); "
        f"in sequence {trials.in_sequence[-1]:.3f}"
    )


def summarise(model: str, trials: Trials) -> list[Figure]:
    """Summarise the trials of one model."""
    count = len(trials.ratios)
    spread = log_ratio_spread(trials.ratios)
    sequential = log_ratio_spread(trials.in_sequence)
    contained = float(np.mean(trials.contained))
    wrong = sum(verdict in ("faster", "slower") for verdict in trials.verdicts)
    ties = trials.verdicts.count("tie")
    withheld = trials.verdicts.count("none")
    return [
        Figure(
            f"{model}: SD of log ratio",
            spread,
            f"{spread:.4f}",
            limit=0.01,
            remark=f"{count} trials, worst {worst(trials.ratios):.3f}; "
            f"{np.median(trials.rounds):.0f} rounds",
        ),
        Figure(
            "  loops in sequence",
            sequential,
            f"{sequential:.4f}",
            remark=f"{SAMPLES_IN_SEQUENCE} samples a side; worst {worst(trials.in_sequence):.2f}",
        ),
        Figure(
            "  interval contains 1",
            contained,
            f"{contained:.0%}",
            limit=0.93,
            at_least=True,
            remark=f"half-width {np.median(trials.half_widths):.2%}",
        ),
        Figure("  'faster' or 'slower'", wrong, f"{wrong} of {count}", limit=0),
        Figure(
            "  tie",
            ties / count,
            f"{ties} of {count}",
            limit=0.9,
            at_least=True,
            remark=f"{trials.verdicts.count('undecided')} undecided",
        ),
        Figure("  no verdict", withheld / count, f"{withheld} of {count}", limit=0.02),
        Figure(
            "  longest trial",
            max(trials.seconds),
            f"{max(trials.seconds):.1f} s",
            limit=35,
            unit=" s",
            remark=f"median {np.median(trials.seconds):.1f} s; 30 s of rounds at most",
        ),
    ]


def worst(ratios: list[float]) -> float:
    """Return the ratio that is furthest from 1."""
    return max(ratios, key=lambda ratio: abs(np.log(ratio)))


if __name__ == "__main__":
    main()
