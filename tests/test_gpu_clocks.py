"""Are the limits of a GPU's clocks counted? With a stand-in for NVIDIA's management library."""

from __future__ import annotations

from lexer_core.machine.gpu_clocks import GpuLimits, LimitReader, read_gpu_limits
from lexer_core.machine.system_counters import SystemCounters, disturbance, read_counters

POWER, HEAT = 0, 1


class Counting:
    """A GPU that counts for how long its clocks were limited."""

    def __init__(self, times: dict[int, int], reasons: int | None = None) -> None:
        self.times = times
        self.reasons = reasons

    def violation_nanoseconds(self, policy: int) -> int | None:
        return self.times.get(policy)

    def clock_reasons(self) -> int | None:
        return self.reasons


def test_times_under_a_limit_are_read_by_cause() -> None:
    reader = LimitReader(Counting({POWER: 5, HEAT: 7}, reasons=0x20))

    assert reader.read() == GpuLimits(power=5, heat=7)


def test_without_counters_the_reads_that_found_a_limit_are_counted() -> None:
    gpu = Counting({}, reasons=0x04)
    reader = LimitReader(gpu)
    first = reader.read()
    gpu.reasons = 0x40
    second = reader.read()
    gpu.reasons = 0x01  # idle

    assert (first, second) == (GpuLimits(power=1, heat=0), GpuLimits(power=1, heat=1))
    assert reader.read() == second


def test_a_gpu_that_tells_nothing_is_unknown() -> None:
    assert LimitReader(Counting({})).read() == GpuLimits()


def test_without_a_driver_or_such_a_gpu_nothing_is_known() -> None:
    assert read_gpu_limits("GPU-00000000-0000-0000-0000-000000000000") == GpuLimits()
    counters = read_counters(gpu="GPU-00000000-0000-0000-0000-000000000000")
    assert (counters.gpu_power, counters.gpu_heat) == (None, None)


def test_the_share_of_blocks_under_a_limit_is_told_by_cause() -> None:
    edges = [
        (SystemCounters(gpu_power=0, gpu_heat=3), SystemCounters(gpu_power=9, gpu_heat=3)),
        (SystemCounters(gpu_power=20, gpu_heat=3), SystemCounters(gpu_power=20, gpu_heat=3)),
    ]

    total = disturbance(edges)

    assert (total.gpu_power_share, total.gpu_heat_share) == (0.5, 0.0)
