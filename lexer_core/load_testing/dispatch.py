"""Who serves the next request, and when?

Each thread takes the next arrival, waits until its time, and serves it. So requests are
served in the order of arrival, each by the first thread that is free: the queue of M/G/k
theory, without a process that hands requests out and could be late itself.

Clock and wait are passed in, so that all of it can run on virtual time.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Queue", "serve", "serve_batches", "serve_in_turn"]


class Queue:
    """The requests of a block, and what came of them.

    Parameters
    ----------
    due
        When each arrives, on the clock of the threads, ascending.
    limit
        Seconds from its arrival after which an answer is late.
    most_late
        Late answers above which the block cannot pass any more.
    longest_wait
        Seconds: if a request waited longer, and the block cannot pass any more, the
        block is given up.

    Attributes
    ----------
    starts, ends
        Of each request on the same clock; NaN while it is not served.
    lateness
        Seconds from the arrival until the thread that waited for it went on; NaN where no
        thread was free to wait.
    gave_up
        Whether the block was given up.
    """

    def __init__(
        self, due: Sequence[float], *, limit: float, most_late: int, longest_wait: float
    ) -> None:
        self.due = due
        count = len(due)
        self.starts = [float("nan")] * count
        self.ends = [float("nan")] * count
        self.lateness = [float("nan")] * count
        self.gave_up = False
        self._limit, self._most_late, self._longest_wait = limit, most_late, longest_wait
        # deque's methods and list.append are atomic, so that no thread waits for a lock.
        self._pending = deque(range(count))
        self._late: list[int] = []
        self.forming = threading.Lock()
        """Held by the thread that forms a batch."""

    def take(self) -> int | None:
        """Return the number of the next request; ``None`` if there is none."""
        try:
            return self._pending.popleft()
        except IndexError:
            return None

    def take_due(self, at: float) -> int | None:
        """Return the number of the next request if it has arrived by then."""
        pending = self._pending
        if pending and self.due[pending[0]] <= at:
            return self.take()
        return None

    def next_due(self) -> float | None:
        """Return when the next request arrives; ``None`` if there is none."""
        return self.due[self._pending[0]] if self._pending else None

    def served(self, index: int, start: float, end: float) -> None:
        """Record when a request was served."""
        self.starts[index], self.ends[index] = start, end
        due = self.due[index]
        if end - due > self._limit:
            self._late.append(index)
            if len(self._late) > self._most_late and start - due > self._longest_wait:
                self.gave_up = True
                self.end()

    def end(self) -> None:
        """Serve no further requests."""
        self._pending.clear()


def serve(
    queue: Queue,
    call: Callable[[], object],
    *,
    clock: Callable[[], float],
    wait_until: Callable[[float], object],
) -> None:
    """Serve requests until none is left, as one of several threads.

    Parameters
    ----------
    queue
        The requests, shared by the threads.
    call
        Serves one.
    clock
        Returns the time in seconds.
    wait_until
        Returns when the clock has reached a time.
    """
    due = queue.due
    while (index := queue.take()) is not None:
        at = due[index]
        if clock() < at:
            wait_until(at)
            start = clock()
            queue.lateness[index] = start - at
        else:
            start = clock()
        call()
        queue.served(index, start, clock())


def serve_batches(
    queue: Queue,
    call: Callable[[], object],
    *,
    most: int,
    longest: float,
    clock: Callable[[], float],
    wait_until: Callable[[float], object],
) -> None:
    """Serve requests in batches until none is left, as one of several threads.

    A batch is begun when it has ``most`` requests, or when its first one has waited
    ``longest`` seconds. While the threads are busy, requests wait, too, and the next batch
    takes as many of them as it can.
    """
    while True:
        with queue.forming:
            first = queue.take()
            if first is None:
                return
            batch = [first]
            opened = queue.due[first]
            if clock() < opened:
                wait_until(opened)
                queue.lateness[first] = clock() - opened
            while len(batch) < most:
                index = queue.take_due(clock())
                if index is not None:
                    batch.append(index)
                    continue
                upcoming = queue.next_due()
                closes = opened + longest
                if upcoming is None or upcoming > closes:
                    # Also with nothing left to come: a server would not know that.
                    if clock() < closes:
                        wait_until(closes)
                    break
                wait_until(upcoming)
        start = clock()
        call()
        end = clock()
        for index in batch:
            queue.served(index, start, end)


def serve_in_turn(
    call: Callable[[], object], until: float, *, clock: Callable[[], float]
) -> list[tuple[float, float]]:
    """Make calls one after the other, until a time; return the start and end of each.

    At least one. This is the closed loop: the next call waits for the last one, so that
    it never sees a queue.
    """
    calls = []
    while True:
        start = clock()
        call()
        end = clock()
        calls.append((start, end))
        if end >= until:
            return calls
