"""How do the settings of a session become OpenVINO's properties?

OpenVINO replaces what it cannot do by something that it can: three threads
become two where there are two processors, float16 becomes bfloat16. So what
was asked for is compared with what the compiled model says of itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import UnsupportedError
from lexer_openvino_runtime import openvino

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lexer_core.records import Device, SessionConfig

__all__ = ["check_properties", "make_properties"]

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}

THREADS = "INFERENCE_NUM_THREADS"
STREAMS = "NUM_STREAMS"
PRECISION = "INFERENCE_PRECISION_HINT"


def make_properties(core: Any, device: Device, config: SessionConfig) -> dict[str, Any]:
    """Turn threads, precision, cache folder and options into properties of a device.

    Raises
    ------
    UnsupportedError
        The device has no such property, or an option contradicts the precision.
    """
    supported = core.get_property(device.identifier, "SUPPORTED_PROPERTIES")
    options = config.options
    defaults = {
        THREADS: config.threads,
        "PERFORMANCE_HINT": str(options.get("performance_hint", "latency")).upper(),
        # In the other mode a float32 model is computed in bfloat16 or float16
        # wherever the device has them, without a word.
        "EXECUTION_MODE_HINT": str(options.get("execution_mode", "accuracy")).upper(),
        # Threads are as many as every other engine has, and run where every
        # other engine's do: on the processors of this process.
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": bool(options.get("cpu_pinning", False)),
    }
    properties: dict[str, Any] = {
        name: value for name, value in defaults.items() if name in supported
    }
    asked = _asked_for(config)
    for name in asked:
        if name not in supported:
            raise UnsupportedError(
                f"OpenVINO has no {name} on {device.label}.",
                hint="Leave the option out on this device.",
            )
    if config.cache_dir is not None:
        properties["CACHE_DIR"] = str(config.cache_dir)
    return properties | asked


def check_properties(compiled: Any, properties: Mapping[str, Any], device: Device) -> None:
    """Refuse a compiled model that is not what was asked for.

    Raises
    ------
    UnsupportedError
        OpenVINO chose another number of threads or streams, or another type to
        compute in.
    """
    for name, words in (
        (THREADS, "{asked} threads, and OpenVINO uses {got}"),
        (STREAMS, "{asked} streams, and OpenVINO uses {got}"),
        (PRECISION, "{asked}, and OpenVINO computes in {got}"),
    ):
        if name not in properties:
            continue
        asked, got = str(properties[name]), _written(compiled.get_property(name))
        if got != asked:
            raise UnsupportedError(
                f"{device.label} was asked for {words.format(asked=asked, got=got)}.",
                hint="OpenVINO has at most one thread for each processor of the process, and one "
                "stream for each thread."
                if name != PRECISION
                else "The device does not compute in that type: choose another, or none.",
            )


def _asked_for(config: SessionConfig) -> dict[str, Any]:
    """Properties that are set only where somebody asked for them."""
    asked: dict[str, Any] = {}
    streams = config.options.get("num_streams")
    if streams is not None:
        if int(streams) < 1:
            raise UnsupportedError(f"num_streams={streams}: a call needs at least 1 stream.")
        asked[STREAMS] = int(streams)
    option = str(config.options.get("inference_precision", ""))
    if option and config.precision and option != config.precision:
        raise UnsupportedError(
            f"inference_precision={option} contradicts the precision {config.precision!r}.",
            hint="Set one of them.",
        )
    precision = option or config.precision
    if precision:
        if precision not in _PRECISIONS:
            raise UnsupportedError(
                f"OpenVINO computes in no precision {precision!r}.",
                hint=f"It is one of: {', '.join(_PRECISIONS)}.",
            )
        asked[PRECISION] = _PRECISIONS[precision]
    return asked


def _written(value: Any) -> str:
    return str(value.get_type_name() if isinstance(value, openvino.Type) else value)
