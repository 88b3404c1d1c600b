"""How does a program run a deployed model with OpenVINO, without Lexer?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.run_scripts import literal, script_parts

if TYPE_CHECKING:
    from lexer_core.records import DeployedModel

__all__ = ["run_script"]

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}


def run_script(deployed: DeployedModel) -> str:
    """Return a script with the properties that :mod:`lexer_openvino.properties` sets."""
    parts = script_parts(deployed)
    device = deployed.device
    name = device.identifier or device.kind.upper() + (f".{device.index}" if device.index else "")
    outputs = ", ".join(
        f"{literal(spec.name)}: results[{literal(spec.name)}]" for spec in deployed.outputs
    )
    return parts.script(
        "Run the model with OpenVINO.",
        imports=["import openvino"],
        load=[
            f"properties = {literal(_properties(deployed))}",
            f"compiled = openvino.compile_model({parts.path}, {literal(name)}, properties)",
        ],
        call=[f"results = compiled({parts.feeds})", f"return {{{outputs}}}"],
    )


def _properties(deployed: DeployedModel) -> dict[str, Any]:
    options = deployed.options
    properties: dict[str, Any] = {
        "PERFORMANCE_HINT": str(options.get("performance_hint", "latency")).upper(),
        "EXECUTION_MODE_HINT": str(options.get("execution_mode", "accuracy")).upper(),
    }
    if deployed.device.kind == "cpu":
        properties |= {
            "INFERENCE_NUM_THREADS": deployed.threads,
            "ENABLE_HYPER_THREADING": True,
            "ENABLE_CPU_PINNING": bool(options.get("cpu_pinning", False)),
        }
    if "num_streams" in options:
        properties["NUM_STREAMS"] = options["num_streams"]
    precision = str(options.get("inference_precision", "")) or deployed.precision
    if precision:
        properties["INFERENCE_PRECISION_HINT"] = _PRECISIONS[precision]
    return properties
