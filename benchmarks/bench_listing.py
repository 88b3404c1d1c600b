"""How long does ``lexer engines list`` take, compared with the imports it needs?

The command and its baseline take turns in random order, so that disturbances of
the machine affect both. The listing with 50 installed engines is also compared
with the listing with 2. Run ``python benchmarks/bench_listing.py``.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

REPETITIONS = 41

BASELINE = [sys.executable, "-c", "import click, pluggy, importlib.metadata"]
LISTING = [sys.executable, "-m", "lexer_core", "engines", "list"]

ENGINE = """
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Sample",
        runtime_modules=("json",),
        runtime_distributions=("pip",),
        formats=("onnx",),
    )


@hookimpl
def lexer_create_session(exported, device, config):
    raise RuntimeError("only listed")
"""


def install_engines(folder: Path, count: int) -> dict[str, str]:
    """Write ``count`` engines to a folder and return the environment that finds them."""
    for number in range(count):
        info = folder / f"sample_{number}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"sample_{number}.py").write_text(ENGINE)
        (info / "METADATA").write_text(f"Name: sample-{number}\nVersion: 1.0\n")
        entry_points = f"[lexer.engines]\nsample{number} = sample_{number}\n"
        (info / "entry_points.txt").write_text(entry_points)
    return {**os.environ, "PYTHONPATH": str(folder)}


def seconds_of(command: list[str], environment: dict[str, str]) -> float:
    """Run a command once and return how long it took."""
    start = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure every case and print one line per case."""
    with tempfile.TemporaryDirectory() as folder:
        plain = dict(os.environ)
        two = install_engines(Path(folder, "two"), 2)
        fifty = install_engines(Path(folder, "fifty"), 50)
        cases = {
            "baseline (imports)": (BASELINE, plain),
            "lexer engines list": (LISTING, plain),
            "with 2 more engines": (LISTING, two),
            "with 50 more engines": (LISTING, fifty),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for command, environment in cases.values():
            seconds_of(command, environment)  # writes the bytecode
        order = list(cases)
        for _ in range(REPETITIONS):
            random.shuffle(order)
            for name in order:
                times[name].append(seconds_of(*cases[name]))
    ratios = {
        "lexer engines list": "baseline (imports)",
        "with 50 more engines": "with 2 more engines",
    }
    print(f"{'':22}  {'median ms':>9}  {'best ms':>8}  ratio of the pairs")
    for name, seconds in times.items():
        other = ratios.get(name)
        ratio = ""
        if other is not None:
            pairs = [a / b for a, b in zip(seconds, times[other], strict=True)]
            ratio = f"{median(pairs):.2f} to {other}"
        print(f"{name:22}  {1e3 * median(seconds):9.1f}  {1e3 * min(seconds):8.1f}  {ratio}")


if __name__ == "__main__":
    main()
