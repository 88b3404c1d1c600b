"""Which devices can ONNXRuntime use here?

An execution provider is a device to Lexer. The provider's name is the device's
identifier, and its kind is the provider's name in short.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes.util import find_library

import onnxruntime
from attrs import frozen

from lexer_core.errors import DeviceUnavailableError
from lexer_core.records import Device

__all__ = ["CPU_PROVIDER", "Memory", "find_device", "list_devices", "memory_of"]

CPU_PROVIDER = "CPUExecutionProvider"

_SUFFIX = "ExecutionProvider"

_NOT_LOCAL = frozenset({"AzureExecutionProvider"})
"""Providers that send the work to a service."""

_ON_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
"""Providers that need a CUDA device, of which there may be several."""

_NEEDED_LIBRARY = {"TensorrtExecutionProvider": "nvinfer"}
"""Listed by ONNXRuntime even where the library that does the work is missing."""

_MEMORY = {
    **dict.fromkeys(_ON_CUDA, "cuda"),
    "CANNExecutionProvider": "cann",
    "DmlExecutionProvider": "dml",
}


@frozen
class Memory:
    """Where a provider keeps its tensors, as ONNXRuntime names it."""

    type: str
    index: int


def memory_of(device: Device) -> Memory:
    """Say where inputs and outputs of a device lie while calls are measured.

    A provider that has no memory of its own in ONNXRuntime's Python interface
    takes them from the host's memory and moves them as part of the call.
    """
    kind = _MEMORY.get(device.identifier, "cpu")
    return Memory(kind, device.index if kind != "cpu" else 0)


def list_devices() -> list[Device]:
    """List a device for each provider of this build that can run here.

    The order is the CPU first, then ONNXRuntime's own order of preference.
    """
    found = [Device(kind="cpu", identifier=CPU_PROVIDER, description="CPU")]
    cuda_names: list[str] | None = None
    for provider in onnxruntime.get_available_providers():
        if provider == CPU_PROVIDER or provider in _NOT_LOCAL:
            continue
        library = _NEEDED_LIBRARY.get(provider)
        if library is not None and find_library(library) is None:
            continue
        kind = provider.removesuffix(_SUFFIX).lower()
        if provider in _ON_CUDA:
            cuda_names = _cuda_device_names() if cuda_names is None else cuda_names
            found += [
                Device(kind=kind, index=index, identifier=provider, description=name)
                for index, name in enumerate(cuda_names)
            ]
        else:
            found.append(Device(kind=kind, identifier=provider, description=provider))
    return found


def find_device(device: Device) -> Device:
    """Find the listed device that is the same place, with its identifier.

    Raises
    ------
    DeviceUnavailableError
        It is not among those that this build can use here.
    """
    devices = list_devices()
    for candidate in devices:
        if candidate == device:
            return candidate
    names = ", ".join(candidate.name for candidate in devices)
    raise DeviceUnavailableError(
        f"ONNXRuntime has no device {device.name!r} here.",
        hint=f"Devices that it can use: {names}. "
        "Others need another build of ONNXRuntime, such as onnxruntime-gpu, and a driver.",
    )


def _cuda_device_names() -> list[str]:
    # ONNXRuntime lists CUDA wherever it was built with it, also without a GPU.
    # The driver knows, honours CUDA_VISIBLE_DEVICES, and reserves nothing when
    # it is only initialised. Any failure to ask means that there is no device.
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for index in range(count.value):
        handle, name = ctypes.c_int(0), ctypes.create_string_buffer(128)
        known = driver.cuDeviceGet(ctypes.byref(handle), index) == 0 and (
            driver.cuDeviceGetName(name, len(name), handle) == 0
        )
        names.append(name.value.decode(errors="replace") if known else f"CUDA device {index}")
    return names
