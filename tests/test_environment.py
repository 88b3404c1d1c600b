"""Are the machine and the Python environment described correctly?"""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from lexer_core import __version__
from lexer_core.build_report import environment_with
from lexer_core.engines.states import EngineListing, EngineState
from lexer_core.machine.environment import (
    cpu_model,
    gpu_driver,
    gpus,
    memory_limit_bytes,
    package_versions,
    read_environment,
    usable_cores,
    virtualised,
)


def _files(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_this_machine_is_described():
    environment = read_environment()

    assert environment.lexer_version == __version__
    assert environment.python.startswith(platform.python_version())
    assert environment.cores_logical >= 1
    assert 0 < environment.cores_usable <= environment.cores_logical
    assert environment.memory_bytes > 2**20
    assert environment.packages["numpy"]


def test_versions_of_engines_and_their_distributions_are_listed():
    ready = EngineListing(
        name="mine",
        display_name="Mine",
        state=EngineState.READY,
        distribution="pytest 1",
        version="3.2.1",
        runtime_distribution="pluggy",
    )
    absent = EngineListing(
        name="other", display_name="Other", state=EngineState.UNAVAILABLE, distribution="other 1"
    )

    environment = environment_with([ready, absent])

    assert environment.engines == {"Mine": "3.2.1"}
    assert {"pytest", "pluggy"} <= set(environment.packages)


def test_two_engines_with_the_same_display_name_are_both_listed():
    listings = [
        EngineListing(
            name=name,
            display_name="Torch",
            state=EngineState.READY,
            distribution="a 1",
            version=version,
        )
        for name, version in (("torch", "1"), ("torch-next", "2"))
    ]

    assert environment_with(listings).engines == {"Torch": "1", "torch-next": "2"}


@pytest.mark.parametrize(
    ("cpuinfo", "model"),
    [
        ("processor\t: 0\nmodel name\t: AMD  EPYC 7763 \nmodel name\t: other\n", "AMD EPYC 7763"),
        ("processor\t: 0\nHardware\t: BCM2835\n", "BCM2835"),
    ],
)
def test_the_processor_has_its_model_name(tmp_path, cpuinfo, model):
    assert cpu_model(_files(tmp_path, {"proc/cpuinfo": cpuinfo})) == model


def test_without_cpuinfo_the_processor_is_the_platforms(tmp_path, monkeypatch):
    monkeypatch.setattr(platform, "processor", lambda: "arm")

    assert cpu_model(tmp_path) == "arm"


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        (
            {
                "proc/self/cgroup": "0::/pod/box\n",
                "sys/fs/cgroup/pod/box/memory.max": "max\n",
                "sys/fs/cgroup/pod/memory.max": "1073741824\n",
            },
            2**30,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/box\n",
                "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "536870912\n",
            },
            2**29,
        ),
        (
            {
                "proc/self/cgroup": "5:memory:/\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            },
            None,
        ),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "nonsense\n"}, None),
        ({}, None),
    ],
)
def test_the_memory_limit_is_read_from_both_versions_of_cgroups(tmp_path, files, limit):
    assert memory_limit_bytes(_files(tmp_path, files)) == limit


def test_a_quota_limits_the_usable_cores(tmp_path):
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"}

    assert usable_cores(_files(tmp_path, files)) == 0.5


def test_without_a_quota_the_affinity_counts(tmp_path):
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}

    assert usable_cores(_files(tmp_path, files)) == usable_cores(tmp_path)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({".dockerenv": ""}, "container"),
        ({"proc/cpuinfo": "flags\t: fpu sse2\n"}, "no"),
        (
            {"proc/cpuinfo": "flags\t: fpu hypervisor\n", "sys/class/dmi/id/sys_vendor": "QEMU\n"},
            "QEMU",
        ),
        ({"proc/cpuinfo": "flags\t: fpu hypervisor\n"}, "virtual machine"),
        ({"sys/hypervisor/type": "xen\n"}, "xen"),
        ({}, ""),
    ],
)
def test_containers_and_virtual_machines_are_detected(tmp_path, files, expected):
    assert virtualised(_files(tmp_path, files)) == expected


def test_packages_that_are_not_installed_are_left_out():
    assert list(package_versions(["numpy", "no-such-package", "numpy"])) == ["numpy"]


def test_describing_a_machine_imports_no_runtime():
    code = (
        "import sys; from lexer_core.machine.environment import read_environment; "
        "read_environment();"
        "sys.exit(bool({'torch', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )

    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


def test_nvidia_gpus_and_their_driver_are_read_without_a_runtime(tmp_path):
    root = _files(
        tmp_path,
        {
            "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA A100\nIRQ: 7\n",
            "proc/driver/nvidia/gpus/0000:02:00.0/information": "Model: \t NVIDIA A10\n",
            "proc/driver/nvidia/version": (
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 2024\n"
                "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n"
            ),
        },
    )

    assert gpus(root) == ("NVIDIA A100", "NVIDIA A10")
    assert gpu_driver(root) == "550.54.15"
    assert (gpus(tmp_path / "none"), gpu_driver(tmp_path / "none")) == ((), "")
