"""What does the conformance kit have to know about OpenVINO's engine?

Named in ``EngineInfo.declarations``, and imported only by the kit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.testing.declarations import EngineUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OpenVinoDeclarations"]


def _property(name: str) -> Callable[[Any], str]:
    return lambda session: str(session.compiled.get_property(name))


class OpenVinoDeclarations(EngineUnderTest):
    """What OpenVINO cannot do, and how to observe each of its options."""

    engine_name = "openvino"
    cannot = {  # noqa: RUF012 - as the kit reads it
        "int64": "OpenVINO computes whole numbers in 32 bits",
        "float64": "OpenVINO's CPU plugin computes float64 in float32",
    }
    refusable_precisions = ("bfloat16", "float16")
    option_effects = {  # noqa: RUF012
        "performance_hint": _property("PERFORMANCE_HINT"),
        "num_streams": _property("NUM_STREAMS"),
        "execution_mode": _property("EXECUTION_MODE_HINT"),
        "inference_precision": _property("INFERENCE_PRECISION_HINT"),
        "cpu_pinning": _property("ENABLE_CPU_PINNING"),
    }
