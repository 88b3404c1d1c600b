"""What does the conformance kit have to know about ONNXRuntime's engine?

Named in ``EngineInfo.declarations``, and imported only by the kit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.testing.declarations import EngineUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OnnxRuntimeDeclarations"]


def _setting(name: str) -> Callable[[Any], object]:
    return lambda session: getattr(session.settings(), name)


def _spinning(session: Any) -> object:
    return session.settings().get_session_config_entry("session.intra_op.allow_spinning")


class OnnxRuntimeDeclarations(EngineUnderTest):
    """How to observe each option of ONNXRuntime."""

    engine_name = "onnxruntime"
    # Parallel mode needs two, and is refused with one.
    threads = 2
    option_effects = {  # noqa: RUF012 - as the kit reads it
        "graph_optimization_level": _setting("graph_optimization_level"),
        "execution_mode": _setting("execution_mode"),
        "inter_op_threads": _setting("inter_op_num_threads"),
        "allow_spinning": _spinning,
        "enable_mem_pattern": _setting("enable_mem_pattern"),
        "enable_mem_reuse": _setting("enable_mem_reuse"),
        "enable_cpu_mem_arena": _setting("enable_cpu_mem_arena"),
    }
