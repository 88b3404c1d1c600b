"""How do the settings of a session become ONNXRuntime's?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

from lexer_core.errors import UnsupportedError

if TYPE_CHECKING:
    from lexer_core.records import SessionConfig

__all__ = ["RECORD_ASSIGNMENT", "make_session_options"]

RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
"""Makes ONNXRuntime keep which provider took which node; known from 1.24 on."""

_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}

_ERRORS_ONLY = 3


def make_session_options(config: SessionConfig) -> Any:
    """Turn threads and options into ``onnxruntime.SessionOptions``.

    Raises
    ------
    UnsupportedError
        An option would have no effect in this combination, or is not known to
        this version of ONNXRuntime.
    """
    options = config.options
    made = onnxruntime.SessionOptions()
    made.log_severity_level = _ERRORS_ONLY
    made.graph_optimization_level = _optimization_level(
        str(options.get("graph_optimization_level", "all"))
    )
    made.intra_op_num_threads = config.threads
    parallel = options.get("execution_mode", "sequential") == "parallel"
    if parallel:
        made.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    made.inter_op_num_threads = _inter_op_threads(config, parallel=parallel)
    mem_pattern = options.get("enable_mem_pattern")
    if parallel and mem_pattern:
        raise UnsupportedError(
            "ONNXRuntime plans no memory pattern in parallel mode: enable_mem_pattern=true "
            "would have no effect.",
            hint="Leave out enable_mem_pattern, or set execution_mode=sequential.",
        )
    made.enable_mem_pattern = not parallel if mem_pattern is None else bool(mem_pattern)
    made.enable_mem_reuse = bool(options.get("enable_mem_reuse", True))
    made.enable_cpu_mem_arena = bool(options.get("enable_cpu_mem_arena", True))
    spinning = "1" if options.get("allow_spinning", True) else "0"
    made.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    made.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    return made


def _optimization_level(name: str) -> Any:
    level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[name], None)
    if level is None:
        raise UnsupportedError(
            f"ONNXRuntime {onnxruntime.__version__} has no graph_optimization_level={name}.",
            hint="Install a newer onnxruntime, or choose another level.",
        )
    return level


def _inter_op_threads(config: SessionConfig, *, parallel: bool) -> int:
    asked = config.options.get("inter_op_threads")
    if not parallel:
        if asked is not None and asked != 1:
            raise UnsupportedError(
                f"inter_op_threads={asked} has no effect in sequential mode.",
                hint="Set execution_mode=parallel as well, or leave out inter_op_threads.",
            )
        return 1
    count = config.threads if asked is None else int(asked)
    if count < 2:  # noqa: PLR2004 (the caller's thread and one more)
        # With one thread ONNXRuntime falls back to sequential mode, silently.
        raise UnsupportedError(
            f"execution_mode=parallel needs at least 2 inter_op_threads, not {count}.",
            hint="Set inter_op_threads=2 or more, or execution_mode=sequential.",
        )
    return count
