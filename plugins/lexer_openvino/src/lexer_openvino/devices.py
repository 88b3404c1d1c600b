"""Which devices can OpenVINO use on this machine?

OpenVINO lists a device if it has a plugin for it and the plugin finds its driver.
Devices that only pass work on to others (``AUTO``, ``HETERO``, ``MULTI``) are not
listed: a row must say where its work ran.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from lexer_core import engine_helpers
from lexer_core.records import Device
from lexer_openvino_runtime import openvino

__all__ = ["CPU_NAME", "find_device", "list_devices", "remote_context"]

CPU_NAME = "CPU"

_WITH_REMOTE_TENSORS = frozenset({"gpu"})
"""Kinds of devices whose memory can be allocated through OpenVINO's Python API."""


def list_devices(core: Any = None) -> list[Device]:
    """List all devices, the CPU first, without allocating anything.

    ``identifier`` is OpenVINO's name, such as ``GPU.1``. Devices of a kind are
    numbered in OpenVINO's order.
    """
    core = openvino.Core() if core is None else core
    counts: Counter[str] = Counter()
    devices = []
    for name in sorted(core.available_devices, key=lambda name: name != CPU_NAME):
        kind = name.partition(".")[0].lower()
        devices.append(
            Device(
                kind=kind,
                index=counts[kind],
                identifier=name,
                description=_description(core, name),
            )
        )
        counts[kind] += 1
    return devices


def find_device(core: Any, device: Device) -> Device:
    """Return the listed device, which has OpenVINO's name as its identifier.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    """
    return engine_helpers.find_device(
        list_devices(core),
        device,
        runtime="OpenVINO",
        hint="A GPU or NPU is listed once its driver is installed.",
    )


def remote_context(core: Any, device: Device) -> Any:
    """Return what allocates device memory; ``None`` if tensors are in the host's memory.

    The CPU uses the host's memory. An NPU reads its tensors from there as part of
    the call.
    """
    if device.kind not in _WITH_REMOTE_TENSORS:
        return None
    return core.get_default_context(device.identifier)


def _description(core: Any, name: str) -> str:
    try:
        return str(core.get_property(name, "FULL_DEVICE_NAME"))
    except RuntimeError:  # the property is optional for a plugin
        return name
