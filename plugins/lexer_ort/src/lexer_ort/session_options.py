"""How are a session's settings passed to ONNXRuntime?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnxruntime

from lexer_core.errors import UnsupportedError
from lexer_ort.option_names import OPTIMIZATION_LEVELS
from lexer_ort.versions import optimization_level

if TYPE_CHECKING:
    from lexer_core.records import SessionConfig

__all__ = ["RECORD_ASSIGNMENT", "make_session_options"]

RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
"""Makes ONNXRuntime record which provider got which node; since 1.24."""

_ERRORS_ONLY = 3


def make_session_options(config: SessionConfig) -> Any:
    """Convert threads and options to ``onnxruntime.SessionOptions``.

    Raises
    ------
    UnsupportedError
        An option would have no effect in this combination, or this version of
        ONNXRuntime does not support it.
    """
    options = config.options
    native = onnxruntime.SessionOptions()
    native.log_severity_level = _ERRORS_ONLY
    native.graph_optimization_level = _optimization_level(
        str(options.get("graph_optimization_level", "all"))
    )
    native.intra_op_num_threads = config.threads
    parallel = options.get("execution_mode", "sequential") == "parallel"
    if parallel:
        native.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    native.inter_op_num_threads = _inter_op_threads(config, parallel=parallel)
    mem_pattern = options.get("enable_mem_pattern")
    if parallel and mem_pattern:
        raise UnsupportedError(
            "enable_mem_pattern=true has no effect in parallel mode.",
            hint="Leave out enable_mem_pattern, or set execution_mode=sequential.",
        )
    native.enable_mem_pattern = not parallel if mem_pattern is None else bool(mem_pattern)
    native.enable_mem_reuse = bool(options.get("enable_mem_reuse", True))
    native.enable_cpu_mem_arena = bool(options.get("enable_cpu_mem_arena", True))
    spinning = "1" if options.get("allow_spinning", True) else "0"
    native.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    native.add_session_config_entry("session.inter_op.allow_spinning", spinning)
    return native


def _optimization_level(name: str) -> Any:
    level = optimization_level(OPTIMIZATION_LEVELS[name])
    if level is None:
        raise UnsupportedError(
            f"ONNXRuntime {onnxruntime.__version__} has no graph_optimization_level={name}.",
            hint="Install a newer onnxruntime, or choose another level.",
        )
    return level


def _inter_op_threads(config: SessionConfig, *, parallel: bool) -> int:
    requested = config.options.get("inter_op_threads")
    if not parallel:
        if requested is not None and requested != 1:
            raise UnsupportedError(
                f"inter_op_threads={requested} has no effect in sequential mode.",
                hint="Set execution_mode=parallel as well, or leave out inter_op_threads.",
            )
        return 1
    count = config.threads if requested is None else int(requested)
    if count < 2:  # noqa: PLR2004 (the caller's thread and another one)
        # With one thread ONNXRuntime falls back to sequential mode, silently.
        raise UnsupportedError(
            f"execution_mode=parallel needs at least 2 inter_op_threads, not {count}.",
            hint="Set inter_op_threads=2 or more, or execution_mode=sequential.",
        )
    return count
