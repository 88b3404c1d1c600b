"""Is the work of a call done in the call?

A latency is the time of ``session.run`` on inputs that were placed before. An engine
that computes while outputs are fetched or inputs are placed, or that returns what it
remembers of these inputs, would be fast without being faster. So after the last sample,
the engine is called on newly placed inputs in which a value differs, and each step is
timed.
"""

from __future__ import annotations

import copy
import math
import time
from typing import TYPE_CHECKING, Any, Literal

import attrs
import numpy as np
from attrs import frozen

from lexer_core.benchmark.varied_inputs import one_value_changed
from lexer_core.errors import EngineError
from lexer_core.machine.system_counters import preemptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.engines.engine import Engine
    from lexer_core.records import Call, CallInputs, CallStructure, Device, Session

    Arrays = Mapping[str, npt.NDArray[Any]]

__all__ = ["FreshCalls", "Steps", "make_fresh_calls", "plausible_copy"]

_RATIO = 3.0
"""Work elsewhere of less than this many calls is not distinguished from overhead."""

_LEAST_SECONDS = 1e-3
"""What all calls together must leave unexplained, so that a disturbance does not count."""

_HOOK_SECONDS = 50e-6
_TENSOR_SECONDS = 20e-6
"""What a hook, and the conversion of a tensor, may take for the smallest model."""

_COPIES = 10.0
"""How much longer than a plain copy it may take to convert elements and their order."""

_OBJECT_COPIES = 3.0
"""How much longer than a copy it may take to copy and restore objects."""

_DEVICE_BYTES_PER_SECOND = 1e9
"""The slowest expected transfer between a device and the host."""

_FEWEST_CALLS, _MOST_CALLS = 3, 50
_REPEATED_SECONDS, _REPEATED_SECONDS_IF_BUSY = 0.5, 5.0
"""How often, and for how long, a call is repeated that took implausibly long.

Longer if others have taken the CPU away during nearly all of these calls.
"""

_PAUSE_SECONDS = 0.002
"""Long enough for the threads of a runtime to fall asleep."""

_MOST_COPIES = 5
"""How often a copy is timed on a busy machine: a disturbed one would explain any work."""

_COPIED_AT_ONCE = 64 * 2**20


@frozen(kw_only=True)
class Steps:
    """The time of each step of a call on newly placed inputs, in seconds.

    ``placing`` leaves out the compile time that the session reports.
    """

    placing: float
    running: float
    fetching: float


@frozen(kw_only=True)
class FreshCalls:
    """Calls on newly placed inputs, compared with calls as they were measured; in seconds.

    Parameters
    ----------
    usual
        The time of a call on the inputs that were measured, as the engine reports it:
        during the rounds or afterwards, whichever is longer.
    steps
        The shortest time of each step.
    calls
        How many calls that is the shortest of.
    undisturbed
        How many of these no other process has interrupted.
    copying_inputs, copying_outputs
        How long it may take to copy them, without a computation.
    outputs
        The outputs for other inputs are ``"same"`` bit by bit, ``"other"``: they differ
        by more than the tolerance, or ``"unknown"``: anything else.
    """

    usual: float
    steps: Steps
    calls: int
    undisturbed: int
    copying_inputs: float
    copying_outputs: float
    outputs: Literal["same", "other", "unknown"] = "unknown"

    @property
    def problem(self) -> str:
        """Which work is not part of the measured calls, as a clause; empty if all is."""
        steps = self.steps
        usual = _duration(self.usual)
        if self._is_work(steps.fetching - self.copying_outputs):
            return (
                f"the engine works in lexer_fetch_outputs, which is not timed: a call takes "
                f"{usual}, fetching its outputs {_duration(steps.fetching)}"
            )
        # New inputs and outputs are in memory that no cache holds, and which the system
        # may have to provide first.
        if self._is_work(steps.running - self.copying_inputs - self.copying_outputs):
            return (
                f"the engine remembers outputs: a call takes {usual} on the inputs that were "
                f"measured, and {_duration(steps.running)} on others"
            )
        if self._is_work(steps.placing - self.copying_inputs):
            return (
                f"the engine works in lexer_place_inputs, which is not timed: a call takes "
                f"{usual}, placing its inputs {_duration(steps.placing)}"
            )
        return ""

    def _is_work(self, excess: float) -> bool:
        return excess > _RATIO * self.usual and excess * self.calls > _LEAST_SECONDS


