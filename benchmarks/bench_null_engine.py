"""What does measuring cost, and how much does it add to a sample?

First, an engine whose calls do nothing takes turns in this process with the
shortest loop that records times, and a block is checked as in the parent process, which
does not trust the worker. Then a whole run takes a million samples: how much larger is
the parent process than after a run with a thousand?
"""

from __future__ import annotations

import gc
import random
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np
from common import Figure, arguments, installed_engines, print_figures, print_header

from lexer_core.benchmark.case_records import CaseSpec
from lexer_core.benchmark.case_session import CaseSession
from lexer_core.benchmark.plausible import block_problem
from lexer_core.engines.registry import EngineRegistry
from lexer_core.engines.timing import sample_nanoseconds
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    ExportedModel,
    SessionConfig,
    TensorRef,
    TensorSpec,
)
from lexer_core.statistics import ratio_interval
from lexer_core.worker.plain_data import decode, encode
from lexer_core.worker.reply_types import read_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

BLOCK = 5_000
WARM_UP_BLOCKS = 5
MIB = 2**20
FEW, MANY = 1_000, 1_000_000

INPUTS = CallInputs(
    arrays={"x": np.zeros((1, 64), dtype=np.float32)},
    structure=CallStructure(args=(TensorRef("x"),)),
)

RUN = """
import gc, sys
from pathlib import Path
import numpy as np
from common import installed_engines

with installed_engines("null_stateful"):
    from lexer_core import LexerContext

    samples = int(sys.argv[2])
    report = LexerContext().benchmark(
        sys.argv[1], np.zeros((1, 64), dtype=np.float32), samples,
        engines=["null_stateful"], warm_up_seconds=0.1,
    )
    gc.collect()
    assert report[0].num_samples == samples
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    print(*(int(status[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")))
"""
"""One run in a process of its own: bytes resident at its end, and at the highest."""


def bare_loop(run: Callable[[], object], count: int) -> list[int]:
    """Record ``count`` times, and nothing else."""
    samples = [0] * count
    clock = perf_counter_ns
    for i in range(count):
        start = clock()
        run()
        end = clock()
        samples[i] = end - start
    return samples


def do_nothing() -> None:
    """Return."""


def main() -> None:
    """Measure, and print a table."""
    read = arguments(
        "What measuring costs.",
        rounds=(200, 1000, "rounds of a block each"),
        runs=(2, 5, "runs with a thousand and with a million samples"),
    )
    print_header("The null engine against a bare loop")
    with installed_engines("null"):
        figures = [*compare_loops(read.rounds), *count_allocations(), *time_checks(read.rounds)]
    print_figures([*figures, *memory_of_a_million(read.runs)])


def compare_loops(rounds: int) -> list[Figure]:
    """Compare the time per iteration, and the recorded time, of both loops."""
    case = null_case()
    bare_seconds: list[float] = []
    bare_samples: list[npt.NDArray[np.float64]] = []
    block_seconds: list[float] = []
    order_seconds: list[float] = []
    null_samples: list[npt.NDArray[np.float64]] = []

    def take_bare() -> None:
        gc.disable()
        start = perf_counter()
        samples = bare_loop(do_nothing, BLOCK)
        bare_seconds.append((perf_counter() - start) / BLOCK)
        gc.enable()
        bare_samples.append(np.array(samples) / 1e9)

    def take_null() -> None:
        start = perf_counter()
        block = case.block(BLOCK, 1)
        order_seconds.append((perf_counter() - start) / BLOCK)
        block_seconds.append(block.elapsed / BLOCK)
        null_samples.append(block.samples)

    takers = (take_bare, take_null)
    for number in range(WARM_UP_BLOCKS + rounds):
        if number == WARM_UP_BLOCKS:
            for kept in (bare_seconds, bare_samples, block_seconds, order_seconds, null_samples):
                kept.clear()
        for take in random.sample(takers, len(takers)):
            take()
    case.close()
    timed = ratio_interval(block_seconds, bare_seconds)
    ordered = ratio_interval(order_seconds, bare_seconds)
    recorded = float(np.median(np.concatenate(null_samples))) * 1e9
    bare = float(np.median(np.concatenate(bare_samples))) * 1e9
    return [
        Figure(
            "time per call, block / bare loop",
            timed.estimate,
            f"{timed.estimate:.2f} ({timed.low:.2f}–{timed.high:.2f})",
            limit=1.5,
            remark=f"{np.median(block_seconds) * 1e9:.0f} / {np.median(bare_seconds) * 1e9:.0f} ns;"
            " including the conversion to an array and its checks",
        ),
        Figure(
            "time per call, whole request / bare loop",
            ordered.estimate,
            f"{ordered.estimate:.2f} ({ordered.low:.2f}–{ordered.high:.2f})",
            remark=f"including counters and garbage collection, for {BLOCK} calls",
        ),
        Figure(
            "recorded for an empty call",
            recorded,
            f"{recorded:.0f} ns",
            limit=150,
            unit=" ns",
            remark="the median sample, which is pure bias",
        ),
        Figure(
            "the same, minus the bare loop's",
            recorded - bare,
            f"{recorded - bare:+.0f} ns",
            remark=f"the bare loop records {bare:.0f} ns",
        ),
    ]


