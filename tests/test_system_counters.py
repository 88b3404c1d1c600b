"""Are the counters of the operating system read and summed correctly?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lexer_core.machine.system_counters import (
    Disturbance,
    SystemCounters,
    disturbance,
    read_counters,
)

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_steal_time_is_read_from_the_line_of_all_cpus(tmp_path: Path) -> None:
    write(tmp_path / "proc/stat", "cpu  100 1 50 1000 5 2 3 40 77 0\ncpu0 1 1 1 1 1 1 1 1 1 0\n")

    counters = read_counters(tmp_path)

    assert counters.steal_ticks == 40
    assert counters.total_ticks == 1201  # guest time is within user time


def test_the_time_that_the_thread_waited_for_a_cpu_is_read(tmp_path: Path) -> None:
    write(tmp_path / "proc/thread-self/schedstat", "900000 8300 12\n")

    assert read_counters(tmp_path).waited_ns == 8300


def test_throttling_counts_in_every_parent_group(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", "0::/pod/container\n")
    write(tmp_path / "sys/fs/cgroup/pod/container/cpu.stat", "usage_usec 5\nnr_throttled 3\n")
    write(tmp_path / "sys/fs/cgroup/pod/cpu.stat", "usage_usec 9\nnr_throttled 4\n")

    assert read_counters(tmp_path).throttled == 7


def test_missing_counters_are_none(tmp_path: Path) -> None:
    counters = read_counters(tmp_path)

    assert counters.steal_ticks is None
    assert counters.throttled is None
    assert counters.waited_ns is None


def test_only_differences_within_blocks_are_summed() -> None:
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

    total = disturbance(edges)

    assert total.steal_share == pytest.approx(3 / 200)
    assert total.throttled_share == 0.5
    assert total.involuntary_switches == 3
    assert total.major_faults is None


def test_the_share_of_waiting_is_that_of_the_time_of_the_blocks() -> None:
    edges = [
        (SystemCounters(waited_ns=0, at_ns=0), SystemCounters(waited_ns=30, at_ns=100)),
        (SystemCounters(waited_ns=900, at_ns=500), SystemCounters(waited_ns=960, at_ns=700)),
    ]

    assert disturbance(edges).cpu_wait_share == pytest.approx(0.3)


def test_without_blocks_there_are_no_shares() -> None:
    assert disturbance([]) == Disturbance(
        steal_share=None, throttled_share=None, involuntary_switches=None, major_faults=None
    )
