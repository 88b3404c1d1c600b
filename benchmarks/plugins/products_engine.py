"""An engine that multiplies small matrices, as often as its option says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.hookspecs import hookimpl
from lexer_core.records import EngineInfo, EngineOption, ExportedModel, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.records import CallInputs, ModelSource, SessionConfig

SIZE = 48
"""Too small for numpy's BLAS to use several threads."""


class ProductsSession:
    """Multiplies one matrix by another ``work`` times, and returns the product."""

    def __init__(self, work: int) -> None:
        import numpy as np  # listing engines must not import it

        self._work = work
        self._matmul = np.matmul
        self._other = np.eye(SIZE, dtype=np.float32)

    def run(self, placed: Any) -> Any:
        """Compute the same product repeatedly."""
        matrix, product = placed
        matmul, other = self._matmul, self._other
        for _ in range(self._work):
            matmul(matrix, other, out=product)
        return product

    def close(self) -> None:
        """Release nothing."""


@hookimpl
def lexer_engine_info() -> EngineInfo:
    """Describe an engine that treats any .onnx file as a product."""
    return EngineInfo(
        display_name="Products",
        runtime_modules=("numpy",),
        runtime_distributions=("numpy",),
        formats=("onnx",),
        options=(EngineOption(name="work", type=int, default=100, help="Products per call."),),
    )


@hookimpl
def lexer_export_model(source: ModelSource, format: str) -> ExportedModel | None:
    """Accept any file."""
    if format != "onnx" or source.onnx_path is None:
        return None
    shape = (SIZE, SIZE)
    return ExportedModel(
        format="onnx",
        path=source.onnx_path,
        inputs=(TensorSpec(name="x", dtype="float32", shape=shape),),
        outputs=(TensorSpec(name="y", dtype="float32", shape=shape),),
        size_bytes=0,
        exporter="given",
    )


@hookimpl
def lexer_create_session(config: SessionConfig) -> ProductsSession:
    """Return a session with the configured amount of work."""
    return ProductsSession(int(config.options["work"]))


@hookimpl
def lexer_place_inputs(inputs: CallInputs) -> Any:
    """Copy the input and allocate the product."""
    matrix = inputs.arrays["x"].copy()
    return matrix, matrix.copy()


@hookimpl
def lexer_fetch_outputs(outputs: Any) -> Mapping[str, Any]:
    """Copy the product."""
    return {"y": outputs.copy()}
