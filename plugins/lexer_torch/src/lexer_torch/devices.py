"""Which devices does this PyTorch have, and when is one done with its work?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from lexer_core.errors import DeviceUnavailableError
from lexer_core.records import Device

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["list_devices", "synchronizer", "torch_device"]


def list_devices() -> tuple[Device, ...]:
    """List the CPU and every accelerator; nothing is allocated on any."""
    devices = [
        Device(kind="cpu", identifier="cpu", description=torch.backends.cpu.get_cpu_capability())
    ]
    if torch.cuda.is_available():
        devices += [
            _accelerator("cuda", index, torch.cuda.get_device_name(index))
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append(_accelerator("mps", 0, "Metal"))
    if torch.xpu.is_available():
        devices += [
            _accelerator("xpu", index, torch.xpu.get_device_name(index))
            for index in range(torch.xpu.device_count())
        ]
    return tuple(devices)


def torch_device(device: Device) -> torch.device:
    """Torch's own device for one of Lexer's.

    Raises
    ------
    DeviceUnavailableError
        It is not there; the error lists those that are.
    """
    usable = list_devices()
    for each in usable:
        if each == device:
            return torch.device(each.identifier)
    raise DeviceUnavailableError(
        f"torch has no device {device.name!r} here.",
        hint=f"Devices that it can use: {', '.join(each.name for each in usable)}.",
    )


def synchronizer(device: Device) -> Callable[[], None] | None:
    """What waits for all work handed to a device; ``None`` where a call does so itself."""
    if device.kind == "cuda":
        return partial(torch.cuda.synchronize, device.index)
    if device.kind == "xpu":
        return partial(torch.xpu.synchronize, device.index)
    if device.kind == "mps":
        return torch.mps.synchronize
    return None


def _accelerator(kind: str, index: int, description: str) -> Device:
    identifier = kind if kind == "mps" else f"{kind}:{index}"
    return Device(kind=kind, index=index, identifier=identifier, description=description)
