"""Does OpenVINO keep the contract? The kit's own checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("onnx")
pytest.importorskip("openvino")

from lexer_core.testing import EngineConformance

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.openvino


def compiled_property(name: str) -> Callable[[Any], str]:
    return lambda session: str(session.compiled.get_property(name))


class TestOpenVino(EngineConformance):
    engine_name = "openvino"
    cannot = {  # noqa: RUF012
        "int64": "OpenVINO computes whole numbers in 32 bits",
        "float64": "OpenVINO's CPU plugin computes float64 in float32",
    }
    option_effects = {  # noqa: RUF012
        "performance_hint": compiled_property("PERFORMANCE_HINT"),
        "num_streams": compiled_property("NUM_STREAMS"),
        "execution_mode": compiled_property("EXECUTION_MODE_HINT"),
        "inference_precision": compiled_property("INFERENCE_PRECISION_HINT"),
        "cpu_pinning": compiled_property("ENABLE_CPU_PINNING"),
    }
