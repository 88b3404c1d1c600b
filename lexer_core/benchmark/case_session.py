"""What happens in the process of a case?

A worker process hosts a :class:`CaseSession`; the parent process does if isolation
is off. It only executes and measures: the parent process decides how much to
measure and analyses the samples, so that a worker imports only what its engine
needs.
"""

from __future__ import annotations

import gc
import importlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from lexer_core.benchmark.case_records import (
    Block,
    CaseSpec,
    CompletionCheck,
    FinalFacts,
    FirstCall,
    LoadFacts,
)
from lexer_core.benchmark.fresh_calls import FreshCalls, make_fresh_calls, plausible_copy
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import HookError
from lexer_core.machine.affinity import move_to_common_cpu, observed_threads
from lexer_core.machine.memory import (
    keep_freed_memory,
    reset_peak_memory,
    return_freed_memory,
)
from lexer_core.machine.system_counters import read_counters
from lexer_core.model.structure import constants_of
from lexer_core.model.value_state import ValueState, state_of
from lexer_core.records import ProfiledOperation  # noqa: TC001 - a reply's declared type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy.typing as npt

    from lexer_core.engines.engine import Engine
    from lexer_core.records import Call, CallInputs, Device, ExportedModel, Session

__all__ = ["CaseSession", "own_export"]

Result = TypeVar("Result")

_CHECK_TRIES = 10
_RENEWED = (
    "its calls change their inputs: each call got new ones, which were made outside the timed "
    "region"
)


def own_export(spec: CaseSpec) -> ExportedModel:
    """Return the export of a case, with a live model of its own if it is one."""
    if spec.model_file is None:
        return spec.exported
    from lexer_core.model.by_value import load_model  # only a live model needs it

    if spec.config.isolated:
        keep_freed_memory()
    exported = attrs.evolve(spec.exported, model=load_model(spec.model_file))
    if spec.config.isolated:
        # What it took to send the model is not the engine's memory.
        return_freed_memory()
        reset_peak_memory()
    return exported


