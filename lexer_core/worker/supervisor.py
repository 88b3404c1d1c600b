"""Who starts the workers, and who watches them while nobody waits for an answer?

One thread, which lives as long as the process. Linux ends a child whose
parent-death signal is set when the *thread* that started it ends, so workers
must be started by a thread that outlives them all; threads of the user's (a
notebook cell's, a pool's) do not. The same thread looks at workers' memory and
logs now and then, as long as there are workers.
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
    """Something that wants to be looked after."""

    def poll(self) -> float:
        """Do what is due; returns the seconds after which to come again."""


class _Order(Generic[T]):
    """Something that the keeper is to start for somebody who waits."""

    def __init__(self, start: Callable[[], T], discard: Callable[[T], object]) -> None:
        self._start = start
        self._discard = discard
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._results: list[T] = []
        self._error: BaseException | None = None

    def carry_out(self) -> None:
        try:
            result = self._start()
        except BaseException as error:  # is raised again by whoever waits
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
        except BaseException:  # Ctrl-C: nobody would know of what was started
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
        self.start_over()

    def start_over(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._orders: queue.SimpleQueue[_Order[Any] | None] = queue.SimpleQueue()
        self._watched: weakref.WeakSet[Supervised] = weakref.WeakSet()

    def start(self, order: _Order[Any]) -> None:
        self._ensure_thread()
        self._orders.put(order)

    def watch(self, watched: Supervised) -> None:
        with self._lock:
            self._watched.add(watched)
        self._ensure_thread()
        self._orders.put(None)  # wakes the thread, which may be waiting for ever

    def unwatch(self, watched: Supervised) -> None:
        with self._lock:
            self._watched.discard(watched)

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="lexer-worker-keeper", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        disable_aslr()  # of the workers: this thread starts nothing else
        pause: float | None = None
        while True:
            try:
                order = self._orders.get(timeout=pause)
            except queue.Empty:
                order = None
            if order is not None:
                order.carry_out()
            del order  # nothing started may be kept alive while the thread waits
            pause = self._look_after_all()

    def _look_after_all(self) -> float | None:
        """Look after everything watched; returns the seconds to wait, ``None`` for no limit."""
        with self._lock:
            watched = list(self._watched)
        pauses = []
        for one in watched:
            try:
                pauses.append(one.poll())
            except Exception:  # all workers die with this thread
                self.unwatch(one)
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
        return min(pauses, default=None)


_supervisor = _Supervisor()


def start_supervised(start: Callable[[], T], discard: Callable[[T], object]) -> T:
    """Let the keeper's thread start something; returns or raises what ``start`` does.

    Parameters
    ----------
    start
        Starts it.
    discard
        Ends what was started, when the caller was interrupted meanwhile.
    """
    order = _Order(start, discard)
    _supervisor.start(order)
    return order.wait()


def watch(watched: Supervised) -> None:
    """Look after something, as long as somebody else holds it."""
    _supervisor.watch(watched)


def unwatch(watched: Supervised) -> None:
    """Look after it no longer."""
    _supervisor.unwatch(watched)


if hasattr(os, "register_at_fork"):
    # In a forked process the thread does not exist, and the workers are not its own.
    os.register_at_fork(after_in_child=_supervisor.start_over)
