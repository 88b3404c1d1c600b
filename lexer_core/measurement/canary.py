"""How does the canary run beside the cases, and cost them nothing?

It has a worker of its own, like a case, and takes a short block in each round.
It counts for nothing: it never makes a run longer by more than a small share,
and whatever goes wrong with it costs the canary alone, and a note.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from lexer_core.errors import LexerError
from lexer_core.evidence import Canary
from lexer_core.measurement.affinity import thread_environment
from lexer_core.measurement.canary_session import CANARY_VERSION, CanarySession
from lexer_core.measurement.hosts import Host, LocalHost, start_worker
from lexer_core.measurement.layout import layout_environment

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.measurement.canary_session import CanaryFacts

__all__ = ["CanaryKeeper", "LiveCanary"]

_FACTORY = "lexer_core.measurement.canary_session:CanarySession"

_WARM_UP_SECONDS = 0.05
_BLOCK_SECONDS = 0.004
_FEWEST_CALLS = 3
_MOST_CALLS = 20

_ROUNDS_IN_FULL = 10
_LARGEST_SHARE = 0.05
"""Of the time of the rounds. Rounds of fast models last ten milliseconds, and
hundreds of them are taken: the canary then sits most of them out."""

_LOAD_TIMEOUT = 60.0
_BLOCK_TIMEOUT = 30.0


class CanaryKeeper:
    """The canary over all launches of a run.

    Parameters
    ----------
    isolated
        Whether it gets a worker, or lives in the caller's process.
    threads
        Threads of the cases: the worker runs on the same CPUs, in one thread.
    """

    def __init__(self, *, isolated: bool, threads: int) -> None:
        self._isolated = isolated
        self._threads = threads
        self._next: Host | None = None
        self._made_with = ""
        self._trouble = ""
        self._samples: list[npt.NDArray[np.float64]] = []
        self._rounds: list[int] = []
        self._launches: list[int] = []

    def start(self, launch: int = 0) -> None:
        """Start the worker of a launch, unless it is there; returns at once."""
        if self._trouble or self._next is not None:
            return
        try:
            self._next = self._start(launch)
        except (LexerError, OSError) as error:
            self.lose(str(error))

    def live(self, launch: int) -> LiveCanary | None:
        """Give the canary of a launch; ``None`` where there was trouble."""
        self.start(launch)
        host, self._next = self._next, None
        return None if host is None else LiveCanary(host, self, launch)

    def keep(self, launch: int, round_id: int, samples: npt.NDArray[np.float64]) -> None:
        """Keep one block."""
        self._samples.append(samples)
        self._rounds.append(round_id)
        self._launches.append(launch)

    def learn(self, facts: CanaryFacts) -> None:
        """Keep what the warm-up told."""
        self._made_with = facts.made_with

    def lose(self, reason: str) -> None:
        """Do without it from now on: launches with it and launches without do not compare."""
        self._trouble = self._trouble or reason.strip().splitlines()[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the report should know."""
        note = (
            f"the canary was lost ({self._trouble}): this run can be compared with another "
            "only by measuring both again"
        )
        return (note,) if self._trouble else ()

    def evidence(self) -> Canary | None:
        """Give what it measured; ``None`` where that is nothing, or where it was lost."""
        if self._trouble or not self._samples:
            return None
        samples = np.concatenate(self._samples)
        lengths = [len(block) for block in self._samples]
        launches = np.repeat(np.asarray(self._launches), lengths)
        return Canary(
            version=CANARY_VERSION,
            made_with=self._made_with,
            launch_medians=tuple(
                float(np.median(samples[launches == launch])) for launch in np.unique(launches)
            ),
            samples=samples,
            sample_rounds=np.repeat(np.asarray(self._rounds), lengths),
            sample_launches=launches,
        )

    def close(self) -> None:
        """End the worker that was started and not used."""
        if self._next is not None:
            self._next.close()
            self._next = None

    def _start(self, launch: int) -> Host:
        if not self._isolated:
            return LocalHost(CanarySession())
        return start_worker(
            _FACTORY,
            label="the canary",
            threads=self._threads,
            preload=("numpy",),
            environment={**layout_environment(launch), **thread_environment(1)},
        )


class LiveCanary:
    """One launch of the canary; no method of it fails but by Ctrl-C."""

    def __init__(self, host: Host, keeper: CanaryKeeper, launch: int) -> None:
        self._host = host
        self._keeper = keeper
        self._launch = launch
        self._count = 0
        """Calls of a block; 0 when it takes part no more."""
        self._spent = 0.0

    def warm_up(self) -> None:
        """Work until the worker is warm, and choose the size of blocks."""
        try:
            self._host.resume()
            facts: CanaryFacts = self._host.call(
                "warm_up", _WARM_UP_SECONDS, self._host.isolated, timeout=_LOAD_TIMEOUT
            )
            self._host.suspend()
        except LexerError as error:
            self._keeper.lose(error.message)
            return
        self._keeper.learn(facts)
        wanted = round(_BLOCK_SECONDS / max(facts.call_seconds, 1e-9))
        self._count = min(max(wanted, _FEWEST_CALLS), _MOST_CALLS)

    def takes_part(self, rounds: int, seconds: float) -> bool:
        """Whether it takes a block in the next round, after so many rounds and seconds."""
        if not self._count:
            return False
        return rounds < _ROUNDS_IN_FULL or self._spent <= _LARGEST_SHARE * seconds

    def take(self, round_id: int) -> None:
        """Take one block and keep it."""
        start = time.perf_counter()
        try:
            self._host.resume()
            samples = self._host.call(
                "block", self._count, self._host.isolated, timeout=_BLOCK_TIMEOUT
            )
            self._host.suspend()
        except LexerError as error:
            self._count = 0
            self._keeper.lose(error.message)
            return
        self._spent += time.perf_counter() - start
        self._keeper.keep(self._launch, round_id, samples)

    def close(self) -> None:
        """End the worker."""
        self._host.close()
