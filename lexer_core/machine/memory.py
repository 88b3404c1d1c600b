"""How much memory does a process use, and how much is available?

On Linux the values of another process are read from outside, which does not disturb
it and works while it is suspended. Elsewhere a process can read only its own.

A worker's limit is not set with ``setrlimit``: ``RLIMIT_AS`` counts address space, of
which CUDA and torch reserve far more than they use; ``RLIMIT_DATA`` counts thread
stacks and private mappings of weights that were never touched; and a runtime whose
allocation fails usually crashes without a reason. Instead the parent checks
:func:`private_memory_bytes` periodically, and kills a worker that exceeds its limit.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from lexer_core.machine.cgroups import group_folders, read_fields, read_first_number

__all__ = [
    "CAN_READ_OTHER_PROCESSES",
    "available_memory_bytes",
    "keep_freed_memory",
    "oom_kills",
    "peak_memory_bytes",
    "prefer_for_oom_kill",
    "private_memory_bytes",
    "reset_peak_memory",
    "return_freed_memory",
]

CAN_READ_OTHER_PROCESSES = sys.platform == "linux"
"""Whether another process's peak memory can be read."""

_OOM_SCORE = 800
_LARGEST_DYNAMIC_BYTES = 31 * 2**20
"""Just below the size from which glibc always returns a block to the system."""


def peak_memory_bytes(pid: int | None = None) -> int | None:
    """Return the peak resident memory of a process, in bytes, since its start or last reset.

    Parameters
    ----------
    pid
        The process ID; ``None`` for this process. Other processes only on Linux.

    Returns
    -------
    int or None
        ``None`` if unknown, as for a process that has ended.

    Notes
    -----
    On Linux it is ``VmHWM``, not ``ru_maxrss``, which starts at the size of the
    process that forked this one.
    """
    if CAN_READ_OTHER_PROCESSES:
        return _status(pid).get("VmHWM")
    if pid is not None and pid != os.getpid():
        return None
    if sys.platform == "win32":
        import psutil  # slow to import, and not needed elsewhere

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # POSIX only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory() -> None:
    """Make this process's peak start again at its current memory; only on Linux.

    Where the system does not allow it, the peak goes on from the process's start.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")


def private_memory_bytes(pid: int | None = None) -> int | None:
    """Return the memory that a process holds and the system cannot reclaim, in bytes.

    Anonymous and shared memory, resident or swapped out. Pages of files, such as
    mapped weights and libraries, do not count, because the system can reclaim them.
    Outside Linux: resident memory. ``None`` for a process that has ended.
    """
    if not CAN_READ_OTHER_PROCESSES:
        import psutil  # slow to import, and not needed on Linux

        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:  # ended
            return None
    status = _status(pid)
    if "VmRSS" not in status:
        return None
    if "RssAnon" not in status:  # kernels before 4.5
        return status["VmRSS"] + status.get("VmSwap", 0)
    return status["RssAnon"] + status.get("RssShmem", 0) + status.get("VmSwap", 0)


def available_memory_bytes(root: Path = Path("/")) -> int:
    """Return the memory available without swapping, in bytes.

    The machine's, or what the control groups leave if that is less.

    Parameters
    ----------
    root
        The folder that contains ``proc`` and ``sys``.
    """
    import psutil  # slow to import, and needed once per run

    available = int(psutil.virtual_memory().available)
    for version, folder in group_folders("memory", root):
        if version == 1:
            limit = read_first_number(folder / "memory.limit_in_bytes")
            used = read_first_number(folder / "memory.usage_in_bytes")
            cache_name = "total_inactive_file"
        else:
            limit = read_first_number(folder / "memory.max")
            used = read_first_number(folder / "memory.current")
            cache_name = "inactive_file"
        if limit is not None and used is not None:
            # Unused pages of files count as used, but can be reclaimed.
            cache = _named_number(read_fields(folder / "memory.stat"), cache_name)
            available = min(available, max(0, limit - used + cache))
    return available


def oom_kills(root: Path = Path("/")) -> int | None:
    """Return how many processes the kernel has killed for lack of memory since boot.

    Parameters
    ----------
    root
        The folder that contains ``proc``.

    Returns
    -------
    int or None
        ``None`` if unknown: outside Linux, and for kernels before 4.13.
    """
    fields = read_fields(root / "proc/vmstat")
    return _named_number(fields, "oom_kill") if "oom_kill" in fields else None


def prefer_for_oom_kill() -> None:
    """Make the kernel kill this process before its parent when memory runs out."""
    score = Path("/proc/self/oom_score_adj")
    current = read_first_number(score)
    if current is not None and current < _OOM_SCORE:
        score.write_text(str(_OOM_SCORE))


def _status(pid: int | None) -> dict[str, int]:
    """Return the memory values of /proc/PID/status, in bytes."""
    values = {}
    try:
        with Path(f"/proc/{pid or 'self'}/status").open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if value.endswith(" kB\n"):
                    values[name] = int(value[:-4]) * 1024
    except OSError:  # ended
        return {}
    return values


def _named_number(fields: list[str], name: str) -> int:
    """Return the number after a name, in a file of alternating names and numbers; else 0."""
    pairs = dict(zip(fields[::2], fields[1::2], strict=False))
    value = pairs.get(name, "0")
    return int(value) if value.isdigit() else 0


def keep_freed_memory() -> None:
    """Make the C library keep the memory that a call frees for the next call.

    glibc does so once a large block was freed, as in any program that has read a
    file; until then it returns every large block to the system. Measured with
    EfficientNet-Lite0 and torch: 4700 page faults per call, and 24 ms instead of 16.
    """
    if sys.platform == "linux":
        import numpy as np  # its memory is malloc's, and is not touched

        np.empty(_LARGEST_DYNAMIC_BYTES, np.uint8)


def return_freed_memory() -> None:
    """Return freed memory that the C library keeps to the system.

    glibc raises its thresholds with every large array that is freed, and then keeps
    up to tens of MiB: after the statistics of a million samples, as much as the
    samples take.
    """
    if sys.platform != "linux":
        return
    try:
        import ctypes  # missing from some builds of Python
    except ImportError:
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # not in musl
        trim(0)
