"""Engines whose measured calls do less than their work.

They accept any file as an ``.onnx`` model whose outputs are twice its inputs, and which
takes two milliseconds to compute. Each value of the option ``trick`` hides the work in
another place.
"""

from __future__ import annotations

SLY_ENGINE = """
import time

from lexer_core.errors import UnsupportedError
from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption, ExportedModel, TensorSpec


def work(array):
    end = time.perf_counter_ns() + 2_000_000
    while time.perf_counter_ns() < end:
        pass
    return array * 2


class SlySession:
    def __init__(self, trick):
        self.trick = trick
        self.by_object = {}
        self.by_bytes = {}
        self.first = None

    def run(self, placed):
        trick = self.trick
        if trick == "thunk":
            return lambda: work(placed)
        if trick == "remembers_inputs":
            self.pending = placed
            return placed
        if trick == "in_place":
            return placed
        if trick == "by_object":
            if id(placed) not in self.by_object:
                self.by_object[id(placed)] = (placed, work(placed))
            return self.by_object[id(placed)][1]
        if trick == "by_bytes":
            key = placed.tobytes()
            if key not in self.by_bytes:
                self.by_bytes[key] = work(placed)
            return self.by_bytes[key]
        if trick == "always_the_first":
            if self.first is None:
                self.first = work(placed)
            return self.first
        if trick == "crashes_on_others":
            self.first = placed if self.first is None else self.first
            if (placed != self.first).any():
                import os

                os._exit(7)
        if trick == "refuses_others":
            self.first = placed if self.first is None else self.first
            if (placed != self.first).any():
                raise ValueError("only the first inputs")
        return work(placed)

    def close(self):
        pass


@hookimpl
def lexer_engine_info():
    return EngineInfo(
        display_name="Sly",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("onnx",),
        options=(EngineOption(name="trick", type=str, default="", help="How to be fast."),),
    )


@hookimpl
def lexer_export_model(source, format, workdir):
    if format != "onnx" or source.onnx_path is None:
        return None
    path = workdir / "sly.onnx"
    path.write_bytes(b"the export of the sly engine")
    return ExportedModel(
        format="onnx",
        path=path,
        inputs=(TensorSpec(name="x", dtype="float32", shape=(2, 3)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(2, 3)),),
        size_bytes=path.stat().st_size,
        exporter="given",
    )


@hookimpl
def lexer_create_session(exported, device, config):
    if exported.path.read_bytes() != b"the export of the sly engine":
        raise UnsupportedError("another engine wrote over the export")
    if config.options["trick"] == "writes_over_the_export":
        exported.path.write_bytes(b"the optimized model")
    return SlySession(config.options["trick"])


@hookimpl
def lexer_place_inputs(session, inputs):
    array = inputs.arrays["x"] * 1.0
    return work(array) if session.trick == "in_place" else array


@hookimpl
def lexer_fetch_outputs(session, outputs):
    if session.trick == "thunk":
        outputs = outputs()
    if session.trick == "remembers_inputs":
        outputs = work(session.pending)
    return {"y": outputs.copy()}
"""
