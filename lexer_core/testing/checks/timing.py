"""Does the engine report the time that its calls take?

Most checks use a clock that only advances with calls. The expected result is then
known exactly, independent of disturbances of the machine.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from attrs import frozen

from lexer_core.benchmark.case_records import CaseSpec
from lexer_core.benchmark.case_session import CaseSession
from lexer_core.benchmark.fresh_calls import FreshCalls, Steps, make_fresh_calls
from lexer_core.errors import UnsupportedError
from lexer_core.records import Call, SessionPhases
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
"""Durations of a block's calls on the scripted clock: all different, not sorted."""

_SLOW_MILLISECONDS = (2, 2, 2, 400, 2, 2, 2, 2, 2)
_RESET_MILLISECONDS = 50
_LOOPS = 4
_TOLERANCE = 0.01
_LEAST_SECONDS = 0.02
_FEWEST_CALLS, _MOST_CALLS = 3, 200
_TRIES, _MOST_TRIES, _MOST_SECONDS = 4, 40, 10.0
_CALM = 1.25
"""Calls whose longest is within this factor of the shortest come from a machine that is calm."""

_SLOW_SAMPLES = 20
_DEVICE_CALLS = 9
_PAUSED_CALLS = 5
_PAUSE_PER_CALL, _LONGEST_PAUSE = 2.0, 0.5

_HIDDEN_SHARE = 0.5
_HIDDEN_SECONDS = 1e-3
_WAKING_PAUSE = 0.002
"""Long enough for the threads of a runtime to fall asleep."""
_REMEMBERED_RATIO = 3.0
"""What a hook or a repeated call may differ by from a call on new inputs."""


