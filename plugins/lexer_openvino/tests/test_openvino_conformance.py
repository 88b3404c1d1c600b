"""Does OpenVINO keep the contract? The kit's own checks."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("openvino")

from lexer_core.testing import EngineConformance

pytestmark = pytest.mark.openvino


class TestOpenVino(EngineConformance):
    engine_name = "openvino"
