"""Which devices can ONNXRuntime use on this machine?

An execution provider is a device in Lexer: the provider's name is the device's
identifier, and its short form is the device's kind.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes.util import find_library
from uuid import UUID

import onnxruntime
from attrs import frozen

from lexer_core import engine_helpers
from lexer_core.records import Device

__all__ = ["CPU_PROVIDER", "Memory", "find_device", "list_devices", "memory_of"]

CPU_PROVIDER = "CPUExecutionProvider"

_SUFFIX = "ExecutionProvider"

_NOT_LOCAL = frozenset({"AzureExecutionProvider"})
"""Providers that send the work to a remote service."""

_ON_CUDA = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
"""Providers that need a CUDA device; there may be several."""

_NEEDED_LIBRARY = {"TensorrtExecutionProvider": "nvinfer"}
"""Libraries of providers that ONNXRuntime lists even if the library is missing."""

_MEMORY = {
    **dict.fromkeys(_ON_CUDA, "cuda"),
    "CANNExecutionProvider": "cann",
    "DmlExecutionProvider": "dml",
}


@frozen
class Memory:
    """The memory of a provider's tensors, by ONNXRuntime's names."""

    type: str
    index: int


def memory_of(device: Device) -> Memory:
    """Return the memory of a device's inputs and outputs while calls are measured.

    If ONNXRuntime's Python API offers no memory for a provider, it is the host's
    memory, and the provider copies tensors as part of the call.
    """
    kind = _MEMORY.get(device.identifier, "cpu")
    return Memory(kind, device.index if kind != "cpu" else 0)


def list_devices() -> list[Device]:
    """List a device for each provider of this build that can run on this machine.

    The CPU comes first, then the others in ONNXRuntime's order of preference.
    """
    devices = [Device(kind="cpu", identifier=CPU_PROVIDER, description="CPU")]
    cuda_devices: list[_CudaDevice] | None = None
    for provider in onnxruntime.get_available_providers():
        if provider == CPU_PROVIDER or provider in _NOT_LOCAL:
            continue
        library = _NEEDED_LIBRARY.get(provider)
        if library is not None and find_library(library) is None:
            continue
        kind = provider.removesuffix(_SUFFIX).lower()
        if provider in _ON_CUDA:
            cuda_devices = _cuda_devices() if cuda_devices is None else cuda_devices
            devices += [
                Device(
                    kind=kind,
                    index=index,
                    identifier=provider,
                    description=found.name,
                    uuid=found.uuid,
                )
                for index, found in enumerate(cuda_devices)
            ]
        else:
            devices.append(Device(kind=kind, identifier=provider, description=provider))
    return devices


def find_device(device: Device) -> Device:
    """Return the listed device, which has the provider as its identifier.

    Raises
    ------
    DeviceUnavailableError
        This build cannot use the device on this machine.
    """
    return engine_helpers.find_device(
        list_devices(),
        device,
        runtime="ONNXRuntime",
        hint="Others need another build of ONNXRuntime, such as onnxruntime-gpu, and a driver.",
    )


@frozen
class _CudaDevice:
    """A CUDA device as the driver describes it; the UUID is empty if it has none."""

    name: str
    uuid: str


def _cuda_devices() -> list[_CudaDevice]:
    # ONNXRuntime lists CUDA if it was built with it, even without a GPU. The
    # driver knows better: it honours CUDA_VISIBLE_DEVICES, and initialising it
    # allocates nothing. If the query fails, there is no usable device.
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    devices = []
    for index in range(count.value):
        handle, name = ctypes.c_int(0), ctypes.create_string_buffer(128)
        known = driver.cuDeviceGet(ctypes.byref(handle), index) == 0 and (
            driver.cuDeviceGetName(name, len(name), handle) == 0
        )
        uuid = (ctypes.c_ubyte * 16)()
        has_uuid = known and driver.cuDeviceGetUuid(uuid, handle) == 0
        devices.append(
            _CudaDevice(
                name.value.decode(errors="replace") if known else f"CUDA device {index}",
                f"GPU-{UUID(bytes=bytes(uuid))}" if has_uuid else "",
            )
        )
    return devices