def make_fresh_calls(
    engine: Engine,
    session: Session,
    device: Device,
    call: Call,
    inputs: CallInputs,
    *,
    outputs: Arrays,
    measured: float,
    samples: int,
    loops: int,
) -> FreshCalls:
    """Call a session on newly placed inputs.

    Calls are repeated only while a step takes implausibly long, so that the shortest
    of many decides, and a correct engine is called once or twice.

    Parameters
    ----------
    engine, session, device
        The session, in its call context.
    call, inputs, outputs
        The call that was measured, its inputs, and its outputs.
    measured
        The median of its samples.
    samples, loops
        How many samples of how many calls show what a call takes now: the machine may
        have become slower.
    """
    timed = engine.time_calls(session, call, samples, loops, device, time.perf_counter_ns)
    arrays = inputs.arrays
    facts = FreshCalls(
        usual=max(measured, float(np.median(timed.host))),
        steps=Steps(placing=math.inf, running=math.inf, fetching=math.inf),
        calls=0,
        undisturbed=0,
        copying_inputs=plausible_copy(arrays, device) + _copies_of_objects(inputs.structure),
        copying_outputs=plausible_copy(outputs, device),
    )
    fresh: Callable[[Arrays], tuple[Steps, Arrays]] = lambda changed: _call(  # noqa: E731
        engine, session, device, attrs.evolve(inputs, arrays=changed), tuple(outputs)
    )
    known: Literal["same", "other", "unknown"] = "unknown"
    usual, after_pause = facts.usual, math.inf
    begin = time.perf_counter()
    for number in range(_MOST_CALLS):
        preempted = preemptions()
        try:
            steps, latest = fresh(one_value_changed(arrays, number))
        except EngineError:
            # The model does not accept the value, or no second placement.
            steps, latest = fresh({name: np.array(array) for name, array in arrays.items()})
        else:
            if number == 0:
                known = _compared(latest, outputs)
        facts = attrs.evolve(
            facts,
            steps=_shortest(facts.steps, steps),
            calls=number + 1,
            undisturbed=facts.undisturbed + (preemptions() == preempted),
        )
        if not _may_be_work(facts):
            break
        # On a busy machine, threads take long to wake up after a pause, as after a placement:
        # so a call on new inputs is compared with one that comes after a pause, too.
        after_pause = min(after_pause, _after_pause(engine, session, device, call))
        facts = attrs.evolve(facts, usual=max(usual, after_pause))
        is_clear = facts.undisturbed >= _FEWEST_CALLS
        limit = _REPEATED_SECONDS if is_clear else _REPEATED_SECONDS_IF_BUSY
        if facts.calls >= _FEWEST_CALLS and time.perf_counter() - begin > limit:
            break
        # A process that has slept is served first.
        time.sleep(_PAUSE_SECONDS)
    if known == "same" and not facts.problem:
        known = _other_values(fresh, arrays, outputs)
    if known == "other":
        # Outputs that differ for the same inputs say nothing about other inputs.
        _, again = fresh({name: np.array(array) for name, array in arrays.items()})
        known = "unknown" if _compared(again, outputs) == "other" else "other"
    return attrs.evolve(facts, outputs=known)


def _may_be_work(facts: FreshCalls) -> bool:
    """Whether more calls could accumulate to a problem."""
    return bool(attrs.evolve(facts, calls=_MOST_CALLS).problem)


