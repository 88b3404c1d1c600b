"""Are CPUs, threads and memory limits determined correctly?"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lexer_core.machine.affinity import (
    cpu_quota,
    cpu_set,
    move_to_common_cpu,
    observed_threads,
    pin,
    thread_environment,
    usable_cpus,
    usable_threads,
)
from lexer_core.machine.memory import (
    available_memory_bytes,
    oom_kills,
    peak_memory_bytes,
    private_memory_bytes,
)

linux = pytest.mark.skipif(sys.platform != "linux", reason="tests Linux features")


@pytest.fixture
def machine(tmp_path):
    """Write files of a machine, by their path below its root."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


@pytest.fixture
def cpus(monkeypatch):
    """Set the CPUs that the process may run on."""

    def set_cpus(*numbers):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(numbers), raising=False)

    return set_cpus


def siblings(**cores):
    return {
        f"sys/devices/system/cpu/{cpu}/topology/thread_siblings_list": text + "\n"
        for cpu, text in cores.items()
    }


# Quotas


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({}, None, id="no control groups"),
        pytest.param({"proc/self/cgroup": "0::/\n"}, None, id="no limit in the root group"),
        pytest.param(
            {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"},
            1.5,
            id="version 2, in a container",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n"},
            None,
            id="version 2, unlimited",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/cpu.max": "200000 100000\n",
                "sys/fs/cgroup/a/b/cpu.max": "300000 100000\n",
            },
            2.0,
            id="version 2, the parent group allows less",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "0::/docker/0123\n",
                "sys/fs/cgroup/cpu.max": "50000 100000\n",
            },
            0.5,
            id="version 2, the group's path does not exist",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/job\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            id="version 1",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "1:cpu:/\n0::/\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
            id="version 1, unlimited",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/\nnonsense\n", "sys/fs/cgroup/cpu.max": "many\n"},
            None,
            id="invalid files",
        ),
    ],
)
def test_the_quota_is_the_smallest_of_all_control_groups(machine, files, quota):
    assert cpu_quota(machine(files)) == quota


@linux
@pytest.mark.parametrize(
    ("limit", "threads"),
    [("max 100000", 4), ("800000 100000", 4), ("250000 100000", 2), ("50000 100000", 1)],
)
def test_threads_are_the_usable_cpus_and_at_most_the_quota(machine, cpus, limit, threads):
    cpus(2, 3, 6, 7)
    root = machine({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": limit})

    assert usable_threads(root) == threads


def test_this_machine_has_at_least_one_cpu_and_thread():
    assert usable_cpus()
    assert 1 <= usable_threads() <= len(usable_cpus())


# CPU sets


@linux
def test_a_cpu_set_has_one_cpu_per_thread_and_is_always_the_same(machine, cpus):
    cpus(5, 1, 4, 0)
    root = machine({})

    assert cpu_set(2, root) == (0, 1)
    assert cpu_set(2, root) == cpu_set(2, root)
    assert cpu_set(4, root) == cpu_set(9, root) == (0, 1, 4, 5)
    assert cpu_set(0, root) == (0,)


@linux
def test_separate_cores_are_used_before_hardware_threads_of_the_same_core(machine, cpus):
    cpus(0, 1, 2, 3)
    root = machine(siblings(cpu0="0-1", cpu1="0-1", cpu2="2-3", cpu3="2-3"))

    assert cpu_set(1, root) == (0,)
    assert cpu_set(2, root) == (0, 2)
    assert cpu_set(3, root) == (0, 1, 2)


def test_without_pinning_there_is_no_cpu_set(monkeypatch):
    monkeypatch.setattr("lexer_core.machine.affinity._CAN_PIN", False)

    pin([100_000])  # would raise an OSError if it tried

    assert cpu_set(1) is None
    assert usable_cpus() == tuple(range(os.cpu_count()))


@linux
def test_a_pinned_process_runs_on_the_given_cpus():
    cpu = usable_cpus()[-1]
    code = f"""
import os
from lexer_core.machine.affinity import pin
pin([{cpu}])
print(os.sched_getaffinity(0))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )

    assert done.stdout == f"{{{cpu}}}\n"


# Threads


@linux
@pytest.mark.skipif(len(usable_cpus()) < 2, reason="needs two CPUs")
def test_blocks_begin_on_the_last_cpu_and_are_not_pinned_to_it():
    def cpu():
        stat = Path("/proc/thread-self/stat").read_text()
        return int(stat.rpartition(")")[2].split()[36])

    before = usable_cpus()

    def times_on_the_last(tries=40):
        count = 0
        for index in range(tries):
            os.sched_setaffinity(0, {before[index % 2]})
            os.sched_setaffinity(0, before)
            move_to_common_cpu()
            count += cpu() == before[-1]
        return count

    # The system may move the thread at once, but seldom does; by chance it would be half.
    assert any(times_on_the_last() > 30 for _ in range(5))
    assert usable_cpus() == before


def test_the_environment_limits_the_threads_of_libraries():
    code = """
import numpy
from lexer_core.machine.affinity import observed_threads
print(observed_threads())
"""
    environment = thread_environment(1)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    counts = eval(done.stdout)

    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "1"
    assert counts.pop("process") >= 1
    assert set(counts.values()) <= {1}


def test_observed_threads_counts_the_running_threads():
    import threading

    before = observed_threads()["process"]
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert observed_threads()["process"] == before + 3
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# Memory


@pytest.mark.parametrize(
    ("files", "available"),
    [
        pytest.param(
            {
                "proc/self/cgroup": "0::/job\n",
                "sys/fs/cgroup/job/memory.max": "50000000\n",
                "sys/fs/cgroup/job/memory.current": "30000000\n",
                "sys/fs/cgroup/job/memory.stat": "anon 1\ninactive_file 5000000\n",
            },
            25_000_000,
            id="version 2",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "4:memory:/job\n",
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes": "50000000\n",
                "sys/fs/cgroup/memory/job/memory.usage_in_bytes": "60000000\n",
            },
            0,
            id="version 1, used up",
        ),
    ],
)
def test_available_memory_is_the_rest_of_the_control_groups_limit(machine, files, available):
    assert available_memory_bytes(machine(files)) == available


def test_without_a_limit_available_memory_is_the_machines(machine):
    unlimited = machine(
        {
            "proc/self/cgroup": "4:memory:/\n0::/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "sys/fs/cgroup/memory.current": "1\n",
        }
    )

    assert available_memory_bytes(unlimited) > 1_000_000


def test_the_memory_of_this_process_is_read():
    assert 1_000_000 < private_memory_bytes() <= peak_memory_bytes()


@linux
def test_the_memory_of_another_process_is_read_until_it_ends():
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert peak_memory_bytes(other.pid) > 0
        assert private_memory_bytes(other.pid) > 0
    finally:
        other.communicate(b"\n")
    assert peak_memory_bytes(other.pid) is None
    assert private_memory_bytes(other.pid) is None


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"proc/vmstat": "nr_free_pages 5812\noom_kill 3\nunevictable_pgs_culled 7\n"}, 3),
        ({"proc/vmstat": "nr_free_pages 5812\n"}, None),
        ({}, None),
    ],
    ids=["counted", "old kernel", "no file"],
)
def test_processes_killed_for_lack_of_memory_are_counted(machine, files, count):
    assert oom_kills(machine(files)) == count


@linux
def test_this_kernels_count_of_killed_processes_is_read():
    before = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    if before is None:
        pytest.skip("this kernel does not count them")

    assert oom_kills() >= int(before[1])
