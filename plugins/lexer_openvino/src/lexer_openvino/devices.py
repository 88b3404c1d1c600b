"""Which devices can OpenVINO use here?

A device is listed where OpenVINO has a plugin for it and the plugin finds its
driver. Those that only hand the work on to others (``AUTO``, ``HETERO``,
``MULTI``) are no devices to Lexer: a row must say where its work ran.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from lexer_core.errors import DeviceUnavailableError
from lexer_core.records import Device
from lexer_openvino_runtime import openvino

__all__ = ["CPU_NAME", "find_device", "list_devices", "remote_context"]

CPU_NAME = "CPU"

_WITH_REMOTE_TENSORS = frozenset({"gpu"})
"""Kinds whose memory OpenVINO lets be allocated from Python."""


def list_devices(core: Any = None) -> list[Device]:
    """List every device, the CPU first; none is reserved.

    ``identifier`` is OpenVINO's own name, such as ``GPU.1``. Devices of a kind
    are counted in OpenVINO's order.
    """
    core = openvino.Core() if core is None else core
    counts: Counter[str] = Counter()
    found = []
    for name in sorted(core.available_devices, key=lambda name: name != CPU_NAME):
        kind = name.partition(".")[0].lower()
        found.append(
            Device(
                kind=kind,
                index=counts[kind],
                identifier=name,
                description=_description(core, name),
            )
        )
        counts[kind] += 1
    return found


def find_device(core: Any, device: Device) -> Device:
    """Find the listed device that is the same place, with OpenVINO's name for it.

    Raises
    ------
    DeviceUnavailableError
        It is not among those that are there.
    """
    devices = list_devices(core)
    for candidate in devices:
        if candidate == device:
            return candidate
    names = ", ".join(candidate.name for candidate in devices)
    raise DeviceUnavailableError(
        f"OpenVINO has no device {device.name!r} here.",
        hint=f"Devices that it can use: {names}. "
        "A GPU or NPU appears when its driver is installed.",
    )


def remote_context(core: Any, device: Device) -> Any:
    """Give what allocates in the device's memory; ``None`` where tensors lie in the host's.

    The CPU's memory is the host's. An NPU takes its tensors from there, and
    moves them as part of the call.
    """
    if device.kind not in _WITH_REMOTE_TENSORS:
        return None
    return core.get_default_context(device.identifier)


def _description(core: Any, name: str) -> str:
    try:
        return str(core.get_property(name, "FULL_DEVICE_NAME"))
    except RuntimeError:  # a plugin need not have this property
        return name
