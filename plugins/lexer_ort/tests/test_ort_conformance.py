"""Does ONNXRuntime's engine keep the contract? Every check of the kit."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from lexer_core.testing import EngineConformance


@pytest.mark.onnxruntime
class TestOnnxRuntime(EngineConformance):
    engine_name = "onnxruntime"