class ScriptedClock:
    """A clock that advances with each call, and by 50 ns when it is read.

    Parameters
    ----------
    milliseconds
        Durations of the calls, in order; further calls take a millisecond.
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
        self._now += 50  # so that code that waits for the clock to advance does not hang
        return self._now

    def around(self, call: Call) -> Call:
        """Wrap a call so that it advances this clock and is counted."""
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


@SUITE.check("basic", "There is a positive, finite time for each sample.")
def times_are_counted_and_positive(fixture: EngineFixture) -> None:
    """Time blocks of several lengths with the real clock."""
    with fixture.session() as opened:
        call = opened.call(opened.case.trials()[0])
        opened.run(call)
        for count in (1, 7):
            _time(opened, call, count, 1, time.perf_counter_ns)


@SUITE.check("basic", "Each sample is reported on its own, in order.")
def every_sample_is_reported(fixture: EngineFixture) -> None:
    """Time calls of different durations and compare each."""
    _compare(_scripted(fixture, _MILLISECONDS), _MILLISECONDS)


@SUITE.check("basic", "A slow call is reported: tails are not trimmed.")
def slow_call_is_seen(fixture: EngineFixture) -> None:
    """Make one call of a block 200 times slower than the others."""
    _compare(_scripted(fixture, _SLOW_MILLISECONDS), _SLOW_MILLISECONDS)


@SUITE.check("basic", "All engines are measured with the same clock.")
def clock_is_the_one_given(fixture: EngineFixture) -> None:
    """Time calls with a clock that the kit controls."""
    seconds = _scripted(fixture, _MILLISECONDS)
    wanted = sum(_MILLISECONDS) / 1e3
    if abs(seconds.sum() - wanted) > wanted / 2:
        raise CheckFailed(
            f"by the given clock, {len(_MILLISECONDS)} calls take {wanted:g} s; the engine "
            f"reports {seconds.sum():.3g} s.",
            "Use only the clock that lexer_time_calls gets.",
        )


@SUITE.check("basic", "The engine makes exactly the requested calls.")
def calls_are_exactly_as_many(fixture: EngineFixture) -> None:
    """Count the calls of blocks with and without loops."""
    for loops in (1, _LOOPS):
        with fixture.session() as opened:
            real = opened.call(opened.case.trials()[0])
            if loops > 1 and real.reset is not None:
                continue  # calls with a reset are timed one by one
            clock = ScriptedClock(())
            _time(opened, clock.around(real), 5, loops, clock)
        if clock.calls != 5 * loops:
            raise CheckFailed(
                f"for 5 samples of {loops} {'call' if loops == 1 else 'calls'} each, "
                f"{clock.calls} calls were made.",
                "Make exactly count * loops calls; the core warms up.",
            )


@SUITE.check("basic", "A sample of several calls is their mean.")
def loops_are_divided_by(fixture: EngineFixture) -> None:
    """Time samples of several calls with different durations."""
    count = 3
    milliseconds = range(1, count * _LOOPS + 1)
    seconds = _scripted(fixture, milliseconds, loops=_LOOPS)
    means = [sum(milliseconds[i * _LOOPS : (i + 1) * _LOOPS]) / _LOOPS for i in range(count)]
    _compare(seconds, means)


@SUITE.check("full", "Resetting a session's state is not part of the latency.")
def resets_are_left_out(fixture: EngineFixture) -> None:
    """Time calls whose resets take longer than the calls."""
    with fixture.session() as opened:
        real = opened.call(opened.case.trials()[0])
        if real.reset is None:
            raise Skip("the engine keeps no state between calls (it has no lexer_reset_state)")
        clock = ScriptedClock(_MILLISECONDS)
        seconds = _time(opened, clock.around(real), len(_MILLISECONDS), 1, clock)
    if clock.unready:
        raise CheckFailed(
            f"{clock.unready} of {clock.calls} calls were made without a reset.",
            "Call call.reset, unless it is None, before each call.run.",
        )
    _compare(seconds, _MILLISECONDS)


@SUITE.check("basic", "The reported time includes the completion of the work.")
def completion_is_timed(fixture: EngineFixture) -> None:
    """Time a block of slow calls and check whether its outputs are ready afterwards."""
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
        case.first_call()  # includes the fetch, which waits for remaining work
        each = time.perf_counter() - start
        count = min(max(math.ceil(_LEAST_SECONDS / each), _FEWEST_CALLS), _MOST_CALLS)
        for _ in range(_TRIES):
            check = case.check_completion(count)
            if check.plausible:
                break  # always false for asynchronous calls, seldom for a disturbance
    finally:
        case.close()
    if not check.plausible:
        raise CheckFailed(
            f"{count} samples add up to {check.sampled * 1e3:.3g} ms, but took "
            f"{check.elapsed * 1e3:.3g} ms; another call with its outputs took "
            f"{check.waited * 1e3:.3g} ms.",
            "Implement lexer_synchronize, or wait in run until the work is done.",
        )


@SUITE.check("basic", "The work of a call is done in run, the only part that is timed.")
def work_is_done_in_the_call(fixture: EngineFixture) -> None:
    """Time placing, running, fetching and resetting for slow models."""
    for seen in _slow_calls(fixture):
        _expect_work_in_run(seen)


def _expect_work_in_run(seen: _SlowCalls) -> None:
    facts, steps = seen.facts, seen.facts.steps
    work = max(facts.usual, steps.running)
    for hook, excess, taken in (
        ("lexer_fetch_outputs", steps.fetching - facts.copying_outputs, steps.fetching),
        ("lexer_place_inputs", steps.placing - facts.copying_inputs, steps.placing),
        ("lexer_reset_state", seen.resetting - facts.copying_inputs, seen.resetting),
    ):
        if excess > _HIDDEN_SHARE * work and excess > _HIDDEN_SECONDS:
            raise CheckFailed(
                f"{hook} takes {taken * 1e3:.3g} ms, a call {work * 1e3:.3g} ms: it computes.",
                "Compute in session.run, once. Only run is timed; placing and fetching copy, and "
                "resetting restores a state.",
            )


@SUITE.check("basic", "Each call computes its outputs, even on inputs that it had before.")
def answers_are_not_kept(fixture: EngineFixture) -> None:
    """Compare calls on the same inputs with calls on newly placed ones, for slow models."""
    for seen in _slow_calls(fixture):
        _expect_no_kept_answers(seen)


def _expect_no_kept_answers(seen: _SlowCalls) -> None:
    facts = seen.facts
    excess = facts.steps.running - facts.copying_inputs - facts.copying_outputs
    usual = max(seen.shortest, seen.after_pause)
    if excess > _REMEMBERED_RATIO * usual and excess > _HIDDEN_SECONDS:
        raise CheckFailed(
            f"a call on inputs that were used before takes {usual * 1e3:.3g} ms, on new "
            f"ones {facts.steps.running * 1e3:.3g} ms.",
            "Keep no outputs: a benchmark repeats the same call to time its work. What new "
            "inputs of the same shape need is done in lexer_place_inputs.",
        )
    if facts.outputs == "same":
        raise CheckFailed(
            "for other inputs, the outputs are the same bit by bit.", "Keep no outputs."
        )


@SUITE.check("full", "A call's work begins with the call: nothing is computed in advance.")
def nothing_is_computed_between_calls(fixture: EngineFixture) -> None:
    """Compare calls after a pause with calls that follow each other at once, for a slow model."""
    with fixture.session("slow") as opened:
        call = opened.call(opened.case.trials()[0])
        opened.run(call)
        at_once = min(_run_seconds(opened, call) for _ in range(_PAUSED_CALLS))
        pause = min(_LONGEST_PAUSE, _PAUSE_PER_CALL * at_once)
        after_pauses = min(_run_seconds(opened, call, pause=pause) for _ in range(_PAUSED_CALLS))
    saved = at_once - after_pauses
    if saved > _HIDDEN_SHARE * at_once and saved > _HIDDEN_SECONDS:
        raise CheckFailed(
            f"a call takes {at_once * 1e3:.3g} ms; after a pause of {pause * 1e3:.3g} ms, it takes "
            f"{after_pauses * 1e3:.3g} ms.",
            "Compute nothing in advance for the next call, in a thread or elsewhere.",
        )


@SUITE.check("full", "Times of the device are measured.")
def device_times_are_measured(fixture: EngineFixture) -> None:
    """Compare the device's own times with those of the host, for two models."""
    medians = {}
    for name in ("one_input", "slow"):
        with fixture.session(name) as opened:
            call = opened.call(opened.case.trials()[0])
            opened.run(call)
            engine = opened.engine
            with engine.call_context(opened.session):
                start = time.perf_counter()
                timings = engine.time_calls(
                    opened.session, call, _DEVICE_CALLS, 1, opened.device, time.perf_counter_ns
                )
                elapsed = time.perf_counter() - start
        if timings.device is None:
            raise Skip("the engine reports no times of a device")
        if opened.device.kind == "cpu":
            raise CheckFailed(
                "Timings.device is set for the CPU.",
                "The host's clock measures the CPU: return device=None.",
            )
        if timings.device.sum() > elapsed * (1 + _TOLERANCE):
            raise CheckFailed(
                f"{_DEVICE_CALLS} calls take {elapsed * 1e3:.3g} ms; by the device's own times, "
                f"{timings.device.sum() * 1e3:.3g} ms.",
                "Return in Timings.device the seconds per call between events of the device.",
            )
        medians[name] = sorted(timings.device)[_DEVICE_CALLS // 2]
    if medians["slow"] <= medians["one_input"]:
        raise CheckFailed(
            "by the device's own times, a large model is not slower than a tiny one.",
            "Return in Timings.device the seconds per call between events of the device.",
        )


@SUITE.check("full", "The time of compilation is part of the time of loading.")
def compile_time_is_plausible(fixture: EngineFixture) -> None:
    """Compare the session's phases with the time that creating and placing take."""
    start = time.perf_counter()
    with fixture.session() as opened:
        opened.call(opened.case.trials()[0])
        elapsed = time.perf_counter() - start
        phases = getattr(opened.session, "phases", None)
    if phases is None:
        raise Skip("the session reports no phases")
    if not isinstance(phases, SessionPhases):
        raise CheckFailed(
            f"session.phases is a {type(phases).__name__}.", "Set it to a SessionPhases."
        )
    seconds = phases.compile_seconds
    if seconds is None:
        return
    if not 0 <= seconds <= elapsed * (1 + _TOLERANCE):
        raise CheckFailed(
            f"session.phases.compile_seconds is {seconds:.3g}; creating the session and placing "
            f"its inputs took {elapsed:.3g} s.",
            "Report the seconds that compilation took.",
        )


@frozen(kw_only=True)
class _SlowCalls:
    """Calls of a slow model, in seconds.

    The steps of calls on new inputs, the shortest sample, the shortest call on the inputs of
    the samples after a pause, and the shortest reset.
    """

    facts: FreshCalls
    shortest: float
    after_pause: float
    resetting: float


def _slow_calls(fixture: EngineFixture) -> list[_SlowCalls]:
    """Call slow models on the same and on other inputs, once for all checks."""
    seen = []
    for name in ("slow", "slow_pair"):
        if name == "slow_pair" and not {"several_inputs", "several_outputs"}.isdisjoint(
            fixture.declared.cannot
        ):
            continue
        if name not in fixture.fresh_calls:
            try:
                fixture.fresh_calls[name] = _measure_slow_calls(fixture, name)
            except UnsupportedError:
                if name == "slow":
                    raise
                continue  # the checks of outputs report it
        seen.append(fixture.fresh_calls[name])
    return seen


def _measure_slow_calls(fixture: EngineFixture, name: str) -> _SlowCalls:
    # With a cache folder, as in a benchmark: answers may be kept there, too.
    config = fixture.config(cache_dir=fixture.new_folder())
    with fixture.session(name, config=config) as opened:
        case, engine, session = opened.case, opened.engine, opened.session
        arrays = case.trials()[0]
        call = opened.call(arrays)
        outputs = opened.fetch(opened.run(call))
        samples = _time(opened, call, _SLOW_SAMPLES, 1, time.perf_counter_ns)
        tries: list[FreshCalls] = []
        resets: list[float] = []
        after_pause: list[float] = []
        begin = time.perf_counter()
        while True:
            number = len(tries) + 1
            with engine.call_context(session):
                tries.append(
                    make_fresh_calls(
                        engine,
                        session,
                        opened.device,
                        call,
                        # Other values in each try: what is kept of one must not help the next.
                        case.call_inputs({n: a + np.float32(number) for n, a in arrays.items()}),
                        outputs=outputs,
                        measured=0.0,
                        samples=1,
                        loops=1,
                    )
                )
                resets.append(_reset_seconds(call))
            # On a busy machine, threads take long to wake up after a pause, as after a
            # placement. Nothing is placed here: an engine may keep only its last answer.
            after_pause.append(_after_pause(opened, call))
            seen = _shortest(
                tries,
                shortest=float(samples.min()),
                after_pause=min(after_pause),
                resetting=min(resets),
            )
            # More tries, because a busy machine can disturb all of the first ones, and alike.
            is_enough = number >= _TRIES and (
                not _is_suspicious(seen)
                or (
                    sum(each.undisturbed for each in tries) >= _TRIES
                    and _is_calm([each.steps for each in tries])
                )
            )
            is_late = time.perf_counter() - begin > _MOST_SECONDS
            if is_enough or is_late or number >= _MOST_TRIES:
                return seen
            time.sleep(_WAKING_PAUSE)  # a process that has slept is served first


def _shortest(
    tries: Sequence[FreshCalls], *, shortest: float, after_pause: float, resetting: float
) -> _SlowCalls:
    steps = [each.steps for each in tries]
    return _SlowCalls(
        facts=attrs.evolve(
            tries[0],
            usual=min(each.usual for each in tries),
            steps=Steps(
                placing=min(each.placing for each in steps),
                running=min(each.running for each in steps),
                fetching=min(each.fetching for each in steps),
            ),
        ),
        shortest=shortest,
        after_pause=after_pause,
        resetting=resetting,
    )


def _is_calm(tries: Sequence[Steps]) -> bool:
    """Return whether a call with all that belongs to it took about as long each time."""
    seconds = [each.placing + each.running + each.fetching for each in tries]
    return max(seconds) <= _CALM * min(seconds)


def _is_suspicious(seen: _SlowCalls) -> bool:
    try:
        _expect_work_in_run(seen)
        _expect_no_kept_answers(seen)
    except CheckFailed:
        return True
    return False


def _run_seconds(opened: OpenSession, call: Call, *, pause: float = 0.0) -> float:
    """Return the time of a call, without resetting, after a pause."""
    engine, session = opened.engine, opened.session
    with engine.call_context(session):
        if call.reset is not None:
            call.reset()
        time.sleep(pause)
        start = time.perf_counter()
        with engine.naming("session.run"):
            call.run()
        engine.synchronize(session, opened.device)
        return time.perf_counter() - start


def _after_pause(opened: OpenSession, call: Call) -> float:
    """Return the time of a call that comes after the same call and a pause, in one context."""
    engine, session = opened.engine, opened.session
    with engine.call_context(session), engine.naming("session.run"):
        for pause in (0.0, _WAKING_PAUSE):
            if call.reset is not None:
                call.reset()
            time.sleep(pause)
            start = time.perf_counter()
            call.run()
            engine.synchronize(session, opened.device)
    return time.perf_counter() - start


def _reset_seconds(call: Call) -> float:
    start = time.perf_counter()
    if call.reset is not None:
        call.reset()
    return time.perf_counter() - start


def _scripted(
    fixture: EngineFixture, milliseconds: Sequence[int], *, loops: int = 1
) -> npt.NDArray[Any]:
    with fixture.session() as opened:
        real = opened.call(opened.case.trials()[0])
        if real.reset is not None and loops > 1:
            raise Skip("the engine keeps state between calls, so every sample is one call")
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
                f"sample {number} of {len(milliseconds)} took {wanted:g} ms by the given clock; "
                f"the engine reports {got * 1e3:g} ms.",
                "Return in Timings.host the seconds per call of each sample, in order.",
            )
