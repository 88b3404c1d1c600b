"""How close are Lexer's measurements to the best hand-written loop?

Lexer's side is a worker process with one case, as in every benchmark. The other
side is a process that never imports Lexer, with the same model, threads and CPUs
(``hand_written.py``). They take turns in random order, block by block, while the
other is suspended. Both are launched several times, because two processes with
the same program differ too.

Each ratio is Lexer's time divided by the loop's, from the medians of each round.
If a call takes less than 10 µs, a sample is the mean of several calls on both
sides.

ONNXRuntime is compared with two loops. The gate applies to the one that uses its
public interface. The other calls the native method directly, as Lexer does, which
shows the cost of Lexer's own call.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import models
import numpy as np
import psutil
from attrs import frozen
from common import BENCHMARKS, Figure, arguments, print_figures, print_header

from lexer_core.benchmark.case_records import CaseSpec
from lexer_core.benchmark.case_session import CaseSession
from lexer_core.benchmark.preparation import TorchPreparation
from lexer_core.benchmark.rounds import BlockSize, block_size
from lexer_core.benchmark.warm_up import warm_up
from lexer_core.engines.registry import EngineRegistry
from lexer_core.machine.affinity import cpu_set, thread_environment, usable_threads
from lexer_core.machine.aslr import hash_seed_environment
from lexer_core.model.adapt import adapt_model
from lexer_core.records import SessionConfig
from lexer_core.settings.table import Settings
from lexer_core.statistics import ratio_interval
from lexer_core.worker.executor import start_worker

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.records import CallInputs

GATE = 1.02
TIMEOUT = 300.0
WARM_UP_SECONDS = 1.0
LOOPS = {"torch": ("loop",), "onnxruntime": ("loop", "native loop")}
"""The loops that Lexer is compared with, for each engine."""


@frozen(eq=False)
class Case:
    """One model on one engine, prepared as a benchmark prepares it."""

    engine: str
    model: str
    prepared: PreparedModel
    inputs: CallInputs

    @property
    def file(self) -> Path:
        """The file that a hand-written loop loads."""
        if self.prepared.exported.path is not None:
            return self.prepared.exported.path
        assert self.prepared.model_file is not None
        return self.prepared.model_file


class LexerSide:
    """Lexer's worker for one case, with the memory layout of that launch."""

    def __init__(self, case: Case, launch: int) -> None:
        engine, prepared = case.engine, case.prepared
        threads = usable_threads()
        info = EngineRegistry().get(engine).info
        self._host = start_worker(
            "lexer_core.benchmark.case_session:CaseSession",
            hosted=CaseSession,
            label=engine,
            threads=threads,
            preload=info.runtime_modules,
            environment=hash_seed_environment(launch),
        )
        self._call("import_engine", engine)
        spec = CaseSpec(
            engine=engine,
            device="cpu",
            exported=prepared.exported,
            model_file=prepared.model_file,
            config=SessionConfig(threads=threads, options=_defaults(engine)),
        )
        self._call("load", spec)
        self._call("place", case.inputs)
        self._first = self._call("first_call").seconds

    def warm_up(self) -> float:
        """Call until the latency settles; return seconds per call."""

        def take(count: int) -> npt.NDArray[np.float64]:
            return self._call("block", count, 1, False).samples  # type: ignore[no-any-return]

        return warm_up(take, self._first, max_seconds=WARM_UP_SECONDS).typical_seconds

    def take(self, size: BlockSize) -> npt.NDArray[np.float64]:
        """Take one block."""
        samples: npt.NDArray[np.float64] = self._call("block", size.count, size.loops, True).samples
        return samples

    def suspend(self) -> None:
        """Suspend the process."""
        self._host.suspend()

    def resume(self) -> None:
        """Resume the process."""
        self._host.resume()

    def close(self) -> None:
        """End the process."""
        self._host.close()

    def _call(self, method: str, *args: Any) -> Any:
        return self._host.call(method, *args, timeout=TIMEOUT)


