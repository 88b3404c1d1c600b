"""An engine whose calls do nothing, to show the cost of measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, ExportedModel, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.records import CallInputs, ModelSource


class NullSession:
    """A session that returns its inputs."""

    def run(self, placed: Any) -> Any:
        """Do nothing."""
        return placed

    def close(self) -> None:
        """Release nothing."""


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe an engine that treats any .onnx file as the identity."""
    return EngineInfo(
        display_name="Null", runtime_modules=(), runtime_distributions=(), formats=("onnx",)
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
def lexer_create_session() -> NullSession:
    """Return a null session."""
    return NullSession()


@hookimpl
def lexer_place_inputs(inputs: CallInputs) -> Any:
    """Copy the input."""
    return inputs.arrays["x"].copy()


@hookimpl
def lexer_fetch_outputs(outputs: Any) -> Mapping[str, Any]:
    """Copy the output."""
    return {"y": outputs.copy()}
