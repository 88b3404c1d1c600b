"""Which thread starts the workers, and checks them between calls?

A single thread that lives as long as the process. Linux sends the parent-death
signal when the *thread* that started the child ends, so workers must be started by
a thread that outlives them. The user's threads (a notebook cell's, a pool's) may
not. The same thread checks the memory and the logs of running workers periodically.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from lexer_core.machine.aslr import disable_aslr

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Supervised", "start_supervised", "unwatch", "watch"]

T = TypeVar("T")


class Supervised(Protocol):
    """Something to be checked periodically."""

    def poll(self) -> float:
        """Check it, and return the seconds until the next check."""


class _StartRequest(Generic[T]):
    """Something for the supervisor to start while the caller waits."""

    def __init__(self, start: Callable[[], T], discard: Callable[[T], object]) -> None:
        self._start = start
        self._discard = discard
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            result = self._start()
        except BaseException as error:  # raised again in the caller's thread
            self._error = error
        else:
            with self._lock:
                if self._abandoned:
                    self._discard(result)
                self._results.append(result)
        self._done.set()

    def wait(self) -> T:
        try:
            self._done.wait()
        except BaseException:  # Ctrl-C: nothing else refers to what was started
            with self._lock:
                self._abandoned = True
                for result in self._results:
                    self._discard(result)
            raise
        if self._error is not None:
            raise self._error
        return self._results[0]


class _Supervisor:
    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._requests: queue.SimpleQueue[_StartRequest[Any] | None] = queue.SimpleQueue()
        self._watched: weakref.WeakSet[Supervised] = weakref.WeakSet()

    def start(self, request: _StartRequest[Any]) -> None:
        self._ensure_thread()
        self._requests.put(request)

    def watch(self, watched: Supervised) -> None:
        with self._lock:
            self._watched.add(watched)
        self._ensure_thread()
        self._requests.put(None)  # wakes the thread, which may be waiting without a timeout

    def unwatch(self, watched: Supervised) -> None:
        with self._lock:
            self._watched.discard(watched)

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="lexer-worker-supervisor", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        disable_aslr()  # for the workers: this thread starts nothing else
        pause: float | None = None
        while True:
            try:
                request = self._requests.get(timeout=pause)
            except queue.Empty:
                request = None
            if request is not None:
                request.run()
            del request  # it must not keep its result alive while this thread waits
            pause = self._poll_all()

    def _poll_all(self) -> float | None:
        """Check everything watched; return the seconds to wait, ``None`` for no limit."""
        with self._lock:
            watched = list(self._watched)
        pauses = []
        for each in watched:
            try:
                pauses.append(each.poll())
            except Exception:  # must not end this thread, as all workers would end with it
                self.unwatch(each)
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
        return min(pauses, default=None)


_supervisor = _Supervisor()


def start_supervised(start: Callable[[], T], discard: Callable[[T], object]) -> T:
    """Run ``start`` in the supervisor's thread, and return or raise what it does.

    Parameters
    ----------
    start
        Starts a process.
    discard
        Ends what was started if the caller is interrupted meanwhile.
    """
    request = _StartRequest(start, discard)
    _supervisor.start(request)
    return request.wait()


def watch(watched: Supervised) -> None:
    """Check an object periodically, as long as something else refers to it."""
    _supervisor.watch(watched)


def unwatch(watched: Supervised) -> None:
    """Stop checking an object."""
    _supervisor.unwatch(watched)


if hasattr(os, "register_at_fork"):
    # A forked process does not have the thread, and does not own the workers.
    os.register_at_fork(after_in_child=_supervisor.reset)