class LoopSide:
    """A process with a hand-written loop."""

    def __init__(self, program: str, model: str, path: Path) -> None:
        threads = usable_threads()
        cpus = ",".join(map(str, cpu_set(threads) or ()))
        command = [sys.executable, str(BENCHMARKS / "hand_written.py"), "blocks"]
        command += [program, model, str(threads), str(path), cpus]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **thread_environment(threads)},
        )
        self._handle = psutil.Process(self._process.pid)
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        if self._out.readline() != b"ready\n":
            raise RuntimeError(f"the hand-written loop ({program}) did not start")

    def warm_up(self) -> None:
        """Call for at least as long as Lexer's side does."""
        seconds, count = 0.0, 1
        while seconds < WARM_UP_SECONDS:
            seconds += float(self.take(BlockSize(count=count, loops=1)).sum())
            count = min(4 * count, 10_000)

    def take(self, size: BlockSize) -> npt.NDArray[np.float64]:
        """Take one block."""
        self._in.write(f"{size.count} {size.loops}\n".encode())
        self._in.flush()
        return np.frombuffer(self._out.read(8 * size.count), dtype=np.float64)

    def suspend(self) -> None:
        """Suspend the process."""
        self._handle.suspend()

    def resume(self) -> None:
        """Resume the process."""
        self._handle.resume()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Measure every model on both engines and print a table."""
    read = arguments(
        "Compare Lexer with hand-written loops.",
        launches=(3, 10, "launches of both sides"),
        seconds=(4, 20, "seconds of rounds in each launch"),
    )
    print_header("Lexer's p50 compared with a hand-written loop in its own process")
    figures = []
    with tempfile.TemporaryDirectory(prefix="lexer-bench-") as folder:
        for model in models.MODELS:
            inputs, prepared = prepare(model, Path(folder, model))
            for engine in LOOPS:
                case = Case(engine, model, prepared[engine], inputs)
                figures += compare(case, read.launches, read.seconds)
                print(f"  {model} on {engine} done", file=sys.stderr)
    print_figures(figures)


def prepare(model: str, folder: Path) -> tuple[CallInputs, dict[str, PreparedModel]]:
    """Export a model for both engines, as a benchmark does."""
    adapted = adapt_model(models.load(model), models.example_input(model))
    preparation = TorchPreparation()
    preparation.open(adapted)
    preparation.reference()
    options = Settings().export_options()
    return adapted.inputs, {
        engine: preparation.export(
            engine, "cpu", options, folder, avoid={}, use_cache=True, by_value=True
        )
        for engine in LOOPS
    }


def compare(case: Case, launches: int, seconds: float) -> list[Figure]:
    """Measure one model on one engine; return a figure for each loop."""
    rounds: dict[str, list[npt.NDArray[np.float64]]] = {}
    ratios: dict[str, list[float]] = {}
    size = BlockSize(count=1, loops=1)
    for launch in range(launches):
        size, taken = one_launch(case, launch, seconds)
        centres = {
            name: [float(np.median(block)) for block in blocks] for name, blocks in taken.items()
        }
        for name, blocks in taken.items():
            rounds.setdefault(name, []).extend(blocks)
            if name != "lexer":
                interval = ratio_interval(centres["lexer"], centres[name])
                ratios.setdefault(name, []).append(interval.estimate)
    return [figure(case, name, rounds, ratios[name], size) for name in LOOPS[case.engine]]


def one_launch(
    case: Case, launch: int, seconds: float
) -> tuple[BlockSize, dict[str, list[npt.NDArray[np.float64]]]]:
    """Start both sides, warm them up, and run rounds for some seconds."""
    with ExitStack() as stack:
        sides: dict[str, LexerSide | LoopSide] = {}
        lexer = LexerSide(case, launch)
        stack.callback(lexer.close)
        typical = lexer.warm_up()
        lexer.suspend()
        sides["lexer"] = lexer
        for name in LOOPS[case.engine]:
            program = "native" if name == "native loop" else case.engine
            loop = LoopSide(program, case.model, case.file)
            stack.callback(loop.close)
            loop.warm_up()
            loop.suspend()
            sides[name] = loop
        size = block_size(typical)
        taken: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in sides}
        spent = 0.0
        while spent < seconds * len(sides) or len(taken["lexer"]) < 10:
            for name in random.sample(list(sides), len(sides)):
                side = sides[name]
                side.resume()
                block = side.take(size)
                side.suspend()
                taken[name].append(block)
                spent += float(block.sum()) * size.loops
    return size, taken


def figure(
    case: Case,
    name: str,
    rounds: dict[str, list[npt.NDArray[np.float64]]],
    launches: list[float],
    size: BlockSize,
) -> Figure:
    """Summarise the rounds in one line."""
    centres = {
        each: [float(np.median(block)) for block in rounds[each]] for each in ("lexer", name)
    }
    ratio = ratio_interval(centres["lexer"], centres[name])
    p50 = {each: np.median(np.concatenate(rounds[each])) for each in ("lexer", name)}
    means = f", means of {size.loops} calls" if size.loops > 1 else ""
    return Figure(
        f"{case.model}, {case.engine} / {name}",
        ratio.estimate,
        f"{ratio.estimate:.3f} ({ratio.low:.3f}–{ratio.high:.3f})",
        limit=None if name == "native loop" else GATE,
        remark=f"p50 {_time(p50['lexer'])} / {_time(p50[name])}; {ratio.rounds} rounds{means}; "
        f"launches {' '.join(f'{each:.3f}' for each in launches)}",
    )


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.2f} µs"


def _defaults(engine: str) -> dict[str, Any]:
    options = EngineRegistry().get(engine).info.options
    return {option.name: option.default for option in options if option.default is not None}


if __name__ == "__main__":
    main()
