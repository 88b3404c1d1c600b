"""Did power or heat limit the clocks of a GPU?

Asked of NVML, the management library that comes with NVIDIA's driver. Only queries are
called: they change no setting, create no context and take no memory of the GPU.
"""

from __future__ import annotations

import sys
from ctypes import CDLL, POINTER, Structure, byref, c_char_p, c_int, c_uint, c_ulonglong, c_void_p
from functools import cache
from typing import Protocol

from attrs import frozen

__all__ = ["GpuLimits", "LimitReader", "Nvml", "read_gpu_limits"]

_SUCCESS = 0

_POWER_POLICY = 0
"""NVML_PERF_POLICY_POWER."""
_HEAT_POLICY = 1
"""NVML_PERF_POLICY_THERMAL."""

_POWER_REASONS = 0x04 | 0x80
"""Reasons for low clocks: software power cap, hardware power brake."""
_HEAT_REASONS = 0x20 | 0x40
"""Reasons for low clocks: software and hardware thermal slowdown."""


@frozen
class GpuLimits:
    """Counters that grow while power or heat limits the clocks; ``None`` if unknown."""

    power: int | None = None
    heat: int | None = None


class Nvml(Protocol):
    """The queries that are made of NVML, for one GPU. Each may be unsupported: ``None``."""

    def violation_nanoseconds(self, policy: int) -> int | None:
        """Return for how long a policy has limited the clocks, since the driver started."""

    def clock_reasons(self) -> int | None:
        """Return why the clocks are low at this moment, as a bit mask."""


def read_gpu_limits(uuid: str) -> GpuLimits:
    """Read the counters of a GPU by its UUID; unknown without NVIDIA's driver."""
    reader = _reader(uuid)
    return GpuLimits() if reader is None else reader.read()


class LimitReader:
    """Reads the counters of one GPU.

    Many GPUs count for how long a policy limited their clocks. For others, the counter
    is the number of reads that found the clocks limited at that moment.
    """

    def __init__(self, nvml: Nvml) -> None:
        self._nvml = nvml
        self._found_power = 0
        self._found_heat = 0

    def read(self) -> GpuLimits:
        """Return the counters."""
        power = self._nvml.violation_nanoseconds(_POWER_POLICY)
        heat = self._nvml.violation_nanoseconds(_HEAT_POLICY)
        if power is not None and heat is not None:
            return GpuLimits(power, heat)
        reasons = self._nvml.clock_reasons()
        if reasons is None:
            return GpuLimits(power, heat)
        self._found_power += bool(reasons & _POWER_REASONS)
        self._found_heat += bool(reasons & _HEAT_REASONS)
        return GpuLimits(
            self._found_power if power is None else power,
            self._found_heat if heat is None else heat,
        )


class _ViolationTime(Structure):
    _fields_ = (("reference_time", c_ulonglong), ("violation_time", c_ulonglong))


class _NvmlDevice:
    """One GPU of the driver's NVML."""

    def __init__(self, library: CDLL, handle: c_void_p) -> None:
        self._library = library
        self._handle = handle

    def violation_nanoseconds(self, policy: int) -> int | None:
        time = _ViolationTime()
        query = self._library.nvmlDeviceGetViolationStatus
        query.argtypes = (c_void_p, c_int, POINTER(_ViolationTime))
        done = query(self._handle, policy, byref(time))
        return int(time.violation_time) if done == _SUCCESS else None

    def clock_reasons(self) -> int | None:
        reasons = c_ulonglong()
        query = self._library.nvmlDeviceGetCurrentClocksThrottleReasons
        query.argtypes = (c_void_p, POINTER(c_ulonglong))
        done = query(self._handle, byref(reasons))
        return int(reasons.value) if done == _SUCCESS else None


@cache
def _reader(uuid: str) -> LimitReader | None:
    try:
        library = CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:  # no NVIDIA driver
        return None
    handle = c_void_p()
    find = library.nvmlDeviceGetHandleByUUID
    find.argtypes = (c_char_p, POINTER(c_void_p))
    if library.nvmlInitWithFlags(c_uint(0)) != _SUCCESS:
        return None
    if find(uuid.encode(), byref(handle)) != _SUCCESS:
        return None
    return LimitReader(_NvmlDevice(library, handle))
