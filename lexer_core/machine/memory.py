"""How much memory does a process use, and how much may it?

Figures of another process are read from outside, so that asking does not
disturb it, and works while it is suspended. That exists on Linux; elsewhere a
process can be asked for its own.

Why a worker's limit is watched and not set with ``setrlimit``: ``RLIMIT_AS``
counts address space, of which CUDA and torch reserve far more than they use;
``RLIMIT_DATA`` counts thread stacks and private mappings of weights that were
never touched; and a runtime whose allocation is refused mostly crashes, after
which nobody can say why. What is watched is :func:`private_memory_bytes`, and a
worker that exceeds its limit is killed with the reason known.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lexer_core.machine.cgroups import group_folders, read_fields, read_first_number

__all__ = [
    "SEEN_FROM_OUTSIDE",
    "available_memory_bytes",
    "oom_kills",
    "peak_memory_bytes",
    "prefer_as_victim",
    "private_memory_bytes",
    "return_freed_memory",
]

SEEN_FROM_OUTSIDE = sys.platform == "linux"
"""Whether the peak of another process can be read."""

_VICTIM_SCORE = 800


def peak_memory_bytes(pid: int | None = None) -> int | None:
    """Peak resident memory of a process since it began, in bytes.

    Parameters
    ----------
    pid
        Whose; ``None`` for this process. Another one's is known on Linux only.

    Returns
    -------
    int or None
        ``None`` where it cannot be known, as for a process that has ended.

    Notes
    -----
    Linux: ``VmHWM``. Not ``ru_maxrss``, which starts at the size of the process
    that forked this one.
    """
    if SEEN_FROM_OUTSIDE:
        return _status(pid).get("VmHWM")
    if pid is not None and pid != os.getpid():
        return None
    if sys.platform == "win32":
        import psutil  # slow to import, and not needed elsewhere

        return int(psutil.Process().memory_info().peak_wset)
    import resource  # POSIX only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def private_memory_bytes(pid: int | None = None) -> int | None:
    """Memory that a process holds and that only its end would give back, in bytes.

    Anonymous and shared memory, resident or swapped out. Pages of files, such
    as mapped weights and libraries, are not counted: the system takes them back
    when it needs to. Off Linux: resident memory. ``None`` for a process that
    has ended.
    """
    if not SEEN_FROM_OUTSIDE:
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
    """Memory that can still be taken without swapping, in bytes.

    The machine's, or what the control groups leave where that is less.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    import psutil  # asked once per run, and slow to import

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
            # Pages of files that nobody uses are counted as used, and given back.
            cache = _named_number(read_fields(folder / "memory.stat"), cache_name)
            available = min(available, max(0, limit - used + cache))
    return available


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since it booted."""
    fields = read_fields(Path("/proc/vmstat"))
    return _named_number(fields, "oom_kill") if "oom_kill" in fields else None


def prefer_as_victim() -> None:
    """Let the kernel, when memory runs out, kill this process before its parent."""
    score = Path("/proc/self/oom_score_adj")
    current = read_first_number(score)
    if current is not None and current < _VICTIM_SCORE:
        score.write_text(str(_VICTIM_SCORE))


def _status(pid: int | None) -> dict[str, int]:
    """Read the memory figures of /proc/PID/status, in bytes."""
    figures = {}
    try:
        with Path(f"/proc/{pid or 'self'}/status").open() as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if value.endswith(" kB\n"):
                    figures[name] = int(value[:-4]) * 1024
    except OSError:  # ended
        return {}
    return figures


def _named_number(fields: list[str], name: str) -> int:
    """The number after a name, in a file that lists names and numbers in turn."""
    pairs = dict(zip(fields[::2], fields[1::2], strict=False))
    value = pairs.get(name, "0")
    return int(value) if value.isdigit() else 0


def return_freed_memory() -> None:
    """Give pages that were freed back to the system, where the C library keeps them.

    glibc raises its thresholds with every large array that is freed, up to tens
    of MiB that it then holds for later: after the statistics of a million
    samples, as much as the samples themselves.
    """
    if sys.platform != "linux":
        return
    try:
        import ctypes  # missing from some builds of Python
    except ImportError:
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none
        trim(0)
