"""An engine whose models say themselves how slow they are: a factor, and an amount of work.

It takes ``onnx`` files that end with JSON: ``{"factor": 2, "work": 1}`` multiplies
the input ``x`` by 2, in a fifth of a millisecond for each unit of work.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiny_onnx import identity_model

if TYPE_CHECKING:
    from pathlib import Path

SCALE_ENGINE = """
import json
import os
import signal
import time

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption, ExportedModel, TensorSpec


def facts_of(path):
    content = path.read_bytes()
    return json.loads(content[content.index(b"{") :])


class ScaleSession:
    def __init__(self, path, config):
        model = facts_of(path)
        if model.get("dies"):
            os._exit(3)
        self.factor = model["factor"]
        self.seconds = model["work"] * config.options["unit"] / 1e6
        self.calls_left = model.get("interrupts", -1)
        print("precision", config.precision, "threads", config.threads)

    def run(self, placed):
        self.calls_left -= 1
        if self.calls_left == 0:
            os.kill(os.getppid(), signal.SIGINT)
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
        return placed * self.factor

    def close(self):
        pass


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Scale",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("onnx",),
        options=(EngineOption(name="unit", type=int, default=200, help="Microseconds of work."),),
    )


@hookimpl
def lexer_export_model(source, format):
    if format != "onnx" or source.onnx_path is None:
        return None
    name = facts_of(source.onnx_path)["input"]
    return ExportedModel(
        format="onnx",
        path=source.onnx_path,
        inputs=(TensorSpec(name=name, dtype="float32", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(2, 3)),),
        size_bytes=source.onnx_path.stat().st_size,
        exporter="given",
    )


@hookimpl
def lexer_create_session(exported, config):
    return ScaleSession(exported.path, config)


@hookimpl
def lexer_place_inputs(inputs):
    return next(iter(inputs.arrays.values())) * 1.0


@hookimpl
def lexer_fetch_outputs(outputs):
    return {"y": outputs}
"""


def write_scale_model(path: Path, **facts: object) -> Path:
    """Write a model: ``factor`` 2, ``work`` 1 and ``input`` "x" unless they are given.

    ``dies``: it ends the process that loads it. ``interrupts``: after so many
    calls Ctrl-C is pressed.
    """
    facts = {"factor": 2, "work": 1, "input": "x"} | facts
    described = json.dumps(facts).encode()
    graph = identity_model((2, 3), str(facts["input"]))
    # As the file's description, field 6, so that onnx can read it too.
    path.write_bytes(graph + bytes([6 << 3 | 2, len(described)]) + described)
    return path
