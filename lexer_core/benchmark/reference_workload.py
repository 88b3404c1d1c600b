"""How does the reference workload run next to the cases without affecting them?

It has its own worker, like a case, and takes a short block in each round. Its share
of the run's time is limited, and if it fails, the run continues with a note.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from lexer_core.benchmark.plausible import call_plausibly, samples_problem, workload_problem
from lexer_core.benchmark.reference_workload_session import (
    REFERENCE_WORKLOAD_VERSION,
    ReferenceWorkloadSession,
)
from lexer_core.errors import LexerError
from lexer_core.machine.affinity import thread_environment
from lexer_core.machine.aslr import hash_seed_environment
from lexer_core.results.result_records import ReferenceWorkloadTimes
from lexer_core.worker.executor import Executor, LocalExecutor, start_worker

if TYPE_CHECKING:
    import numpy.typing as npt

    from lexer_core.benchmark.reference_workload_session import ReferenceWorkloadFacts

__all__ = ["ReferenceWorkload", "ReferenceWorkloadLaunch"]

_FACTORY = "lexer_core.benchmark.reference_workload_session:ReferenceWorkloadSession"
_LABEL = "the reference workload"

_WARM_UP_SECONDS = 0.05
_BLOCK_SECONDS = 0.004
_FEWEST_CALLS = 3
_MOST_CALLS = 20

_ROUNDS_IN_FULL = 10
_LARGEST_SHARE = 0.05
"""Share of the time of the rounds. With a fast model, hundreds of rounds take ten
milliseconds each, and the workload takes part in few of them."""

_LOAD_TIMEOUT = 60.0
_BLOCK_TIMEOUT = 30.0


class ReferenceWorkload:
    """The reference workload in all launches of a run.

    Parameters
    ----------
    isolated
        Whether it runs in a worker, or in the parent process.
    threads
        Threads of the cases: the worker runs on the same CPUs, in one thread.
    """

    def __init__(self, *, isolated: bool, threads: int) -> None:
        self._isolated = isolated
        self._threads = threads
        self._next: Executor | None = None
        self._made_with = ""
        self._failure = ""
        self._samples: list[npt.NDArray[np.float64]] = []
        self._rounds: list[int] = []
        self._launches: list[int] = []

    def start(self, launch: int = 0) -> None:
        """Start the worker of a launch if it has not started; return at once."""
        if self._failure or self._next is not None:
            return
        try:
            self._next = self._start(launch)
        except (LexerError, OSError) as error:
            self.lose(str(error))

    def live(self, launch: int) -> ReferenceWorkloadLaunch | None:
        """Return the workload of a launch; ``None`` after a failure."""
        self.start(launch)
        executor, self._next = self._next, None
        return None if executor is None else ReferenceWorkloadLaunch(executor, self, launch)

    def keep(self, launch: int, round_id: int, samples: npt.NDArray[np.float64]) -> None:
        """Store one block."""
        self._samples.append(samples)
        self._rounds.append(round_id)
        self._launches.append(launch)

    def learn(self, facts: ReferenceWorkloadFacts) -> None:
        """Store the results of the warm-up."""
        self._made_with = facts.made_with

    def lose(self, reason: str) -> None:
        """Stop using it: launches with and without it are not comparable."""
        self._failure = self._failure or reason.strip().splitlines()[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the reader of the report."""
        note = (
            f"the reference workload failed ({self._failure}): to compare this run with another, "
            "measure both again"
        )
        return (note,) if self._failure else ()

    def evidence(self) -> ReferenceWorkloadTimes | None:
        """Return its measurements; ``None`` if there are none, or if it failed."""
        if self._failure or not self._samples:
            return None
        samples = np.concatenate(self._samples)
        lengths = [len(block) for block in self._samples]
        launches = np.repeat(np.asarray(self._launches), lengths)
        return ReferenceWorkloadTimes(
            version=REFERENCE_WORKLOAD_VERSION,
            made_with=self._made_with,
            launch_medians=tuple(
                float(np.median(samples[launches == launch])) for launch in np.unique(launches)
            ),
            samples=samples,
            sample_rounds=np.repeat(np.asarray(self._rounds), lengths),
            sample_launches=launches,
        )

    def close(self) -> None:
        """End a worker that was started but not used."""
        if self._next is not None:
            self._next.close()
            self._next = None

    def _start(self, launch: int) -> Executor:
        if not self._isolated:
            return LocalExecutor(ReferenceWorkloadSession())
        return start_worker(
            _FACTORY,
            hosted=ReferenceWorkloadSession,
            label=_LABEL,
            threads=self._threads,
            preload=("numpy",),
            environment={**hash_seed_environment(launch), **thread_environment(1)},
        )


class ReferenceWorkloadLaunch:
    """One launch of the reference workload; its methods raise only ``KeyboardInterrupt``."""

    def __init__(self, executor: Executor, workload: ReferenceWorkload, launch: int) -> None:
        self._executor = executor
        self._workload = workload
        self._launch = launch
        self._count = 0
        """Calls per block; 0 if it takes no more blocks."""
        self._spent = 0.0

    def warm_up(self) -> None:
        """Warm up the worker, and choose the size of blocks."""
        try:
            self._executor.resume()
            facts: ReferenceWorkloadFacts = call_plausibly(
                self._executor,
                "warm_up",
                _WARM_UP_SECONDS,
                self._executor.isolated,
                label=_LABEL,
                timeout=_LOAD_TIMEOUT,
                problem=workload_problem,
            )
            self._executor.suspend()
        except LexerError as error:
            self._workload.lose(error.message)
            return
        self._workload.learn(facts)
        wanted = round(_BLOCK_SECONDS / max(facts.call_seconds, 1e-9))
        self._count = min(max(wanted, _FEWEST_CALLS), _MOST_CALLS)

    def takes_part(self, rounds: int, seconds: float) -> bool:
        """Whether it takes a block in the next round, after this many rounds and seconds."""
        if not self._count:
            return False
        return rounds < _ROUNDS_IN_FULL or self._spent <= _LARGEST_SHARE * seconds

    def take(self, round_id: int) -> float | None:
        """Take and store one block; return its median in seconds, ``None`` if it failed."""
        start = time.perf_counter()
        try:
            self._executor.resume()
            samples: npt.NDArray[np.float64] = call_plausibly(
                self._executor,
                "block",
                self._count,
                self._executor.isolated,
                label=_LABEL,
                timeout=_BLOCK_TIMEOUT,
                problem=lambda reply, waited: samples_problem(reply, waited, self._count),
            )
            self._executor.suspend()
        except LexerError as error:
            self._count = 0
            self._workload.lose(error.message)
            return None
        self._spent += time.perf_counter() - start
        self._workload.keep(self._launch, round_id, samples)
        return float(np.median(samples))

    def close(self) -> None:
        """End the worker."""
        self._executor.close()
