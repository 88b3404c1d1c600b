"""On which CPUs, and with how many threads, may a case run?

Every worker gets the same CPUs, as many as it has threads: workers that take
turns on different cores of a virtual machine differ by what the cores differ,
and that is not the engines' doing.

Pinning exists on Linux only. Elsewhere :func:`cpu_set` returns ``None``, and
workers run wherever the system puts them.
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
    """List the numbers of the CPUs that this process may run on, in order."""
    if _CAN_PIN:
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """How much CPU time the control groups allow, in CPUs.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.

    Returns
    -------
    float or None
        ``1.5`` means one and a half CPUs' time; ``None`` means no limit.
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
    """How many threads can run at once: usable CPUs, and no more than the quota.

    A quota's fraction is left out, as a thread beyond it would be throttled.
    """
    quota = cpu_quota(root)
    cpus = len(usable_cpus())
    return cpus if quota is None else max(1, min(cpus, math.floor(quota)))


def cpu_set(threads: int, root: Path = Path("/")) -> tuple[int, ...] | None:
    """Choose the CPUs for a worker: as many as threads, the same in every call.

    One CPU of each core comes before the second of any: hardware threads of
    one core share its units.

    Parameters
    ----------
    threads
        Threads that one call may use, at least 1.
    root
        Where ``sys`` is.

    Returns
    -------
    tuple of int or None
        CPU numbers in order; all usable ones where there are fewer than
        threads; ``None`` where a process cannot be pinned.
    """
    if not _CAN_PIN:
        return None
    places: list[tuple[int, int]] = []
    taken: dict[str, int] = {}
    for cpu in usable_cpus():
        core = _core(cpu, root)
        place = taken.get(core, 0)
        taken[core] = place + 1
        places.append((place, cpu))
    chosen = sorted(places)[: max(1, threads)]
    return tuple(sorted(cpu for _, cpu in chosen))


def pin(cpus: Sequence[int]) -> tuple[int, ...] | None:
    """Keep the calling thread, and those that it starts from now on, to some CPUs.

    Returns
    -------
    tuple of int or None
        The CPUs that it may now run on; ``None`` where pinning does not exist.

    Raises
    ------
    OSError
        None of these CPUs may be used.
    """
    if not _CAN_PIN:
        return None
    os.sched_setaffinity(0, cpus)
    return usable_cpus()


def move_to_common_cpu() -> None:
    """Move the calling thread to the last CPU that it may run on, and let it go from there.

    Cases of several threads may run on several CPUs, and the scheduler leaves a
    thread where it is: two workers whose calls need a single thread would be
    measured on a CPU each for many rounds on end. Measured with a call of 3 µs
    beside other load, the ratio of a round spreads by 0.10 in place of 0.22
    when blocks begin on the same CPU, and neighbouring rounds correlate by
    -0.05 in place of 0.35. It is the last because systems tend to serve their
    devices on the first.
    """
    if not _CAN_PIN:
        return
    cpus = os.sched_getaffinity(0)
    if len(cpus) > 1:
        # A set that is no longer allowed costs precision, and nothing else.
        with suppress(OSError):
            os.sched_setaffinity(0, {max(cpus)})
            os.sched_setaffinity(0, cpus)


def thread_environment(threads: int) -> dict[str, str]:
    """Environment variables that hold numeric libraries to a number of threads.

    They are read when a library is loaded: set them before the runtime is
    imported.
    """
    return {name: str(threads) for name in _THREAD_VARIABLES}


def observed_threads() -> dict[str, int]:
    """Count the threads that there really are in this process.

    Returns
    -------
    dict of str to int
        ``"process"``: threads that exist now; and for each thread pool that
        can be asked, by its library (``"openmp"``, ``"openblas"``, ``"mkl"``),
        the most that it may use.
    """
    import psutil  # asked once per run, and slow to import
    import threadpoolctl

    counts = {"process": int(psutil.Process().num_threads())}
    for pool in threadpoolctl.threadpool_info():
        name = str(pool["internal_api"])
        counts[name] = max(counts.get(name, 0), int(pool["num_threads"] or 0))
    return counts


def _period(fields: Sequence[str]) -> int | None:
    return int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else None


def _core(cpu: int, root: Path) -> str:
    """Name the core that a CPU belongs to; CPUs that share it have the same name."""
    siblings = root / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"
    return "".join(read_fields(siblings)) or f"cpu {cpu}"
