"""What else did the machine do during the measurement?

Counters of the operating system, read before and after every block. A counter that
does not exist (outside Linux, or in a container without cgroup files) is ``None``,
and is not reported.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.machine.cgroups import group_folders
from lexer_core.machine.gpu_clocks import GpuLimits, read_gpu_limits

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Disturbance", "SystemCounters", "disturbance", "preemptions", "read_counters"]


@frozen(kw_only=True)
class SystemCounters:
    """Counters at one moment; only differences are meaningful.

    ``steal_ticks`` and ``total_ticks`` are summed over all CPUs. ``throttled`` is the
    number of periods in which the cgroup was throttled. ``involuntary_switches`` and
    ``major_faults`` are those of this process. ``gpu_power`` and ``gpu_heat`` grow while
    power or heat limits the clocks of the GPU. ``waited_ns`` is how long this thread has
    waited for a CPU although it could run, and ``at_ns`` the time of the reading.
    """

    steal_ticks: int | None = None
    total_ticks: int | None = None
    throttled: int | None = None
    involuntary_switches: int | None = None
    major_faults: int | None = None
    gpu_power: int | None = None
    gpu_heat: int | None = None
    waited_ns: int | None = None
    at_ns: int | None = None


@frozen(kw_only=True)
class Disturbance:
    """What disturbed a case, summed over its blocks.

    ``steal_share`` is the share of CPU time that the hypervisor took,
    ``throttled_share`` the share of blocks in which the cgroup was throttled.
    ``gpu_power_share`` and ``gpu_heat_share`` are the shares of blocks in which power or
    heat limited the clocks of the GPU. ``cpu_wait_share`` is the share of its time in which
    the calling thread waited for a CPU that other threads used.
    """

    steal_share: float | None
    throttled_share: float | None
    involuntary_switches: int | None
    major_faults: int | None
    gpu_power_share: float | None = None
    gpu_heat_share: float | None = None
    cpu_wait_share: float | None = None


def read_counters(root: Path = Path("/"), *, gpu: str = "") -> SystemCounters:
    """Read the counters, which takes some tens of microseconds.

    Parameters
    ----------
    root
        The folder that contains ``proc`` and ``sys``.
    gpu
        UUID of the GPU whose counters are read, too; empty for none.
    """
    steal, total = _cpu_ticks(root / "proc/stat")
    switches, faults = _process_usage()
    limits = read_gpu_limits(gpu) if gpu else GpuLimits()
    return SystemCounters(
        steal_ticks=steal,
        total_ticks=total,
        throttled=_throttled(_throttling_files(root)),
        involuntary_switches=switches,
        major_faults=faults,
        gpu_power=limits.power,
        gpu_heat=limits.heat,
        waited_ns=_waited_ns(root / "proc/thread-self/schedstat"),
        at_ns=time.perf_counter_ns(),
    )


def disturbance(edges: Sequence[tuple[SystemCounters, SystemCounters]]) -> Disturbance:
    """Sum the differences of the counters over all blocks.

    Parameters
    ----------
    edges
        The counters before and after each block.
    """
    ticks = _sum((after.total_ticks, before.total_ticks) for before, after in edges)
    steal = _sum((after.steal_ticks, before.steal_ticks) for before, after in edges)
    waited = _sum((after.waited_ns, before.waited_ns) for before, after in edges)
    elapsed = _sum((after.at_ns, before.at_ns) for before, after in edges)
    return Disturbance(
        steal_share=steal / ticks if steal is not None and ticks else None,
        throttled_share=_growing((before.throttled, after.throttled) for before, after in edges),
        involuntary_switches=_sum(
            (after.involuntary_switches, before.involuntary_switches) for before, after in edges
        ),
        major_faults=_sum((after.major_faults, before.major_faults) for before, after in edges),
        gpu_power_share=_growing((before.gpu_power, after.gpu_power) for before, after in edges),
        gpu_heat_share=_growing((before.gpu_heat, after.gpu_heat) for before, after in edges),
        cpu_wait_share=waited / elapsed if waited is not None and elapsed else None,
    )


def _growing(pairs: Iterable[tuple[int | None, int | None]]) -> float | None:
    """Return the share of blocks in which a counter grew; ``None`` if it is unknown in all."""
    grew = [after > before for before, after in pairs if before is not None and after is not None]
    return sum(grew) / len(grew) if grew else None


def _sum(pairs: Iterable[tuple[int | None, int | None]]) -> int | None:
    differences = [
        after - before for after, before in pairs if after is not None and before is not None
    ]
    return sum(differences) if differences else None


def _cpu_ticks(stat: Path) -> tuple[int | None, int | None]:
    try:
        with stat.open() as lines:
            fields = lines.readline().split()
        # user nice system idle iowait irq softirq steal; guest is within user
        ticks = [int(value) for value in fields[1:9]]
    except (OSError, ValueError):
        return None, None
    return (ticks[7], sum(ticks)) if len(ticks) > 7 else (None, None)  # noqa: PLR2004


def _waited_ns(schedstat: Path) -> int | None:
    """Return the second number: time on a CPU, time waiting for one, number of time slices."""
    try:
        return int(schedstat.read_text().split()[1])
    except (OSError, ValueError, IndexError):  # not on Linux, or a kernel that does not count it
        return None


def _process_usage() -> tuple[int | None, int | None]:
    try:
        import resource
    except ImportError:  # not on Windows
        return None, None
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_nivcsw, usage.ru_majflt


def preemptions() -> int:
    """Return how often this process lost a CPU while it had work; 0 where none are counted."""
    switches, _ = _process_usage()
    return switches or 0


@cache
def _throttling_files(root: Path) -> tuple[Path, ...]:
    """Return the files in which this process's control groups count throttling.

    All groups count: a group is throttled if any above it runs out of quota.
    """
    files = (folder / "cpu.stat" for _, folder in group_folders("cpu", root))
    return tuple(file for file in files if file.exists())


def _throttled(files: Iterable[Path]) -> int | None:
    counts = [
        int(value)
        for file in files
        for name, value in _named_values(file)
        if name == "nr_throttled" and value.isdigit()
    ]
    return sum(counts) if counts else None


def _named_values(file: Path) -> list[tuple[str, str]]:
    """Return the pairs of lines ``name value``; none if the file is gone."""
    try:
        lines = file.read_text().splitlines()
    except OSError:  # the group was removed
        return []
    return [(name, value) for name, _, value in (line.partition(" ") for line in lines)]
