"""How does a program run a deployed model with ONNXRuntime, without Lexer?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.run_scripts import literal, script_parts
from lexer_ort.option_names import OPTIMIZATION_LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.records import DeployedModel

__all__ = ["run_script"]

_CPU = "CPUExecutionProvider"


def run_script(deployed: DeployedModel) -> str:
    """Return a script with the session options that :mod:`lexer_ort.session_options` sets."""
    parts = script_parts(deployed)
    outputs = [spec.name for spec in deployed.outputs]
    return parts.script(
        "Run the model with ONNXRuntime.",
        imports=["import onnxruntime"],
        load=[
            "options = onnxruntime.SessionOptions()",
            *(f"options.{line}" for line in _settings(deployed)),
            "session = onnxruntime.InferenceSession(",
            f"    str({parts.path}), options, providers={_providers(deployed)}",
            ")",
        ],
        call=[
            f"return dict(zip({literal(outputs)}, session.run({literal(outputs)}, {parts.feeds})))"
        ],
    )


def _settings(deployed: DeployedModel) -> Iterator[str]:
    """Yield the settings that differ from ONNXRuntime's defaults."""
    options = deployed.options
    yield f"intra_op_num_threads = {deployed.threads}"
    if options.get("execution_mode") == "parallel":
        threads = options.get("inter_op_threads", deployed.threads)
        yield "execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL"
        yield f"inter_op_num_threads = {threads}"
    level = options.get("graph_optimization_level", "all")
    if level != "all":
        name = OPTIMIZATION_LEVELS[str(level)]
        yield f"graph_optimization_level = onnxruntime.GraphOptimizationLevel.{name}"
    for option in ("enable_mem_pattern", "enable_mem_reuse", "enable_cpu_mem_arena"):
        if options.get(option) is False:
            yield f"{option} = False"
    if options.get("allow_spinning") is False:
        for pool in ("intra_op", "inter_op"):
            yield f'add_session_config_entry("session.{pool}.allow_spinning", "0")'


def _providers(deployed: DeployedModel) -> str:
    device = deployed.device
    if device.kind == "cpu":
        return literal([_CPU])
    # A device that is not listed here has no identifier.
    provider = device.identifier or f"{device.kind.upper()}ExecutionProvider"
    if device.index:
        return literal([(provider, {"device_id": str(device.index)}), _CPU])
    return literal([provider, _CPU])
