"""Does a long run leak threads, files or memory?"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import UnsupportedError
from lexer_core.machine.memory import private_memory_bytes
from lexer_core.testing.captured import captured_output
from lexer_core.testing.expectations import expect_outputs
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

    from lexer_core.testing.engine_fixture import EngineFixture, OpenSession

__all__ = ["SUITE", "thousand_calls"]

SUITE = Suite("Resources")

_WARM_UP_CALLS = 200
_CALLS = 1000
_SILENT_CALLS = 3
_OTHER_CALLS = 600
_PLACINGS = 300
_FEWEST_SESSIONS, _MOST_SESSIONS = 3, 20
_SESSIONS_SECONDS = 10.0
_FEWEST_WARM_UP_SESSIONS = 2
_WARM_UP_SESSIONS = 5

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  only listed

_SESSIONS_FOR_MEMORY = 10
_BYTES_PER_SESSION = 256 * 1024
"""Tolerated memory growth per session of a model with a few weights."""

_BYTES_PER_COMPILATION = 2 * 2**20
"""The same if the session compiled it: a compiler keeps the code that it loaded."""

_THREAD_WARM_UP = 3
_THREAD_SECONDS = 0.6
_LEAST_CPU_SECONDS = 0.1
_BEYOND_SHARE = 0.3
"""Tolerated share of the CPU time in threads beyond those configured."""

_BYTES_PER_CALL = 16 * 1024
"""Tolerated memory growth per call: a quarter of its output."""


@SUITE.check("full", "The last call of a long run is as right as the first.")
def long_runs_stay_right(fixture: EngineFixture) -> None:
    """Compare the outputs of each of 1200 calls, and of 600 calls of models like it."""
    wrong = thousand_calls(fixture).wrong
    if wrong:
        raise CheckFailed(
            f"on the same inputs, call {wrong[0]} returns other outputs than the first; so do "
            f"{len(wrong) - 1} of {_WARM_UP_CALLS + _CALLS - wrong[0]} later calls.",
            "Every call must compute the model, however many there are.",
        )
    for name in ("one_input", "several_inputs", "several_outputs", "keyword_inputs"):
        if MODELS[name].needs not in fixture.declared.cannot:
            with contextlib.suppress(UnsupportedError), fixture.session(name) as opened:
                _call_in_turn(opened)


@SUITE.check("full", "A long run does not accumulate threads.")
def calls_keep_no_threads(fixture: EngineFixture) -> None:
    """Count the threads before and after 1000 calls."""
    run = thousand_calls(fixture)
    before, after = run.before, run.after
    if after.threads > before.threads:
        raise CheckFailed(
            f"after {_CALLS} calls, there are {after.threads - before.threads} more threads.",
            "Start threads per session, not per call, and end them in close().",
        )


@SUITE.check("full", "A long run does not run out of file descriptors.")
def calls_keep_no_files(fixture: EngineFixture) -> None:
    """Count the open files before and after 1000 calls."""
    run = thousand_calls(fixture)
    before, after = run.before, run.after
    if after.files > before.files:
        raise CheckFailed(
            f"after {_CALLS} calls, there are {after.files - before.files} more open files.",
            "Close in each call the files that it opens.",
        )


@SUITE.check("full", "A long run does not run out of memory.")
def calls_keep_no_memory(fixture: EngineFixture) -> None:
    """Compare the memory before and after 1000 calls, and 300 placings, of 64 KiB each."""
    run = thousand_calls(fixture)
    before, after = run.before, run.after
    grown = after.memory - before.memory
    if grown > _CALLS * _BYTES_PER_CALL:
        raise CheckFailed(
            f"after {_CALLS} calls, {grown / 2**20:.0f} MiB more memory is in use.",
            "Keep neither the inputs nor the outputs of a call.",
        )
    grown = run.placed.memory - after.memory
    if grown > _PLACINGS * _BYTES_PER_CALL:
        raise CheckFailed(
            f"after calls on {_PLACINGS} other inputs, {grown / 2**20:.0f} MiB more memory is in "
            "use.",
            "Keep placed inputs only as long as the core does, and no outputs for them.",
        )


@SUITE.check("full", "A call uses no more threads than it was given.")
def threads_are_as_configured(fixture: EngineFixture) -> None:
    """Make slow calls, and compare the CPU time of the busiest threads with that of all."""
    import threadpoolctl  # slow to import

    allowed = fixture.declared.threads
    # numpy's BLAS, as the variables of a benchmark's worker limit it; the pools of a runtime
    # are its plugin's to limit.
    blas = {
        pool["prefix"]: allowed
        for pool in threadpoolctl.threadpool_info()
        if pool["internal_api"] == "openblas"
    }
    models = ["slow"]
    if "several_inputs" not in fixture.declared.cannot:
        models.append("slow_pair")
    used = False
    with threadpoolctl.threadpool_limits(blas):
        for name in models:
            total, beyond = _cpu_seconds(fixture, name, allowed)
            if total < _LEAST_CPU_SECONDS:
                continue
            used = True
            if beyond > _BEYOND_SHARE * total:
                raise CheckFailed(
                    f"with threads={allowed}, {beyond / total:.0%} of the CPU time of calls of "
                    f"model {name!r} is spent in further threads.",
                    "Pass config.threads to the runtime: all engines are measured with the same "
                    "number.",
                )
    if not used:
        raise Skip("calls use hardly any CPU time")


def _cpu_seconds(fixture: EngineFixture, name: str, allowed: int) -> tuple[float, float]:
    """Return the CPU time of slow calls, and that beyond the busiest ``allowed`` threads."""
    with fixture.session(name) as opened:
        call = opened.call(opened.case.trials()[0])
        for _ in range(_THREAD_WARM_UP):
            opened.run(call)
        before, start = _cpu_by_thread(), time.process_time()
        deadline = time.monotonic() + _THREAD_SECONDS
        with opened.engine.call_context(opened.session):
            while time.monotonic() < deadline:
                if call.reset is not None:
                    call.reset()
                call.run()
        total, after = time.process_time() - start, _cpu_by_thread()
    gains = sorted(after[thread] - before.get(thread, 0.0) for thread in after)
    return total, total - sum(gains[-allowed:])


@SUITE.check("full", "A closed session releases everything that it used.")
def closed_sessions_are_released(fixture: EngineFixture) -> None:
    """Open and close sessions; look for what remains: objects, threads, files, memory."""
    with _own_temporary_folder(fixture) as folder:
        _open_many(fixture, folder)


def _open_many(fixture: EngineFixture, folder: Path) -> None:
    shared = _shared_memory()
    deadline = time.monotonic() + _SESSIONS_SECONDS  # some engines compile for seconds
    for number in range(_WARM_UP_SESSIONS):
        if number < _FEWEST_WARM_UP_SESSIONS or time.monotonic() < deadline:
            _open_and_close(fixture)
    before, before_files = _take_stock(), _names_in(folder)
    left: list[weakref.ref[object] | None] = []
    deadline = time.monotonic() + _SESSIONS_SECONDS
    while len(left) < _FEWEST_SESSIONS or (
        len(left) < _MOST_SESSIONS and time.monotonic() < deadline
    ):
        left.append(_open_and_close(fixture))
    after, after_files = _take_stock(), _names_in(folder)
    alive = sum(reference is not None and reference() is not None for reference in left)
    if alive:
        raise CheckFailed(
            f"{alive} of {len(left)} sessions are still in memory after they were closed.",
            "Remove references to the session outside of it.",
        )
    for what in ("threads", "files", "processes"):
        more = getattr(after, what) - getattr(before, what)
        if more > 0:
            raise CheckFailed(
                f"after {len(left)} sessions were closed, there are {more} more {what}.",
                "Release in close() everything that the session uses.",
            )
    remaining = sorted(after_files - before_files)
    if remaining:
        raise CheckFailed(
            f"after {len(left)} sessions were closed, the temporary folder has {len(remaining)} "
            f"more entries, such as {remaining[0]!r}.",
            "Remove temporary files in close().",
        )
    blocks = sorted(_shared_memory() - shared - _mapped_by_others())
    if blocks:
        raise CheckFailed(
            f"after sessions were closed, there is shared memory that was not there before, such "
            f"as {blocks[0]!r}.",
            "Unlink shared memory in close().",
        )
    grown = after.memory - before.memory
    tolerated = _BYTES_PER_COMPILATION if _compiles(fixture) else _BYTES_PER_SESSION
    if len(left) >= _SESSIONS_FOR_MEMORY and grown > len(left) * tolerated:
        raise CheckFailed(
            f"after {len(left)} sessions were closed, {grown / 2**20:.1f} MiB more memory is in "
            "use.",
            "Release in close() everything that the session uses.",
        )


def _shared_memory() -> set[str]:
    """Return the names of shared memory and semaphores; empty where the system has no list."""
    try:
        return {path.name for path in _SHARED_MEMORY.iterdir() if _is_own(path)}
    except OSError:
        return set()


def _is_own(path: Path) -> bool:
    try:
        return path.stat().st_uid == os.geteuid()
    except FileNotFoundError:
        return False


def _mapped_by_others() -> set[str]:
    """Return the names of shared memory that other processes use, which made it perhaps."""
    names: set[str] = set()
    family = {os.getpid(), *(child.pid for child in _this_process().children(recursive=True))}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        if int(maps.parent.name) in family:
            continue
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            text = maps.read_text(errors="replace")
            names |= set(re.findall(rf"{_SHARED_MEMORY}/([^\n]+)", text))
    return names


@frozen
class _Stock:
    """Threads, open files, child processes and private memory in bytes of the process."""

    threads: int
    files: int
    processes: int
    memory: int


def _take_stock() -> _Stock:
    gc.collect()
    process = _this_process()
    files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return _Stock(
        threads=process.num_threads(),
        files=files,
        processes=len(process.children(recursive=True)),
        memory=private_memory_bytes(os.getpid()) or 0,
    )


@contextlib.contextmanager
def _own_temporary_folder(fixture: EngineFixture) -> Iterator[Path]:
    """Make an empty folder the one for temporary files, which other programs do not use."""
    folder, variables = fixture.new_folder(), ("TMPDIR", "TEMP", "TMP")
    usual, before = tempfile.tempdir, {name: os.environ.get(name) for name in variables}
    tempfile.tempdir = str(folder)
    os.environ |= dict.fromkeys(variables, str(folder))
    try:
        yield folder
    finally:
        tempfile.tempdir = usual
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@frozen
class _LongRun:
    """What 1000 calls and then 300 placings leave.

    Attributes
    ----------
    before, after, placed
        The stock before the calls, after them, and after the placings.
    wrong
        The numbers of the calls with other outputs.
    printed
        What all of them print.
    """

    before: _Stock
    after: _Stock
    placed: _Stock
    wrong: tuple[int, ...]
    printed: str


def thousand_calls(fixture: EngineFixture) -> _LongRun:
    """Make 1000 calls after the warm-up, once for all checks."""
    if fixture.long_run is None:
        with fixture.session("wide") as opened:
            call = opened.call(opened.case.trials()[0])
            for _ in range(_SILENT_CALLS):
                opened.fetch(opened.run(call))
            with captured_output() as captured:
                wrong, before, after = _repeat(opened)
                placed = _place_others(opened)
        fixture.long_run = _LongRun(before, after, placed, wrong, captured().strip())
    run: _LongRun = fixture.long_run
    return run


def _repeat(opened: OpenSession) -> tuple[tuple[int, ...], _Stock, _Stock]:
    wrong = []
    arrays = opened.case.trials()[0]
    call = opened.call(arrays)
    (wanted,) = (each.tobytes() for each in opened.case.reference(arrays).values())
    for number in range(1, 1 + _WARM_UP_CALLS + _CALLS):
        (output,) = opened.fetch(opened.run(call)).values()
        if output.tobytes() != wanted:
            wrong.append(number)
        if number == _WARM_UP_CALLS:
            before = _take_stock()
    return tuple(wrong), before, _take_stock()


def _place_others(opened: OpenSession) -> _Stock:
    array = opened.case.trials()[1]["x"]
    for number in range(_PLACINGS):
        opened.fetch(opened.run(opened.call({"x": array + np.float32(number)})))
    return _take_stock()


def _call_in_turn(opened: OpenSession) -> None:
    """Call a session on several inputs in turn, and compare the outputs."""
    trials = opened.case.trials()
    calls = [(opened.call(arrays), opened.case.reference(arrays)) for arrays in trials]
    for number in range(_OTHER_CALLS):
        call, wanted = calls[number % len(calls)]
        outputs = opened.fetch(opened.run(call))
        if any(outputs[name].tobytes() != array.tobytes() for name, array in wanted.items()):
            # Some bits may differ, as of zeros; the values may not.
            expect_outputs(
                outputs,
                wanted,
                after=f"in call {number + 1} of model {opened.case.name!r}",
                hint="Every call must compute the model, however many there are.",
            )


def _cpu_by_thread() -> dict[int, float]:
    return {
        thread.id: thread.user_time + thread.system_time for thread in _this_process().threads()
    }


def _this_process() -> psutil.Process:
    import psutil  # slow to import

    return psutil.Process()


def _compiles(fixture: EngineFixture) -> bool:
    """Whether a session reports the time of a compilation."""
    with fixture.session() as opened:
        opened.call(opened.case.trials()[0])
        return opened.engine.phases(opened.session).compile_seconds is not None


def _open_and_close(fixture: EngineFixture) -> weakref.ref[object] | None:
    with fixture.session() as opened:
        opened.answer(opened.case.trials()[0])
        session: object = opened.session
        try:
            return weakref.ref(session)
        except TypeError:  # a class without support for weak references
            return None
