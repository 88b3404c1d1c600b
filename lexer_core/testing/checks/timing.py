"""Is the time that the engine reports the time that its calls took?

Most of it on a clock that stands still unless a call moves it: what has to come
out is then known exactly, and no disturbance of the machine can matter.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from lexer_core.benchmark.case_session import CaseSession, CaseSpec
from lexer_core.records import Call
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from lexer_core.testing.engine_fixture import EngineFixture, OpenSession

__all__ = ["SUITE", "ScriptedClock"]

SUITE = Suite("Timing")

_MILLISECONDS = (3, 1, 7, 2, 6, 4, 5)
"""What the calls of a block take on the scripted clock: no two alike, in no order."""

_SLOW_MILLISECONDS = (2, 2, 2, 400, 2, 2, 2, 2, 2)
_RESET_MILLISECONDS = 50
_LOOPS = 4
_TOLERANCE = 0.01
_LEAST_SECONDS = 0.02
_FEWEST_CALLS, _MOST_CALLS = 3, 200
_TRIES = 4


class ScriptedClock:
    """A clock that moves when it is told to, and by a hair when it is read.

    Parameters
    ----------
    milliseconds
        What each call is to take, in order; later ones take a millisecond.
    """

    def __init__(self, milliseconds: Sequence[int]) -> None:
        self._left = list(milliseconds)
        self._now = 1_000_000_000
        self.calls = 0
        self.resets = 0
        self.unready = 0
        self._ready = False

    def __call__(self) -> int:
        """Read the clock, in nanoseconds."""
        self._now += 50  # so that waiting for it to move is not in vain
        return self._now

    def around(self, call: Call) -> Call:
        """Make a call that moves this clock, and counts itself."""
        reset: Any = None
        if call.reset is not None:

            def reset() -> None:
                assert call.reset is not None
                call.reset()
                self._now += _RESET_MILLISECONDS * 1_000_000
                self.resets += 1
                self._ready = True

        def run() -> Any:
            self._now += (self._left.pop(0) if self._left else 1) * 1_000_000
            self.calls += 1
            self.unready += not self._ready
            self._ready = False
            return call.run()

        return Call(run=run, reset=reset)


@SUITE.check("basic", "There is one number for each sample, and each is a possible time.")
def times_are_counted_and_positive(fixture: EngineFixture) -> None:
    """Time blocks of several lengths on the real clock."""
    with fixture.session() as opened:
        call = opened.call(opened.case.trials()[0])
        opened.run(call)
        for count in (1, 7):
            _time(opened, call, count, 1, time.perf_counter_ns)


@SUITE.check("basic", "Each sample is a measurement of its own, in its place.")
def every_sample_is_reported(fixture: EngineFixture) -> None:
    """Time calls that take different times, and compare one by one."""
    _compare(_scripted(fixture, _MILLISECONDS), _MILLISECONDS)


@SUITE.check("basic", "A slow call is seen: tails are measured, not trimmed.")
def slow_call_is_seen(fixture: EngineFixture) -> None:
    """Let one call of a block take 200 times as long as the others."""
    _compare(_scripted(fixture, _SLOW_MILLISECONDS), _SLOW_MILLISECONDS)


@SUITE.check("basic", "All engines are measured by one clock.")
def clock_is_the_one_given(fixture: EngineFixture) -> None:
    """Time calls on a clock on which they take as long as the kit says."""
    seconds = _scripted(fixture, _MILLISECONDS)
    wanted = sum(_MILLISECONDS) / 1e3
    if abs(seconds.sum() - wanted) > wanted / 2:
        raise CheckFailed(
            f"on the clock that was given, {len(_MILLISECONDS)} calls took {wanted:g} s; "
            f"the engine reports {seconds.sum():.3g} s.",
            "lexer_time_calls reads the clock that it is given, and no other.",
        )


@SUITE.check("basic", "Exactly the calls that were asked for are made: none unmeasured.")
def calls_are_exactly_as_many(fixture: EngineFixture) -> None:
    """Count the calls of blocks with and without loops."""
    for loops in (1, _LOOPS):
        with fixture.session() as opened:
            real = opened.call(opened.case.trials()[0])
            if loops > 1 and real.reset is not None:
                continue  # what is reset is timed alone
            clock = ScriptedClock(())
            _time(opened, clock.around(real), 5, loops, clock)
        if clock.calls != 5 * loops:
            raise CheckFailed(
                f"for 5 samples of {loops} {'call' if loops == 1 else 'calls'} each, "
                f"{clock.calls} calls were made.",
                "Exactly count * loops: warming up is the core's.",
            )


@SUITE.check("basic", "A sample of several calls is their mean.")
def loops_are_divided_by(fixture: EngineFixture) -> None:
    """Time samples of several calls, each of its own length."""
    count = 3
    milliseconds = range(1, count * _LOOPS + 1)
    seconds = _scripted(fixture, milliseconds, loops=_LOOPS)
    means = [sum(milliseconds[i * _LOOPS : (i + 1) * _LOOPS]) / _LOOPS for i in range(count)]
    _compare(seconds, means)


@SUITE.check("full", "What puts a model's state back is not in its latency.")
def resets_are_left_out(fixture: EngineFixture) -> None:
    """Time calls of which each is reset before, and the reset takes longer than the call."""
    with fixture.session() as opened:
        real = opened.call(opened.case.trials()[0])
        if real.reset is None:
            raise Skip("the engine keeps no state between calls (it has no lexer_reset_state)")
        clock = ScriptedClock(_MILLISECONDS)
        seconds = _time(opened, clock.around(real), len(_MILLISECONDS), 1, clock)
    if clock.unready:
        raise CheckFailed(
            f"{clock.unready} of {clock.calls} calls were made without a reset before.",
            "call.reset, where it is not None, is called before each call.run.",
        )
    _compare(seconds, _MILLISECONDS)


@SUITE.check("basic", "An engine that returns before its work is done is not believed.")
def completion_is_timed(fixture: EngineFixture) -> None:
    """Time a block of slow calls, and see whether outputs have to be waited for after it."""
    fixture.require_ready()
    case = CaseSession()
    case.import_engine(fixture.name)
    try:
        case.load(
            CaseSpec(
                engine=fixture.name,
                device=fixture.declared.device,
                exported=fixture.model("slow"),
                config=fixture.config(),
            )
        )
        case.place(MODELS["slow"].call_inputs(MODELS["slow"].random_inputs()))
        case.first_call()
        start = time.perf_counter()
        case.first_call()  # with the fetch, which waits for whatever is left
        each = time.perf_counter() - start
        count = min(max(math.ceil(_LEAST_SECONDS / each), _FEWEST_CALLS), _MOST_CALLS)
        for _ in range(_TRIES):
            check = case.check_completion(count)
            if check.plausible:
                break  # what is asynchronous is never so, what is disturbed seldom not
    finally:
        case.close()
    if not check.plausible:
        raise CheckFailed(
            f"{count} samples add up to {check.sampled * 1e3:.3g} ms; taking them took "
            f"{check.elapsed * 1e3:.3g} ms, and one more call with its outputs "
            f"{check.waited * 1e3:.3g} ms.",
            "A call ends when its work is done: implement lexer_synchronize, or wait in run.",
        )


def _scripted(
    fixture: EngineFixture, milliseconds: Sequence[int], *, loops: int = 1
) -> npt.NDArray[Any]:
    with fixture.session() as opened:
        real = opened.call(opened.case.trials()[0])
        if real.reset is not None and loops > 1:
            raise Skip("the engine keeps state between calls: every sample is one call")
        clock = ScriptedClock(milliseconds)
        return _time(opened, clock.around(real), len(milliseconds) // loops, loops, clock)


def _time(opened: OpenSession, call: Call, count: int, loops: int, clock: Any) -> npt.NDArray[Any]:
    engine = opened.engine
    with engine.call_context(opened.session):
        return engine.time_calls(opened.session, call, count, loops, opened.device, clock).host


def _compare(seconds: npt.NDArray[Any], milliseconds: Sequence[float]) -> None:
    for number, (got, wanted) in enumerate(zip(seconds, milliseconds, strict=True), start=1):
        if abs(got * 1e3 - wanted) > _TOLERANCE * wanted:
            raise CheckFailed(
                f"sample {number} of {len(milliseconds)} took {wanted:g} ms on the clock; "
                f"the engine reports {got * 1e3:g} ms.",
                "Timings.host holds what each sample took, in seconds per call, in order.",
            )
