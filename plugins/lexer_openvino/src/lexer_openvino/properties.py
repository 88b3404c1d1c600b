"""How are a session's settings passed to OpenVINO?

As properties. OpenVINO silently replaces what it cannot do: three threads become
two if there are two CPUs, and float16 becomes bfloat16. So the requested settings
are compared with those of the compiled model.
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
_CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16", "float16": "FP16"}

THREADS = "INFERENCE_NUM_THREADS"
STREAMS = "NUM_STREAMS"
PRECISION = "INFERENCE_PRECISION_HINT"


def make_properties(core: Any, device: Device, config: SessionConfig) -> dict[str, Any]:
    """Convert threads, precision, cache folder and options to a device's properties.

    Raises
    ------
    UnsupportedError
        The device lacks a property, or an option contradicts the precision.
    """
    supported = core.get_property(device.identifier, "SUPPORTED_PROPERTIES")
    options = config.options
    defaults = {
        THREADS: config.threads,
        "PERFORMANCE_HINT": str(options.get("performance_hint", "latency")).upper(),
        # In the other mode, a float32 model is silently computed in bfloat16 or
        # float16 if the device supports them.
        "EXECUTION_MODE_HINT": str(options.get("execution_mode", "accuracy")).upper(),
        # Like every other engine: the given number of threads, on the CPUs of
        # this process.
        "ENABLE_HYPER_THREADING": True,
        "ENABLE_CPU_PINNING": bool(options.get("cpu_pinning", False)),
    }
    properties: dict[str, Any] = {
        name: value for name, value in defaults.items() if name in supported
    }
    requested = _requested(config)
    if config.precision:
        _check_capability(core, device, config.precision)
    for name in requested:
        if name not in supported:
            raise UnsupportedError(
                f"OpenVINO does not support {name} on {device.label}.",
                hint="Leave out the option on this device.",
            )
    if config.profiling:
        properties["PERF_COUNT"] = True
    if config.cache_dir is not None:
        properties["CACHE_DIR"] = str(config.cache_dir)
    return properties | requested


def _check_capability(core: Any, device: Device, precision: str) -> None:
    """Refuse a precision that OpenVINO would compute in another type."""
    capabilities = core.get_property(device.identifier, "OPTIMIZATION_CAPABILITIES")
    if precision in _CAPABILITIES and _CAPABILITIES[precision] not in capabilities:
        able = [name for name, each in _CAPABILITIES.items() if each in capabilities]
        raise UnsupportedError(
            f"{device.label} does not compute in {precision} with OpenVINO.",
            hint=f"It computes in: {', '.join(able)}.",
        )


def check_properties(compiled: Any, properties: Mapping[str, Any], device: Device) -> None:
    """Refuse a compiled model whose settings are not the requested ones.

    Raises
    ------
    UnsupportedError
        OpenVINO chose another number of threads or streams, or another type.
    """
    for name, words in (
        (THREADS, "sets the number of threads to {got} instead of {requested}"),
        (STREAMS, "sets the number of streams to {got} instead of {requested}"),
        (PRECISION, "computes in {got} instead of {requested}"),
    ):
        if name not in properties:
            continue
        requested, got = str(properties[name]), _written(compiled.get_property(name))
        if got != requested:
            raise UnsupportedError(
                f"OpenVINO on {device.label} {words.format(requested=requested, got=got)}.",
                hint="OpenVINO uses at most one thread per CPU of the process and one stream per "
                "thread."
                if name != PRECISION
                else "The device does not compute in that type. Use another, or none.",
            )


def _requested(config: SessionConfig) -> dict[str, Any]:
    """Properties that are only set on request."""
    requested: dict[str, Any] = {}
    streams = config.options.get("num_streams")
    if streams is not None:
        if int(streams) < 1:
            raise UnsupportedError(f"num_streams={streams} is not valid: a call needs at least 1.")
        requested[STREAMS] = int(streams)
    option = str(config.options.get("inference_precision", ""))
    if option and config.precision and option != config.precision:
        raise UnsupportedError(
            f"inference_precision={option} contradicts the precision {config.precision!r}.",
            hint="Set only one of them.",
        )
    precision = option or config.precision
    if precision:
        if precision not in _PRECISIONS:
            raise UnsupportedError(
                f"OpenVINO does not support precision {precision!r}.",
                hint=f"Use one of: {', '.join(_PRECISIONS)}.",
            )
        requested[PRECISION] = _PRECISIONS[precision]
    return requested


def _written(value: Any) -> str:
    return str(value.get_type_name() if isinstance(value, openvino.Type) else value)
