"""Which devices does this PyTorch have, and how is each synchronized?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from lexer_core.engine_helpers import find_device
from lexer_core.records import Device
from lexer_torch.versions import gpu_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["list_devices", "synchronizer", "torch_device"]


def list_devices() -> tuple[Device, ...]:
    """List the CPU and all accelerators, without allocating memory on any."""
    devices = [
        Device(kind="cpu", identifier="cpu", description=torch.backends.cpu.get_cpu_capability())
    ]
    if torch.cuda.is_available():
        devices += [
            _accelerator("cuda", index, torch.cuda.get_device_name(index), gpu_uuid(index))
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
    """Return torch's device for one of Lexer's.

    Raises
    ------
    DeviceUnavailableError
        The device is not available.
    """
    return torch.device(find_device(list_devices(), device, runtime="torch").identifier)


def synchronizer(device: Device) -> Callable[[], None] | None:
    """Return what waits for all work of a device; ``None`` if calls are synchronous."""
    if device.kind == "cuda":
        return partial(torch.cuda.synchronize, device.index)
    if device.kind == "xpu":
        return partial(torch.xpu.synchronize, device.index)
    if device.kind == "mps":
        return torch.mps.synchronize
    return None


def _accelerator(kind: str, index: int, description: str, uuid: str = "") -> Device:
    identifier = kind if kind == "mps" else f"{kind}:{index}"
    return Device(kind=kind, index=index, identifier=identifier, description=description, uuid=uuid)
