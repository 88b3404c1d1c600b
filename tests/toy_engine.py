"""An engine that is correct unless its option ``fault`` makes it fail.

It accepts ``onnx`` and takes any file for such a model: the outputs are twice
the inputs. So a whole benchmark can run where no framework is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TOY_ENGINE = '''
import ctypes
import os
import signal
import sys
import threading
import time

from lexer_core.errors import DeviceUnavailableError, UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption, ExportedModel, Placement, TensorSpec
from lexer_core.records import Timings


def misbehave(fault, phase):
    """Carry out a fault such as "segv_in_load" if this is its phase."""
    kind, _, where = fault.partition("_in_")
    if where != phase:
        return
    if kind == "raise":
        raise RuntimeError("the toy was told to fail")
    if kind == "lexer_error":
        raise UnsupportedError("the toy does not support this")
    if kind == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "exit":
        os._exit(3)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(600)
    if kind == "hog":
        hoard = []
        while True:
            hoard.append(bytearray(16 * 2**20))
            time.sleep(0.005)
    if kind == "chatter":
        for _ in range(64):
            print("x" * 65536)
            print("y" * 65536, file=sys.stderr)
    if kind == "closefds":
        for descriptor in (0, 1, 2):
            os.close(descriptor)


class ToySession:
    def __init__(self, options):
        self.fault = options.get("fault", "")
        self.work = options.get("work", 1)
        self.pending = None
        self.calls = 0

    def run(self, placed):
        self.calls += 1
        fault = self.fault
        if fault:
            if fault == "interrupt_after_calls" and self.calls == 2001:
                os.kill(os.getppid(), signal.SIGINT)
            if fault == "interrupt_again_and_again" and self.calls > 2000:
                os.kill(os.getppid(), signal.SIGINT)
            if self.calls > 40:
                misbehave(fault, "call")
            if fault == "async":
                self.pending = threading.Thread(target=time.sleep, args=(0.02,))
                self.pending.start()
                return placed
        end = time.perf_counter_ns() + 200_000 * self.work
        while time.perf_counter_ns() < end:
            pass
        return placed

    def close(self):
        pass


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Toy",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("onnx",),
        options=(
            EngineOption(name="fault", type=str, default="", help="How to be wrong."),
            EngineOption(name="work", type=int, default=1, help="Fifths of a millisecond."),
        ),
    )


@hookimpl
def lexer_export_model(source, format):
    if format != "onnx" or source.onnx_path is None:
        return None
    spec = TensorSpec(name="x", dtype="float32", shape=(2, 3))
    return ExportedModel(
        format="onnx",
        path=source.onnx_path,
        inputs=(spec,),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(2, 3)),),
        size_bytes=source.onnx_path.stat().st_size,
        exporter="given",
    )


@hookimpl
def lexer_create_session(exported, device, config):
    if device.kind != "cpu":
        raise DeviceUnavailableError(f"the toy has no device {device}")
    misbehave(config.options.get("fault", ""), "load")
    if config.options.get("fault") == "none_from_create_session":
        return None
    return ToySession(config.options)


@hookimpl
def lexer_place_inputs(session, inputs):
    misbehave(session.fault, "place")
    return inputs.arrays["x"] * 1.0


@hookimpl
def lexer_fetch_outputs(session, outputs):
    misbehave(session.fault, "fetch")
    if session.pending is not None:
        session.pending.join()
    if session.fault == "nan":
        return {"y": outputs * float("nan")}
    if session.fault == "wrong":
        return {"y": outputs * 3}
    if session.fault == "wrong_later":
        return {"y": outputs * (2 if session.calls < 10 else 3)}
    if session.fault == "wrong_name":
        return {"z": outputs * 2}
    if session.fault == "wrong_type":
        return [outputs * 2]
    if session.fault == "none_from_fetch":
        return None
    return {"y": outputs * 2}


@hookimpl
def lexer_time_calls(session, call, count, loops, device, clock):
    import numpy as np

    misbehave(session.fault, "time")
    seconds = []
    for _ in range(count):
        start = clock()
        for _ in range(loops):
            call.run()
        seconds.append((clock() - start) / 1e9 / loops)
    if session.fault == "negative_times":
        seconds[0] = -1.0
    if session.fault == "too_few_times":
        seconds.pop()
    if session.fault == "minimum_times":
        seconds = [min(seconds) / 3] * len(seconds)
    return Timings(host=np.array(seconds))


@hookimpl
def lexer_describe_placement(session):
    misbehave(session.fault, "placement")
    return Placement(share=1.0, method="nodes")
'''


def write_toy_model(folder: Path) -> Path:
    """Write a file that the toy takes for a model."""
    path = folder / "toy.onnx"
    path.write_bytes(b"any bytes will do for the toy")
    return path
