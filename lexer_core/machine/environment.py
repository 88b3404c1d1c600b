"""On which machine, and with which software, is this measured?

Unknown fields stay empty. Nothing here fails, starts a program or imports a runtime.
"""

from __future__ import annotations

import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core import __version__
from lexer_core.machine.affinity import cpu_quota, usable_cpus
from lexer_core.machine.cgroups import group_folders, read_fields, read_first_number
from lexer_core.results.result_records import Environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "cpu_model",
    "gpu_driver",
    "gpus",
    "memory_limit_bytes",
    "package_versions",
    "read_environment",
    "usable_cores",
    "virtualised",
]

_NOTABLE_PACKAGES = (
    "lexer-core",
    "lexer-torch",
    "lexer-ort",
    "numpy",
    "scipy",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "ml_dtypes",
    "pluggy",
    "cloudpickle",
)

# Cgroups v1 write "no limit" as the largest number of pages.
_NO_LIMIT = 1 << 60


def read_environment(
    engines: Mapping[str, str] | None = None,
    distributions: Iterable[str] = (),
) -> Environment:
    """Return a description of this machine and this Python environment.

    Parameters
    ----------
    engines
        Versions of the engines' runtimes, by display name.
    distributions
        Distributions to list with their versions, in addition to the usual ones.
    """
    import psutil  # slow to import, and needed once per run

    return Environment(
        cpu_model=cpu_model(),
        cores_physical=psutil.cpu_count(logical=False),
        cores_logical=psutil.cpu_count(logical=True),
        cores_usable=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=memory_limit_bytes(),
        virtualised=virtualised(),
        os=_operating_system(),
        machine=platform.machine(),
        gpus=gpus(),
        gpu_driver=gpu_driver(),
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        lexer_version=__version__,
        engines=dict(engines or {}),
        packages=package_versions((*_NOTABLE_PACKAGES, *distributions)),
    )


def cpu_model(root: Path = Path("/")) -> str:
    """Return the processor's model name; empty if unknown."""
    fields = _cpuinfo(root)
    for name in ("model name", "Hardware", "cpu model", "cpu"):
        if fields.get(name):
            return " ".join(fields[name].split())
    return platform.processor()


def gpus(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the model names of the NVIDIA GPUs; other makes are not detected."""
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    names = (_fields(file).get("Model", "") for file in files)
    return tuple(name for name in names if name)


def gpu_driver(root: Path = Path("/")) -> str:
    """Return the version of the loaded NVIDIA driver; empty if there is none."""
    text = _fields(root / "proc/driver/nvidia/version").get("NVRM version", "")
    number = re.search(r"\b\d+\.\d+(\.\d+)?\b", text)
    return number[0] if number else ""


def usable_cores(root: Path = Path("/")) -> float:
    """Return how many CPUs this process may use: its affinity, at most the quota."""
    cpus = float(len(usable_cpus()))
    quota = cpu_quota(root)
    return cpus if quota is None else min(cpus, quota)


def memory_limit_bytes(root: Path = Path("/")) -> int | None:
    """Return the memory limit of the control groups; ``None`` without a limit."""
    limits = []
    for version, folder in group_folders("memory", root):
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        limit = read_first_number(folder / name)
        if limit is not None and 0 < limit < _NO_LIMIT:
            limits.append(limit)
    return min(limits, default=None)


def virtualised(root: Path = Path("/")) -> str:
    """Return whether this system runs in a container or a virtual machine.

    Returns
    -------
    str
        ``"container"``; the vendor of the virtual machine; ``"no"`` if the
        processor reports no hypervisor; empty if unknown.
    """
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return "container"
    if (root / "sys/hypervisor/type").exists():
        return " ".join(read_fields(root / "sys/hypervisor/type"))
    flags = _cpuinfo(root).get("flags", "").split()
    if not flags:
        return ""
    if "hypervisor" not in flags:
        return "no"
    vendor = " ".join(read_fields(root / "sys/class/dmi/id/sys_vendor"))
    return vendor or "virtual machine"


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed packages among these, by name."""
    versions = {}
    for name in sorted(set(names), key=str.casefold):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cpuinfo(root: Path) -> Mapping[str, str]:
    """Return the fields of /proc/cpuinfo for the first processor."""
    return _fields(root / "proc/cpuinfo")


def _fields(file: Path) -> Mapping[str, str]:
    """Return the values of lines ``name: value``, the first one of each name."""
    try:
        text = file.read_text(errors="replace")
    except OSError:  # not Linux, or no such device
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields


def _operating_system() -> str:
    system = f"{platform.system()} {platform.release()}"
    if sys.platform != "linux":
        return system
    try:
        text = Path("/etc/os-release").read_text(errors="replace")
    except OSError:  # a minimal container
        return system
    name = re.search(r'^PRETTY_NAME="?([^"\n]+)"?$', text, re.MULTILINE)
    return f"{name[1]} ({system})" if name else system