class CaseSession:
    """One case: import, load, first call, blocks, outputs, close."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._session: Session | None = None
        self._device: Device | None = None
        self._call: Call | None = None
        self._inputs: CallInputs | None = None
        self._last_outputs: Mapping[str, npt.NDArray[Any]] = {}
        self._placed: object = None
        self._notes: list[str] = []
        self._placed_state: ValueState | None = None
        """Before the first call; ``None`` if each call gets new inputs."""
        self._loaded: LoadFacts | None = None
        self._load_start = 0.0
        self._expected: tuple[str, ...] = ()
        self._frozen = False
        self._isolated = False
        self._asked = False
        """Whether a precision was asked for."""

    def import_engine(self, name: str) -> bool:
        """Import the plugin and its runtime; return whether its sessions keep state."""
        self._engine = EngineRegistry().get(name)
        for module in self._engine.info.runtime_modules:
            importlib.import_module(module)
        return self._engine.keeps_state

    def check_device(self, engine: str, device: str) -> None:
        """Check that the engine has the device.

        Raises
        ------
        DeviceUnavailableError
            It does not.
        """
        if self._engine is None or self._engine.name != engine:
            self.import_engine(engine)
        assert self._engine is not None
        self._engine.find_device(device)

    def load(self, spec: CaseSpec) -> LoadFacts:
        """Create the session."""
        if self._engine is None or self._engine.name != spec.engine:
            self.import_engine(spec.engine)
        engine = self._engine
        assert engine is not None
        exported = own_export(spec)
        device = engine.find_device(spec.device)
        start = time.perf_counter()
        session = engine.create_session(exported, device, spec.config)
        seconds = time.perf_counter() - start
        self._session, self._device = session, device
        self._notes, self._placed_state = [], None
        self._isolated = spec.config.isolated
        self._asked = bool(spec.config.precision)
        self._expected = tuple(output.name for output in exported.outputs)
        self._load_start = start
        phases = engine.phases(session, seconds)
        self._loaded = LoadFacts(load_seconds=seconds, phases=phases, device=device)
        return self._loaded

    def place(self, inputs: CallInputs) -> LoadFacts:
        """Move the inputs to the session's device; compiling for them counts as loading."""
        return self._retried(lambda: self._place(inputs))

    def _place(self, inputs: CallInputs) -> LoadFacts:
        engine, session, device = self._engine, self._session, self._device
        assert engine is not None
        assert session is not None
        assert device is not None
        with engine.call_context(session):
            placed = engine.place_inputs(session, inputs, device)
        self._call = engine.make_call(session, placed)
        self._inputs, self._placed = inputs, placed
        loaded = self._loaded
        assert loaded is not None
        phases = engine.phases(session, time.perf_counter() - self._load_start)
        before, after = loaded.phases.compile_seconds or 0.0, phases.compile_seconds or 0.0
        self._loaded = attrs.evolve(
            loaded,
            phases=phases,
            load_seconds=loaded.load_seconds + max(0.0, after - before),
            caveat=engine.caveat(session),
            uses_tf32=engine.uses_tf32(session),
        )
        return self._loaded

    def first_call(self) -> FirstCall:
        """Make the first call.

        If it raises, and the session can relax its context, it is made again. If it
        changes its inputs, every further call gets new ones.
        """
        inputs = self._inputs
        assert inputs is not None
        seconds, outputs = self._retried(
            self._first_call, again=lambda: (self._place(inputs), self._first_call())[1]
        )
        # The state of an object that cannot be read may have changed.
        constants = constants_of(inputs.structure)
        hidden = any(not state_of(value).is_complete for _, value in constants)
        renewed = hidden or state_of(self._placed) != self._placed_state
        if renewed:
            engine, session, device, _ = self._live()
            self._call = engine.make_renewing_call(session, inputs, device)
            self._placed = self._placed_state = None
            self._notes.append(_RENEWED)
        notes = tuple(self._notes)
        return FirstCall(seconds=seconds, outputs=outputs, renewed=renewed, notes=notes)

    def _first_call(self) -> tuple[float, Mapping[str, npt.NDArray[Any]]]:
        engine, session, device, call = self._live()
        self._placed_state = state_of(self._placed)
        with engine.call_context(session):
            if call.reset is not None:
                call.reset()
            start = time.perf_counter()
            outputs = call.run()
            engine.synchronize(session, device)
            seconds = time.perf_counter() - start
            return seconds, engine.fetch_outputs(session, outputs, expected=self._expected)

    def _retried(
        self, action: Callable[[], Result], *, again: Callable[[], Result] | None = None
    ) -> Result:
        """Do something; if it raises, again in each less strict context that the session has."""
        try:
            return action()
        except Exception as error:  # the user's model may raise anything
            assert self._engine is not None
            assert self._session is not None
            cause = error.__cause__ if isinstance(error, HookError) else None
            failed = cause if isinstance(cause, Exception) else error
            while note := self._engine.relax_call_context(self._session, failed):
                try:
                    result = (again or action)()
                except Exception:  # noqa: S112 - the first error is the one to report
                    continue
                self._notes.append(note)
                return result
            raise

    def call_again(self) -> Mapping[str, npt.NDArray[Any]]:
        """Make a second call in the state that the first one left; return its outputs."""
        engine, session, device, call = self._live()
        with engine.call_context(session):
            outputs = call.run()
            engine.synchronize(session, device)
            return engine.fetch_outputs(session, outputs, expected=self._expected)

    def discard(self, count: int) -> None:
        """Make the calls after a switch between processes that are not samples."""
        engine, session, device, call = self._live()
        with engine.call_context(session):
            for _ in range(count):
                if call.reset is not None:
                    call.reset()
                call.run()
            engine.synchronize(session, device)

    def block(self, count: int, loops: int = 1, discard: int = 0) -> Block:
        """Take ``count`` samples of ``loops`` calls each, after ``discard`` calls."""
        engine, session, device, call = self._live()
        if self._isolated:  # the parent process must keep its own CPUs
            move_to_common_cpu()
        with self._without_collections():
            if discard:
                self.discard(discard)
            with engine.call_context(session):
                before = read_counters(gpu=device.uuid)
                start = time.perf_counter()
                timings = engine.time_calls(
                    session, call, count, loops, device, time.perf_counter_ns
                )
                elapsed = time.perf_counter() - start
                after = read_counters(gpu=device.uuid)
                engine.check_elapsed(timings, loops, elapsed)
        return Block(
            samples=timings.host,
            device_samples=timings.device,
            loops=loops,
            elapsed=elapsed,
            before=before,
            after=after,
        )

    @contextmanager
    def _without_collections(self) -> Iterator[None]:
        """Collect garbage before and after a block, but not in it."""
        if not self._frozen:
            # Objects that exist now are never collected, so a collection between
            # blocks is short.
            gc.collect()
            gc.freeze()
            self._frozen = True
        collecting = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if collecting:
                gc.enable()
            gc.collect()

    def check_completion(self, count: int, loops: int = 1) -> CompletionCheck:
        """Time a block including the fetch of its last outputs.

        This reveals an engine that returns before its work is done: the fetch waits
        for work that is in no sample. Fetching the same outputs again shows the cost of
        the fetch alone; more than a copy or a call can explain is work, and counts.
        """
        engine, session, device, call = self._live()
        for _ in range(_CHECK_TRIES):
            resets = _TimedReset(call.reset)
            timed = call if call.reset is None else attrs.evolve(call, reset=resets)
            with engine.call_context(session):
                start = time.perf_counter()
                timings = engine.time_calls(
                    session, timed, count, loops, device, time.perf_counter_ns
                )
                ended = time.perf_counter()
                if call.reset is not None:
                    call.reset()
                sampled = time.perf_counter()
                outputs = call.run()
                arrays = engine.fetch_outputs(session, outputs, expected=self._expected)
                fetched = time.perf_counter()
                engine.fetch_outputs(session, outputs, expected=self._expected)
                fetching = time.perf_counter() - fetched
            longest = max(plausible_copy(arrays, device), float(timings.host.mean()))
            check = CompletionCheck(
                sampled=float(timings.host.sum()) * loops,
                elapsed=ended - start - resets.seconds,
                waited=max(0.0, fetched - sampled - min(fetching, longest)),
                calls=count * loops,
            )
            # A disturbance of the machine must not look like an engine's error.
            if check.plausible:
                break
        return check

    def finish(self) -> FinalFacts:
        """Fetch the outputs of another call, and read the placement and the threads."""
        engine, session, _, call = self._live()
        usage = engine.device_usage(session)
        with engine.call_context(session):
            if call.reset is not None:
                call.reset()
            outputs = engine.fetch_outputs(session, call.run(), expected=self._expected)
        self._last_outputs = outputs
        threads = observed_threads()
        before = self._placed_state
        return FinalFacts(
            outputs=outputs,
            inputs_changed=before is not None and state_of(self._placed) != before,
            placement=engine.describe_placement(session),
            threads=threads,
            usage=usage,
            computed_precision=engine.computed_precision(session) if self._asked else "",
        )

    def check_fresh_calls(self, measured: float, samples: int, loops: int = 1) -> FreshCalls:
        """Call the session on newly placed inputs, after :meth:`finish`."""
        engine, session, device, call = self._live()
        assert self._inputs is not None
        with engine.call_context(session):
            return make_fresh_calls(
                engine,
                session,
                device,
                call,
                self._inputs,
                outputs=self._last_outputs,
                measured=measured,
                samples=samples,
                loops=loops,
            )

    def second_call(self, inputs: CallInputs) -> Mapping[str, npt.NDArray[Any]]:
        """Make one call with other inputs; return its outputs."""
        engine, session, device, _ = self._live()
        with engine.call_context(session):
            call = engine.make_call(session, engine.place_inputs(session, inputs, device))
            if call.reset is not None:
                call.reset()
            return engine.fetch_outputs(session, call.run(), expected=self._expected)

    def can_profile(self) -> bool:
        """Return whether the engine's plugin can profile calls, before anything is loaded."""
        assert self._engine is not None
        return self._engine.implements("lexer_profile_calls")

    def profile(self, count: int) -> tuple[ProfiledOperation, ...] | None:
        """Profile ``count`` calls; ``None`` if the engine cannot tell where their time goes."""
        engine, session, _, call = self._live()
        with engine.call_context(session):
            return engine.profile_calls(session, call, count)

    def close(self) -> None:
        """Release the session; may be called twice."""
        session, self._session = self._session, None
        self._call = self._inputs = self._placed = None
        self._last_outputs = {}
        if self._frozen:
            gc.unfreeze()
            self._frozen = False
        if session is not None:
            session.close()

    def _live(self) -> tuple[Engine, Session, Device, Call]:
        assert self._engine is not None
        assert self._session is not None
        assert self._device is not None
        assert self._call is not None
        return self._engine, self._session, self._device, self._call


class _TimedReset:
    """A reset, and the seconds that it took in all its calls."""

    def __init__(self, reset: Callable[[], object] | None) -> None:
        self._reset = reset
        self.seconds = 0.0

    def __call__(self) -> None:
        start = time.perf_counter()
        assert self._reset is not None
        self._reset()
        self.seconds += time.perf_counter() - start
