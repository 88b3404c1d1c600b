"""How would a careful person time an engine without Lexer?

``python hand_written.py blocks ENGINE MODEL THREADS FILE CPUS`` loads a model
(from the file that Lexer sends for torch, otherwise from an ``.onnx`` file), pins itself
to the CPUs (comma-separated numbers, or empty), and measures blocks on request: for each
line ``COUNT LOOPS`` on standard input it writes COUNT float64 values to standard output,
in seconds per call.

``python hand_written.py sequential MODEL THREADS FILE COUNT`` times two
ONNXRuntime sessions of the same model one after the other, COUNT calls each, as
most tools do, and prints the two medians in seconds.

Lexer is not imported. Everything that can be is outside the loop: the engine's
setup, bound inputs and outputs, a preallocated list, local names; garbage
collection is disabled.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from itertools import repeat
from time import perf_counter, perf_counter_ns
from typing import Any

import numpy as np

Run = Callable[[], Any]

SETTLE_CALLS = 3
SETTLE_SECONDS = 0.001

_LARGE_BYTES = 31 * 2**20


def torch_run(model: str, threads: int, path: str) -> Run:
    """Bind a torch model to its input.

    The weights are loaded before entering inference mode, as a server would load
    them; creating them inside it saves a small layer half a microsecond of eight.
    After freeing a large block, the allocator keeps memory between calls. Otherwise each
    call of EfficientNet-Lite0 causes 4700 page faults (24 ms instead of 16).
    """
    import models
    import torch

    torch.set_num_threads(threads)
    np.empty(_LARGE_BYTES, np.uint8)
    module, x = torch.load(path, weights_only=False), models.example_input(model)

    def run() -> Any:
        return module(x)

    return run


def onnxruntime_run(model: str, threads: int, path: str, *, native: bool) -> Run:
    """Bind the input and output of an ONNXRuntime session.

    ``native`` bypasses the runtime's Python method, which costs a few tenths of a
    microsecond. This is not a public interface, but the fastest possible loop.
    """
    import models
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    value = onnxruntime.OrtValue.ortvalue_from_numpy(models.example_input(model).numpy())
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    binding.bind_output(session.get_outputs()[0].name, "cpu")
    if native:
        run_native, bound = session._sess.run_with_iobinding, binding._iobinding
        return lambda: run_native(bound, None)
    run_bound = session.run_with_iobinding
    return lambda: run_bound(binding)


def block(run: Run, count: int, loops: int) -> list[float]:
    """Time ``count`` samples of ``loops`` calls; return seconds per call."""
    samples = [0] * count
    clock = perf_counter_ns
    if loops > 1:
        for i in range(count):
            start = clock()
            for _ in repeat(None, loops):
                run()
            end = clock()
            samples[i] = end - start
    else:
        for i in range(count):
            start = clock()
            run()
            end = clock()
            samples[i] = end - start
    return [sample / (1e9 * loops) for sample in samples]


def settle(run: Run) -> None:
    """Move to the last CPU and make a few calls that are not samples."""
    if hasattr(os, "sched_setaffinity"):
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(cpus)})
        os.sched_setaffinity(0, cpus)
    deadline = perf_counter() + SETTLE_SECONDS
    calls = 0
    while calls < SETTLE_CALLS or perf_counter() < deadline:
        run()
        calls += 1


def inference_mode(engine: str) -> contextlib.AbstractContextManager[Any]:
    """Return the context without gradients, entered once around all calls."""
    if engine != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.inference_mode()


def serve_blocks(engine: str, model: str, threads: int, path: str) -> None:
    """Answer requests until standard input ends."""
    if engine == "torch":
        run = torch_run(model, threads, path)
    else:
        run = onnxruntime_run(model, threads, path, native=engine == "native")
    with inference_mode(engine):
        run()
        gc.collect()
        gc.freeze()
        gc.disable()
        sys.stdout.buffer.write(b"ready\n")
        sys.stdout.buffer.flush()
        for line in sys.stdin:
            count, loops = map(int, line.split())
            settle(run)
            samples = np.array(block(run, count, loops))
            sys.stdout.buffer.write(samples.tobytes())
            sys.stdout.buffer.flush()
            gc.collect()


def time_in_sequence(model: str, threads: int, path: str, count: int) -> None:
    """Time one session, then another of the same model."""
    medians = []
    for _ in range(2):
        run = onnxruntime_run(model, threads, path, native=False)
        for _ in range(10):
            run()
        medians.append(float(np.median(block(run, count, 1))))
    print(*medians)


def main(arguments: list[str]) -> None:
    """Run the program with these command-line arguments."""
    if arguments[0] == "sequential":
        model, threads, path, count = arguments[1:]
        time_in_sequence(model, int(threads), path, int(count))
        return
    engine, model, threads, path, cpus = arguments[1:]
    if cpus:
        os.sched_setaffinity(0, map(int, cpus.split(",")))
    serve_blocks(engine, model, int(threads), path)


if __name__ == "__main__":
    main(sys.argv[1:])
