"""On which CPUs, and with how many threads, does a worker run?

All workers get the same CPUs, as many as they have threads. On different cores of a
virtual machine, the differences between the cores would be measured with those
between the engines.

Only Linux can pin a process. Elsewhere :func:`cpu_set` returns ``None``, and the
system chooses the CPUs.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.machine.cgroups import group_folders, read_fields, read_first_number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "cpu_quota",
    "cpu_set",
    "move_to_common_cpu",
    "observed_threads",
    "pin",
    "thread_environment",
    "usable_cpus",
    "usable_threads",
]

_CAN_PIN = hasattr(os, "sched_setaffinity")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def usable_cpus() -> tuple[int, ...]:
    """Return the numbers of the CPUs that this process may run on, sorted."""
    if _CAN_PIN:
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the CPU quota of the control groups, in CPUs.

    Parameters
    ----------
    root
        The folder that contains ``proc`` and ``sys``.

    Returns
    -------
    float or None
        For example ``1.5``; ``None`` without a quota.
    """
    quotas = []
    for version, folder in group_folders("cpu", root):
        if version == 1:
            quota = read_first_number(folder / "cpu.cfs_quota_us")
            period = read_first_number(folder / "cpu.cfs_period_us")
        else:
            quota = read_first_number(folder / "cpu.max")
            period = _period(read_fields(folder / "cpu.max"))
        if quota is not None and quota > 0 and period:
            quotas.append(quota / period)
    return min(quotas, default=None)


def usable_threads(root: Path = Path("/")) -> int:
    """Return how many threads can run at once: the usable CPUs, at most the quota.

    The quota is rounded down, because the cgroup would throttle another thread.
    """
    quota = cpu_quota(root)
    cpus = len(usable_cpus())
    return cpus if quota is None else max(1, min(cpus, math.floor(quota)))


def cpu_set(threads: int, root: Path = Path("/")) -> tuple[int, ...] | None:
    """Return the CPUs for a worker: one per thread, the same ones in every call.

    One CPU of each core is taken before the second of any, because the hardware
    threads of a core share its execution units.

    Parameters
    ----------
    threads
        Threads that one call may use, at least 1.
    root
        The folder that contains ``sys``.

    Returns
    -------
    tuple of int or None
        Sorted CPU numbers; all usable CPUs if there are fewer than threads; ``None``
        if a process cannot be pinned.
    """
    if not _CAN_PIN:
        return None
    ranked: list[tuple[int, int]] = []
    taken: dict[str, int] = {}
    for cpu in usable_cpus():
        core = _core(cpu, root)
        rank = taken.get(core, 0)
        taken[core] = rank + 1
        ranked.append((rank, cpu))
    chosen = sorted(ranked)[: max(1, threads)]
    return tuple(sorted(cpu for _, cpu in chosen))


def pin(cpus: Sequence[int]) -> None:
    """Restrict the calling thread, and those it starts from now on, to some CPUs.

    Does nothing if a process cannot be pinned.

    Raises
    ------
    OSError
        None of these CPUs may be used.
    """
    if _CAN_PIN:
        os.sched_setaffinity(0, cpus)


def move_to_common_cpu() -> None:
    """Move the calling thread to the last CPU that it may run on, without pinning it there.

    The scheduler leaves a thread on its CPU. Of two workers that have several CPUs,
    but whose calls need a single thread, each would be measured on a different CPU
    for many rounds. Measured with a call of 3 µs next to other load: if blocks begin
    on the same CPU, the ratio within a round has a standard deviation of 0.10 instead
    of 0.22, and consecutive rounds a correlation of -0.05 instead of 0.35. It is the
    last CPU because systems tend to handle device interrupts on the first.
    """
    if not _CAN_PIN:
        return
    cpus = os.sched_getaffinity(0)
    if len(cpus) > 1:
        # If the set is no longer allowed, only precision is lost.
        with suppress(OSError):
            os.sched_setaffinity(0, {max(cpus)})
            os.sched_setaffinity(0, cpus)


def thread_environment(threads: int) -> dict[str, str]:
    """Return environment variables that limit numeric libraries to a number of threads.

    Libraries read them when they are loaded, so set them before importing a runtime.
    """
    return {name: str(threads) for name in _THREAD_VARIABLES}


def observed_threads() -> dict[str, int]:
    """Count the threads of this process.

    Returns
    -------
    dict of str to int
        ``"process"``: the threads that exist now. For each thread pool known to
        threadpoolctl, by its library (``"openmp"``, ``"openblas"``, ``"mkl"``): the
        maximum number of threads.
    """
    import psutil  # slow to import, and needed once per run
    import threadpoolctl

    counts = {"process": int(psutil.Process().num_threads())}
    for pool in threadpoolctl.threadpool_info():
        name = str(pool["internal_api"])
        counts[name] = max(counts.get(name, 0), int(pool["num_threads"] or 0))
    return counts


def _period(fields: Sequence[str]) -> int | None:
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else None


def _core(cpu: int, root: Path) -> str:
    """Return a name for a CPU's core; CPUs of the same core have the same name."""
    siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    return "".join(read_fields(siblings)) or f"cpu {cpu}"
