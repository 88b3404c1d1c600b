"""An engine whose calls take a given time, in which other threads of Python can run."""

from __future__ import annotations

import hashlib
import random
import time
from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption, ExportedModel, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.records import CallInputs, ModelSource, SessionConfig

_CHUNK = bytes(20_000)
"""Hashing it takes about 10 µs and releases the global lock."""


class TimedSession:
    """A session that hashes until the time of a call is over."""

    def __init__(self, seconds: float, *, is_random: bool) -> None:
        self._seconds = seconds
        self._random = random.Random(5) if is_random else None

    def run(self, placed: Any) -> Any:
        """Compute for as long as a call takes."""
        seconds = self._seconds
        if self._random is not None:
            seconds = self._random.expovariate(1.0 / seconds)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            hashlib.sha256(_CHUNK)
        return placed

    def close(self) -> None:
        """Release nothing."""


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe an engine that treats any .onnx file as the identity."""
    return EngineInfo(
        display_name="Timed",
        runtime_modules=(),
        runtime_distributions=(),
        formats=("onnx",),
        concurrency="per_thread",
        options=(
            EngineOption(name="microseconds", type=int, default=100, help="Time of a call."),
            EngineOption(
                name="exponential", type=bool, default=False, help="Whether that is the mean."
            ),
        ),
    )


@hookimpl
def lexer_export_model(source: ModelSource, format: str) -> ExportedModel | None:
    """Accept any file."""
    if format != "onnx" or source.onnx_path is None:
        return None
    return ExportedModel(
        format="onnx",
        path=source.onnx_path,
        inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 64)),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(1, 64)),),
        size_bytes=0,
        exporter="given",
    )


@hookimpl
def lexer_create_session(config: SessionConfig) -> TimedSession:
    """Return a session whose calls take as long as the options say."""
    return TimedSession(
        int(config.options["microseconds"]) / 1e6,
        is_random=bool(config.options["exponential"]),
    )


@hookimpl
def lexer_place_inputs(inputs: CallInputs) -> Any:
    """Copy the input."""
    return inputs.arrays["x"].copy()


@hookimpl
def lexer_fetch_outputs(outputs: Any) -> Mapping[str, Any]:
    """Return the inputs as outputs."""
    return {"y": outputs}
