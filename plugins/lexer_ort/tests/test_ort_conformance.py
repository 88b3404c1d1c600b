"""Does ONNXRuntime's engine keep the contract? Every check of the kit."""

from __future__ import annotations

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from lexer_core.testing import EngineConformance


def setting(name):
    return lambda session: getattr(session.settings(), name)


def spinning(session):
    return session.settings().get_session_config_entry("session.intra_op.allow_spinning")


@pytest.mark.onnxruntime
class TestOnnxRuntime(EngineConformance):
    engine_name = "onnxruntime"
    # Parallel mode needs two, and is refused with one.
    threads = 2
    option_effects = {  # noqa: RUF012 - as the kit reads it
        "graph_optimization_level": setting("graph_optimization_level"),
        "execution_mode": setting("execution_mode"),
        "inter_op_threads": setting("inter_op_num_threads"),
        "allow_spinning": spinning,
        "enable_mem_pattern": setting("enable_mem_pattern"),
        "enable_mem_reuse": setting("enable_mem_reuse"),
        "enable_cpu_mem_arena": setting("enable_cpu_mem_arena"),
    }