def _call(
    engine: Engine,
    session: Session,
    device: Device,
    inputs: CallInputs,
    expected: Sequence[str],
) -> tuple[Steps, Arrays]:
    compiled = engine.phases(session).compile_seconds or 0.0
    start = time.perf_counter()
    placed = engine.place_inputs(session, inputs, device)
    engine.synchronize(session, device)
    placing = time.perf_counter() - start
    compiling = (engine.phases(session).compile_seconds or 0.0) - compiled
    placing -= min(placing, max(0.0, compiling))
    call = engine.make_call(session, placed)
    if call.reset is not None:
        call.reset()
    start = time.perf_counter()
    with engine.naming("session.run"):
        returned = call.run()
    engine.synchronize(session, device)
    ran = time.perf_counter()
    outputs = engine.fetch_outputs(session, returned, expected=expected)
    fetched = time.perf_counter()
    return Steps(placing=placing, running=ran - start, fetching=fetched - ran), outputs


def _after_pause(engine: Engine, session: Session, device: Device, call: Call) -> float:
    """Return the time of a call on the inputs that were measured, after a pause.

    Nothing is placed meanwhile: an engine may remember only the inputs that it got last.
    """
    if call.reset is not None:
        call.reset()
    time.sleep(_PAUSE_SECONDS)
    start = time.perf_counter()
    with engine.naming("session.run"):
        call.run()
    engine.synchronize(session, device)
    return time.perf_counter() - start


def _shortest(one: Steps, other: Steps) -> Steps:
    return Steps(
        placing=min(one.placing, other.placing),
        running=min(one.running, other.running),
        fetching=min(one.fetching, other.fetching),
    )


def _other_values(
    fresh: Callable[[Arrays], tuple[Steps, Arrays]], arrays: Arrays, outputs: Arrays
) -> Literal["same", "other", "unknown"]:
    """Compare the outputs for inputs that differ in nearly all values."""
    # Not imported by a worker before its samples are taken.
    from lexer_core.model.second_inputs import second_inputs

    for changed in second_inputs(arrays):
        try:
            return _compared(fresh(changed)[1], outputs)
        except EngineError:
            continue  # the model does not accept these; the next ones differ less
    return "unknown"


def _compared(got: Arrays, before: Arrays) -> Literal["same", "other", "unknown"]:
    pairs = [(got[name], array) for name, array in before.items()]
    if all(
        one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
        for one, other in pairs
    ):
        return "same"
    from lexer_core.validation import judge  # see _other_values

    return "other" if judge(got, before, reference_name="").status == "fail" else "unknown"


def plausible_copy(arrays: Arrays, device: Device) -> float:
    """Return how many seconds it may take to copy arrays from or to a device."""
    seconds = _HOOK_SECONDS + _TENSOR_SECONDS * len(arrays) + _COPIES * _copy_seconds(arrays)
    if device.kind != "cpu":
        seconds += sum(array.nbytes for array in arrays.values()) / _DEVICE_BYTES_PER_SECOND
    return seconds


def _copies_of_objects(structure: CallStructure) -> float:
    """Return how many seconds placing may take for the objects among the arguments."""
    try:
        return _OBJECT_COPIES * _undisturbed_seconds(lambda: copy.deepcopy(structure))
    except Exception:  # the user's objects may raise anything; then placing copies none
        return 0.0


def _copy_seconds(arrays: Arrays) -> float:
    """Return how many seconds a plain copy of arrays takes here."""

    def work() -> None:
        for array in arrays.values():
            for part in _parts(array):
                part.copy()

    return _undisturbed_seconds(work)


def _undisturbed_seconds(work: Callable[[], object]) -> float:
    """Return how long work takes while no other process takes the CPU away."""
    shortest = math.inf
    for _ in range(_MOST_COPIES):
        preempted, start = preemptions(), time.perf_counter()
        work()
        shortest = min(shortest, time.perf_counter() - start)
        if preemptions() == preempted:
            break
    return shortest


def _parts(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Split an array, so that copying it takes little memory."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array
    step = max(1, _COPIED_AT_ONCE // max(1, array.itemsize))
    for start in range(0, len(flat) if flat.ndim else 0, step):
        yield flat[start : start + step]


def _duration(seconds: float) -> str:
    """Return a duration with three digits: ``"0.25 µs"``, ``"19 ms"``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.2g} µs"
