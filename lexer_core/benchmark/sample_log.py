"""Where are the samples of a case kept during a run?

A million samples cost the parent little more than their eight bytes each:
rounds, launches and counters are kept per block.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.machine.system_counters import Disturbance, disturbance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.benchmark.case_records import Block
    from lexer_core.machine.system_counters import SystemCounters

__all__ = ["SampleLog"]


class SampleLog:
    """Samples of one case over all its rounds and launches, in order of taking."""

    def __init__(self) -> None:
        self.launch = 0
        self.loops = 1
        """Calls per sample, the most of any block."""
        self._samples = array("d")
        self._device_samples = array("d")
        self._lengths: list[int] = []
        self._seconds: list[float] = []
        self._rounds: list[int] = []
        self._launches: list[int] = []
        self._edges: list[tuple[SystemCounters, SystemCounters]] = []
        self._warm_ups: list[tuple[int, npt.NDArray[np.float64]]] = []

    def add_warm_up(self, latencies: npt.NDArray[np.float64]) -> None:
        """Keep calls made before the first sample of a launch, in seconds per call."""
        self._warm_ups.append((self.launch, latencies))

    def add(self, round_id: int, block: Block) -> None:
        """Keep a block."""
        self._samples.frombytes(np.ascontiguousarray(block.samples).tobytes())
        if block.device_samples is not None:
            self._device_samples.frombytes(np.ascontiguousarray(block.device_samples).tobytes())
        self._lengths.append(len(block.samples))
        self._seconds.append(float(block.samples.sum()) * block.loops)
        self._rounds.append(round_id)
        self._launches.append(self.launch)
        self._edges.append((block.before, block.after))
        self.loops = max(self.loops, block.loops)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def move_to_warm_up(self, before_round: int) -> None:
        """Count the current launch's samples before a round as warm-up, not as samples."""
        first = next(
            (at for at, launch in enumerate(self._launches) if launch == self.launch),
            len(self._launches),
        )
        last = first
        while last < len(self._rounds) and self._rounds[last] < before_round:
            last += 1
        start, end = sum(self._lengths[:first]), sum(self._lengths[:last])
        if start == end:
            return
        self.add_warm_up(self.samples[start:end].copy())
        has_device_times = self.device_samples is not None
        del self._samples[start:end]
        if has_device_times:
            del self._device_samples[start:end]
        for per_block in (
            self._lengths,
            self._seconds,
            self._rounds,
            self._launches,
            self._edges,
        ):
            del per_block[first:last]

    @property
    def block_lengths(self) -> npt.NDArray[np.signedinteger[Any]]:
        """The number of samples of each block, integers of shape ``(blocks,)``."""
        return np.asarray(self._lengths, dtype=np.int64)

    @property
    def samples(self) -> npt.NDArray[np.float64]:
        """All samples in seconds per call, float64 of shape ``(n,)``; a view."""
        return np.frombuffer(self._samples, dtype=np.float64)

    @property
    def seconds(self) -> float:
        """The total time of all calls in the samples."""
        return math.fsum(self._seconds)

    @property
    def device_samples(self) -> npt.NDArray[np.float64] | None:
        """The device's own times, if it returned one for every sample."""
        if not self._samples or len(self._device_samples) != len(self._samples):
            return None
        return np.frombuffer(self._device_samples, dtype=np.float64)

    @property
    def rounds(self) -> npt.NDArray[np.signedinteger[Any]]:
        """The round of each sample, unique over launches, integers of shape ``(n,)``."""
        return self._of_each_sample(self._rounds)

    @property
    def launches(self) -> npt.NDArray[np.signedinteger[Any]]:
        """The launch of each sample, integers of shape ``(n,)``."""
        return self._of_each_sample(self._launches)

    @property
    def warm_up_samples(self) -> npt.NDArray[np.float64] | None:
        """Warm-up latencies of all launches, float64 of shape ``(m,)``, if there were any."""
        if not self._warm_ups:
            return None
        return np.concatenate([latencies for _, latencies in self._warm_ups])

    @property
    def warm_up_launches(self) -> npt.NDArray[np.signedinteger[Any]] | None:
        """The launch of each warm-up call, integers of shape ``(m,)``."""
        if not self._warm_ups:
            return None
        launches, latencies = zip(*self._warm_ups, strict=True)
        return _repeated(launches, [each.size for each in latencies])

    def _of_each_sample(self, numbers: list[int]) -> npt.NDArray[np.signedinteger[Any]]:
        """Repeat a block's number for each of its samples."""
        return _repeated(numbers, self._lengths)

    @property
    def disturbance(self) -> Disturbance:
        """What disturbed the blocks."""
        return disturbance(self._edges)


def _repeated(numbers: Sequence[int], lengths: Sequence[int]) -> npt.NDArray[np.signedinteger[Any]]:
    """Repeat each number, in the smallest type that can hold all of them."""
    smallest = np.result_type(np.int8, np.min_scalar_type(-1 - max(numbers, default=0)))
    array: npt.NDArray[np.signedinteger[Any]] = np.repeat(
        np.asarray(numbers, dtype=smallest), lengths
    )
    return array
