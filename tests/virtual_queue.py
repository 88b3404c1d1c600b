"""Load tests on virtual time: a clock that only waits and calls move."""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING

import numpy as np

from lexer_core.load_testing.blocks import ClosedBlock, GilFacts, OpenBlock
from lexer_core.load_testing.dispatch import Queue, serve, serve_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.errors import LexerError
    from lexer_core.load_testing.measure import Requests


class VirtualTime:
    """The time of one thread."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def wait_until(self, at: float) -> None:
        self.now = max(self.now, at)

    def work(self, seconds: float) -> None:
        self.now += seconds


class VirtualThreads:
    """The time of several threads, of which one runs until it waits."""

    def __init__(self, count: int) -> None:
        self.now = 0.0
        self._running = count
        self._lock = threading.Lock()
        self._sleeping: list[tuple[float, int, threading.Event]] = []
        self._numbers = iter(range(10**9))

    def clock(self) -> float:
        return self.now

    def wait_until(self, at: float) -> None:
        woken = threading.Event()
        with self._lock:
            heapq.heappush(self._sleeping, (max(at, self.now), next(self._numbers), woken))
            self._one_less()
        woken.wait()

    def work(self, seconds: float) -> None:
        self.wait_until(self.now + seconds)

    def run(self, actions: list[Callable[[], object]]) -> None:
        def begin(action: Callable[[], object]) -> None:
            self.wait_until(0.0)
            action()
            with self._lock:
                self._one_less()

        threads = [threading.Thread(target=begin, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _one_less(self) -> None:
        self._running -= 1
        if self._running == 0 and self._sleeping:
            self.now, _, woken = heapq.heappop(self._sleeping)
            self._running += 1
            woken.set()


class VirtualMember:
    """A configuration whose calls take as long as a function says."""

    def __init__(
        self,
        label: str,
        service: Callable[[], float],
        *,
        engine: str = "toy",
        time: VirtualTime | None = None,
        batch: int = 1,
    ) -> None:
        self.label, self.engine, self.instances, self.batch = label, engine, 1, batch
        self.time = time or VirtualTime()
        self.offered: list[int] = []
        self.failure: LexerError | None = None
        self._service = service

    def _call(self) -> None:
        self.time.work(self._service())

    def closed(self, concurrency: int, seconds: float) -> ClosedBlock:
        assert concurrency == 1
        start, latencies = self.time.now, []
        while self.time.now < start + seconds:
            before = self.time.now
            self._call()
            latencies.append(self.time.now - before)
        return ClosedBlock(latencies=np.array(latencies), elapsed=self.time.now - start)

    def open(self, requests: Requests) -> OpenBlock:
        start = self.time.now
        self.offered.append(len(requests.due))
        queue = Queue(
            (requests.due + start).tolist(),
            limit=requests.limit,
            most_late=requests.most_late,
            longest_wait=requests.longest_wait,
        )
        how = {"clock": self.time.clock, "wait_until": self.time.wait_until}
        if requests.most > 1:
            serve_batches(queue, self._call, most=requests.most, longest=requests.batch_wait, **how)
        else:
            serve(queue, self._call, **how)
        return OpenBlock(
            starts=np.array(queue.starts) - start,
            ends=np.array(queue.ends) - start,
            lateness=np.array(queue.lateness),
            cpu_seconds=0.0,
            elapsed=self.time.now - start,
            gave_up=queue.gave_up,
        )

    def gil(self) -> GilFacts:
        return GilFacts(during_calls=0.0, alone=1000.0)

    def fail(self, error: LexerError) -> None:
        self.failure = error
