"""Where are the samples of a case kept while it runs?

A million samples cost the parent little more than their eight bytes each:
rounds, launches and counters are kept per block.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.machine.system_counters import Disturbance, disturbance

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.benchmark.case_session import Block
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
        self._rounds: list[int] = []
        self._launches: list[int] = []
        self._edges: list[tuple[SystemCounters, SystemCounters]] = []
        self._warm_ups: list[tuple[int, npt.NDArray[np.float64]]] = []

    def add_warm_up(self, latencies: npt.NDArray[np.float64]) -> None:
        """Keep what was dropped before the first sample of a launch, seconds per call."""
        self._warm_ups.append((self.launch, latencies))

    def add(self, round_id: int, block: Block) -> None:
        """Keep a block."""
        self._samples.frombytes(np.ascontiguousarray(block.samples).tobytes())
        if block.device_samples is not None:
            self._device_samples.frombytes(np.ascontiguousarray(block.device_samples).tobytes())
        self._lengths.append(len(block.samples))
        self._rounds.append(round_id)
        self._launches.append(self.launch)
        self._edges.append((block.before, block.after))
        self.loops = max(self.loops, block.loops)

    def __len__(self) -> int:
        """Count the samples."""
        return len(self._samples)

    @property
    def samples(self) -> npt.NDArray[np.float64]:
        """All samples, seconds per call, float64 of shape ``(n,)``; a view."""
        return np.frombuffer(self._samples, dtype=np.float64)

    @property
    def device_samples(self) -> npt.NDArray[np.float64] | None:
        """The device's own times, where it has given one for every sample."""
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
        """What the warm-ups of all launches took, float64 of shape ``(m,)``; if there was one."""
        if not self._warm_ups:
            return None
        return np.concatenate([latencies for _, latencies in self._warm_ups])

    @property
    def warm_up_launches(self) -> npt.NDArray[np.signedinteger[Any]] | None:
        """The launch of each of these, integers of shape ``(m,)``."""
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
    """Repeat each number so often, in the smallest type that holds all of them."""
    smallest = np.result_type(np.int8, np.min_scalar_type(-1 - max(numbers, default=0)))
    array: npt.NDArray[np.signedinteger[Any]] = np.repeat(
        np.asarray(numbers, dtype=smallest), lengths
    )
    return array
