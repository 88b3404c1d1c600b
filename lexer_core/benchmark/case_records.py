"""What do the parent process and the process of a case tell each other?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.machine.system_counters import SystemCounters  # noqa: TC001
from lexer_core.records import (  # parts of replies' declared types
    Device,  # noqa: TC001
    DeviceUsage,  # noqa: TC001
    Placement,  # noqa: TC001
    SessionPhases,  # noqa: TC001
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from lexer_core.records import ExportedModel, SessionConfig

__all__ = ["Block", "CaseSpec", "CompletionCheck", "FinalFacts", "FirstCall", "LoadFacts"]


@frozen(kw_only=True, eq=False)
class CaseSpec:
    """What a process needs to load a case.

    ``model_file`` contains the live model of ``exported``, whose ``model`` is then
    ``None``.
    """

    engine: str
    device: str
    exported: ExportedModel
    config: SessionConfig
    model_file: Path | None = None


@frozen(kw_only=True)
class LoadFacts:
    """Results of loading; times in seconds.

    ``caveat`` is why the outputs may be wrong; empty if the engine knows no reason.
    ``uses_tf32``: products of float32 numbers are computed in TF32.
    """

    load_seconds: float
    phases: SessionPhases
    device: Device
    caveat: str = ""
    uses_tf32: bool = False


@frozen(kw_only=True, eq=False)
class FirstCall:
    """The first call: its time in seconds, its outputs, and notes for the row.

    ``renewed``: every further call gets new inputs, so it must be timed alone.
    """

    seconds: float
    outputs: Mapping[str, npt.NDArray[Any]]
    renewed: bool
    notes: tuple[str, ...]


@frozen(kw_only=True, eq=False)
class Block:
    """Consecutive samples of one session.

    ``samples`` is float64 in seconds per call; ``elapsed`` is the time of the whole
    block, measured by the core; ``before`` and ``after`` are the system counters at
    its start and end.
    """

    samples: npt.NDArray[np.float64]
    device_samples: npt.NDArray[np.float64] | None
    loops: int
    elapsed: float
    before: SystemCounters
    after: SystemCounters


@frozen(kw_only=True)
class CompletionCheck:
    """Whether the samples of a block account for its time, including the fetch; in seconds.

    ``sampled`` is the sum of the samples, ``elapsed`` the time in which they were
    taken without that of resets, and ``waited`` the time of another call until its
    outputs were available, without the cost of fetching them.
    """

    sampled: float
    elapsed: float
    waited: float
    calls: int

    @property
    def plausible(self) -> bool:
        """Whether the samples account for the elapsed time, no less and no more."""
        if self.sampled > 1.001 * self.elapsed + 1e-6:
            return False
        mean = self.sampled / self.calls
        unexplained = self.elapsed - self.sampled + max(0.0, self.waited - mean)
        # A loop costs well under 2 µs per call; a context switch may cost a millisecond.
        return unexplained <= 0.2 * self.sampled + 2e-6 * self.calls + 1e-3


@frozen(kw_only=True, eq=False)
class FinalFacts:
    """What is read after the last sample.

    ``inputs_changed``: calls after the first one changed the inputs of later calls.
    ``computed_precision``: what the session says that it computes in; empty if nothing.
    """

    outputs: Mapping[str, npt.NDArray[Any]]
    placement: Placement
    threads: Mapping[str, int]
    inputs_changed: bool
    usage: DeviceUsage
    computed_precision: str = ""