def time_checks(rounds: int) -> Iterator[Figure]:
    """Measure how long a block is checked after it has arrived, in microseconds."""
    case = null_case()
    for count in (50, BLOCK):
        sent, buffers = encode(case.block(count, 1))
        received = [bytearray(each) for each in buffers]
        seconds = []
        for _ in range(rounds):
            plain = decode(sent, received)
            start = perf_counter()
            block = read_reply(CaseSession, "block", plain)
            assert not block_problem(block, 1.0, count, 1)
            seconds.append(perf_counter() - start)
        checked = float(np.median(seconds)) * 1e6
        yield Figure(
            f"checks of a block of {count} samples",
            checked,
            f"{checked:.0f} µs",
            limit=50,
            unit=" µs",
            remark="types of all fields, counts, and times against the parent's clock",
        )
    case.close()


def null_case() -> CaseSession:
    """Load the null engine in this process."""
    spec = TensorSpec(name="x", dtype="float32", shape=(1, 64))
    case = CaseSession()
    case.load(
        CaseSpec(
            engine="null",
            device="cpu",
            exported=ExportedModel(
                format="onnx", inputs=(spec,), outputs=(spec,), size_bytes=0, exporter=""
            ),
            config=SessionConfig(threads=1),
        )
    )
    case.place(INPUTS)
    return case


def count_allocations() -> list[Figure]:
    """Measure the bytes per call that the loop holds, at the end and at its peak."""
    engine = EngineRegistry().get("null")
    exported = ExportedModel(format="onnx", inputs=(), outputs=(), size_bytes=0, exporter="")
    session = engine.create_session(exported, CPU, SessionConfig(threads=1))
    call = engine.make_call(session, engine.place_inputs(session, INPUTS, CPU))
    number = sys.getsizeof(10**6)
    gc.collect()
    tracemalloc.start()
    samples = sample_nanoseconds(call.run, count=BLOCK, loops=1, clock=perf_counter_ns)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    own = sys.getsizeof(samples) / len(samples) + number
    return [
        Figure(
            "memory per call, besides the sample",
            peak / BLOCK - own,
            f"{peak / BLOCK - own:.2f} bytes",
            limit=0.5,
            unit=" bytes",
            remark=f"{kept / BLOCK:.1f} kept, {peak / BLOCK:.1f} at the peak; a number and "
            f"its list slot take {own:.1f}",
        )
    ]


def memory_of_a_million(runs: int) -> list[Figure]:
    """Compare whole runs in separate processes; only Linux reports their memory."""
    if not Path("/proc/self/status").exists():
        return [Figure("a million samples, in the parent", limit=16, unit=" MiB")]
    resident: dict[int, list[tuple[float, float]]] = {FEW: [], MANY: []}
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as folder:
        model = Path(folder, "nothing.onnx")
        model.write_bytes(b"the null engine does not read this")
        for _ in range(runs):
            for samples in random.sample(list(resident), len(resident)):
                answer = subprocess.run(
                    [sys.executable, "-c", RUN, str(model), str(samples)],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                    cwd=Path(__file__).parent,
                )
                kept, peak = map(float, answer.stdout.split())
                resident[samples].append((kept / MIB, peak / MIB))
    few, many = (np.median(np.array(resident[samples]), axis=0) for samples in (FEW, MANY))
    kept, peak = many - few
    return [
        Figure(
            "a million samples, kept by the parent",
            float(kept),
            f"{kept:.1f} MiB",
            limit=16,
            unit=" MiB",
            remark=f"resident with the report: {many[0]:.1f} MiB; {few[0]:.1f} with a "
            "thousand samples",
        ),
        Figure(
            "the same at its peak",
            float(peak),
            f"{peak:.1f} MiB",
            remark=f"{many[1]:.1f} MiB, during the analysis; {few[1]:.1f} with a thousand",
        ),
    ]


if __name__ == "__main__":
    main()
