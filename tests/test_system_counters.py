"""SystemCounters of the machine, read from sample files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lexer_core.machine.system_counters import SystemCounters, disturbance, read_counters

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_steal_is_read_from_the_line_of_all_cpus(tmp_path: Path) -> None:
    write(tmp_path / "proc/stat", "cpu  100 1 50 1000 5 2 3 40 77 0\ncpu0 1 1 1 1 1 1 1 1 1 0\n")

    counters = read_counters(tmp_path)

    assert counters.steal_ticks == 40
    assert counters.total_ticks == 1201  # guest time is within user time


def test_throttling_of_every_group_above_counts(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/pod/container\n")
    write(tmp_path / "sys/fs/cgroup/pod/container/cpu.stat", "usage_usec 5\nnr_throttled 3\n")
    write(tmp_path / "sys/fs/cgroup/pod/cpu.stat", "usage_usec 9\nnr_throttled 4\n")

    assert read_counters(tmp_path).throttled == 7


def test_what_is_not_there_is_not_counted(tmp_path: Path) -> None:
    counters = read_counters(tmp_path)

    assert counters.steal_ticks is None
    assert counters.throttled is None


def test_only_what_happened_within_blocks_is_summed() -> None:
    edges = [
        (
            SystemCounters(steal_ticks=10, total_ticks=1000, throttled=0, involuntary_switches=5),
            SystemCounters(steal_ticks=12, total_ticks=1100, throttled=1, involuntary_switches=6),
        ),
        (
            SystemCounters(steal_ticks=90, total_ticks=5000, throttled=9, involuntary_switches=50),
            SystemCounters(steal_ticks=91, total_ticks=5100, throttled=9, involuntary_switches=52),
        ),
    ]

    found = disturbance(edges)

    assert found.steal_share == pytest.approx(3 / 200)
    assert found.throttled_share == 0.5
    assert found.involuntary_switches == 3
    assert found.major_faults is None


def test_without_blocks_nothing_is_said() -> None:
    assert disturbance([]).steal_share is None
