"""What do the benchmarks of Lexer itself have in common?

A header with time and machine, a table with a gate for each figure, models that are
exported once, and engines that exist only for these benchmarks.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import field, frozen
from rich.console import Console
from rich.table import Table

from lexer_core.build_report import environment_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "BENCHMARKS",
    "Figure",
    "arguments",
    "busy_neighbours",
    "exported_model",
    "installed_engines",
    "log_ratio_spread",
    "print_figures",
    "print_header",
    "trials_within",
]

BENCHMARKS = Path(__file__).parent
_PLUGINS = BENCHMARKS / "plugins"


@frozen
class Figure:
    """One line of a table.

    Parameters
    ----------
    what
        What was measured.
    value
        The figure, in the gate's unit.
    shown
        The figure as text, with its interval.
    limit
        The gate; ``None`` for a figure shown only for comparison.
    at_least
        Whether the gate is a minimum.
    aim
        A goal beyond the gate, as text.
    remark
        Details.
    """

    what: str
    value: float = math.nan
    shown: str = ""
    limit: float | None = field(default=None, kw_only=True)
    unit: str = field(default="", kw_only=True)
    at_least: bool = field(default=False, kw_only=True)
    aim: str = field(default="", kw_only=True)
    remark: str = field(default="", kw_only=True)

    @property
    def gate(self) -> str:
        """The gate as text."""
        if self.limit is None:
            return self.aim
        sign = "≥" if self.at_least else "≤"
        aim = f", aim {self.aim}" if self.aim else ""
        return f"{sign} {self.limit:g}{self.unit}{aim}"

    @property
    def reached(self) -> str:
        """Whether the gate was reached; empty if there is no gate."""
        if self.limit is None:
            return ""
        if math.isnan(self.value):
            return "not measured"
        good = self.value >= self.limit if self.at_least else self.value <= self.limit
        return "yes" if good else "NO"


def arguments(description: str, **counts: tuple[int, int, str]) -> argparse.Namespace:
    """Read the command line of a benchmark.

    Parameters
    ----------
    description
        What the script does.
    **counts
        For each argument, its default, its value with ``--full``, and its help.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--full", action="store_true", help="use the full value of every count")
    for name, (quick, full, text) in counts.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            help=f"{text} (default: {quick}; with --full: {full})",
        )
    read = parser.parse_args()
    for name, (quick, full, _) in counts.items():
        if getattr(read, name) is None:
            setattr(read, name, full if read.full else quick)
    return read


def machine_noise(seconds: float = 1.0) -> str:
    """Return how much the time of a fixed computation varies now.

    It is the 90th percentile of a matrix product of about a millisecond, relative to
    the median: 1.00 on a machine that does nothing else.
    """
    matrix = np.ones((256, 256), dtype=np.float32)
    samples = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        matrix @ matrix
        samples.append(time.perf_counter() - start)
    median, high = np.percentile(samples, [50, 90])
    return f"{high / median:.2f}"


@contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """Keep other processes computing during the block."""
    program = [sys.executable, "-c", "while True: pass"]
    neighbours = [subprocess.Popen(program) for _ in range(count)]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def print_header(title: str) -> None:
    """Print what is measured, when, on which machine, how noisy, and with which versions."""
    from lexer_core.engines.registry import EngineRegistry

    here = environment_with(EngineRegistry().listings())
    versions = {"lexer": here.lexer_version, **here.engines}
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"\n{title}")
    print(
        f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}, {here.cpu_model or 'unknown CPU'}, "
        f"{here.cores_usable:g} cores{load}, noise {machine_noise()} (p90/p50 of a fixed "
        f"computation); Python {here.python}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
    )
    sys.stdout.flush()


def print_figures(figures: Sequence[Figure], *, title: str = "") -> None:
    """Print a table of figures and their gates."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in ("", "figure", "gate", "reached", ""):
        table.add_column(name, overflow="fold")
    for each in figures:
        shown = each.shown or f"{each.value:.3g}{each.unit}"
        table.add_row(each.what, shown, each.gate, each.reached, each.remark)
    width = None if sys.stdout.isatty() else 150  # a log file has no width
    Console(width=width, highlight=False, markup=False).print(table)
    sys.stdout.flush()


def trials_within(count: int, minutes: int) -> Iterator[int]:
    """Yield trial numbers until the time is up, but at least one."""
    end = time.monotonic() + 60 * minutes
    for trial in range(count):
        if trial and time.monotonic() > end:
            print(f"  stopped after {trial} of {count} trials: {minutes} minutes have passed")
            return
        yield trial


def log_ratio_spread(ratios: Sequence[float]) -> float:
    """Return the standard deviation of the logarithms around 0, the log of a true ratio of 1."""
    logs = np.log(np.asarray(ratios, dtype=np.float64))
    return float(np.sqrt(np.mean(logs * logs)))


@contextmanager
def installed_engines(*names: str) -> Iterator[Path]:
    """Install engines from the folder ``plugins`` for the duration of the block.

    Like any installed plugin, they are found by the entry points of a distribution,
    here in a temporary folder on ``sys.path``, which workers inherit. The engine
    ``name`` is the module ``name_engine``.

    Yields
    ------
    Path
        The folder, which may be used for other files.
    """
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as folder:
        info = Path(folder, "lexer_bench_engines-1.0.dist-info")
        info.mkdir()
        (info / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: lexer-bench-engines\nVersion: 1.0\n"
        )
        entries = "\n".join(f"{name} = {name}_engine" for name in names)
        (info / "entry_points.txt").write_text(f"[lexer.engines]\n{entries}\n")
        added = [str(_PLUGINS), folder]
        sys.path[:0] = added
        try:
            yield Path(folder)
        finally:
            for path in added:
                sys.path.remove(path)


def exported_model(name: str, folder: Path) -> Path:
    """Export one of the models to ONNX with Lexer, to a folder."""
    import models  # imports torch, which not every benchmark needs

    from lexer_core.context import LexerContext

    path = folder / f"{name}.onnx"
    LexerContext().export(models.load(name), models.example_input(name), path)
    return path
