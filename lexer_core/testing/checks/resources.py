"""Does a long run leak threads, files or memory?"""

from __future__ import annotations

import gc
import os
import time
import weakref
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.machine.memory import private_memory_bytes
from lexer_core.testing.outcomes import CheckFailed
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Resources")

_WARM_UP_CALLS = 200
_CALLS = 1000
_FEWEST_SESSIONS, _MOST_SESSIONS = 3, 20
_SESSIONS_SECONDS = 10.0
_WARM_UP_SESSIONS = 2

_BYTES_PER_CALL = 16 * 1024
"""Tolerated memory growth per call: a quarter of its output."""


@SUITE.check("full", "A long run does not accumulate threads.")
def calls_keep_no_threads(fixture: EngineFixture) -> None:
    """Count the threads before and after 1000 calls."""
    before, after = _thousand_calls(fixture)
    if after.threads > before.threads:
        raise CheckFailed(
            f"after {_CALLS} calls, there are {after.threads - before.threads} more threads.",
            "Start threads per session, not per call, and end them in close().",
        )


@SUITE.check("full", "A long run does not run out of file descriptors.")
def calls_keep_no_files(fixture: EngineFixture) -> None:
    """Count the open files before and after 1000 calls."""
    before, after = _thousand_calls(fixture)
    if after.files > before.files:
        raise CheckFailed(
            f"after {_CALLS} calls, there are {after.files - before.files} more open files.",
            "Close in each call the files that it opens.",
        )


@SUITE.check("full", "A long run does not run out of memory.")
def calls_keep_no_memory(fixture: EngineFixture) -> None:
    """Compare the memory before and after 1000 calls with outputs of 64 KiB."""
    before, after = _thousand_calls(fixture)
    grown = after.memory - before.memory
    if grown > _CALLS * _BYTES_PER_CALL:
        raise CheckFailed(
            f"after {_CALLS} calls, {grown / 2**20:.0f} MiB more memory is in use.",
            "Keep neither the inputs nor the outputs of a call.",
        )


@SUITE.check("full", "A closed session releases everything that it used.")
def closed_sessions_are_released(fixture: EngineFixture) -> None:
    """Open and close sessions, then look for objects, threads and files that remain."""
    for _ in range(_WARM_UP_SESSIONS):
        _open_and_close(fixture)
    before = _take_stock()
    left: list[weakref.ref[object] | None] = []
    deadline = time.monotonic() + _SESSIONS_SECONDS  # some engines compile for seconds
    while len(left) < _FEWEST_SESSIONS or (
        len(left) < _MOST_SESSIONS and time.monotonic() < deadline
    ):
        left.append(_open_and_close(fixture))
    after = _take_stock()
    alive = sum(reference is not None and reference() is not None for reference in left)
    if alive:
        raise CheckFailed(
            f"{alive} of {len(left)} sessions are still in memory after they were closed.",
            "Remove references to the session outside of it.",
        )
    for what in ("threads", "files"):
        more = getattr(after, what) - getattr(before, what)
        if more > 0:
            raise CheckFailed(
                f"after {len(left)} sessions were closed, there are {more} more {what}.",
                "Release in close() everything that the session uses.",
            )


@frozen
class _Stock:
    """Threads, open files and private memory in bytes of the process."""

    threads: int
    files: int
    memory: int


def _take_stock() -> _Stock:
    import psutil  # slow to import

    gc.collect()
    process = psutil.Process()
    files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return _Stock(process.num_threads(), files, private_memory_bytes(os.getpid()) or 0)


def _thousand_calls(fixture: EngineFixture) -> tuple[_Stock, _Stock]:
    """Return the stock before and after 1000 calls, made once for all checks."""
    if fixture.long_run is None:
        with fixture.session("wide") as opened:
            call = opened.call(opened.case.trials()[0])
            for _ in range(_WARM_UP_CALLS):
                opened.fetch(opened.run(call))
            before = _take_stock()
            for _ in range(_CALLS):
                opened.fetch(opened.run(call))
            fixture.long_run = (before, _take_stock())
    before, after = fixture.long_run
    return before, after


def _open_and_close(fixture: EngineFixture) -> weakref.ref[object] | None:
    with fixture.session() as opened:
        opened.answer(opened.case.trials()[0])
        session: object = opened.session
        try:
            return weakref.ref(session)
        except TypeError:  # a class without support for weak references
            return None
