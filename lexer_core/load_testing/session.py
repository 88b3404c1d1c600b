"""What happens in the process of a case that is tested under load?

The instances are threads of this process. Each has placed inputs of its own, and a
session of its own unless one session is shared.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import frozen

from lexer_core.benchmark.case_session import CaseSession, own_export
from lexer_core.errors import UnsupportedError
from lexer_core.load_testing.blocks import ClosedBlock, GilFacts, OpenBlock
from lexer_core.load_testing.dispatch import Queue, serve, serve_batches, serve_in_turn
from lexer_core.load_testing.precise_wait import SWITCH_INTERVAL, PreciseWait, remove_timer_slack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from lexer_core.benchmark.case_records import CaseSpec
    from lexer_core.load_testing.measure import Requests
    from lexer_core.records import Session

__all__ = ["InstanceFacts", "LoadSession"]

_LEAD_SECONDS = 0.005
"""From the start of a block to its first arrival, so that every thread waits for it."""

_CHECKING_CALLS = 5
_PROBE_SECONDS = 0.1
_PROBE_NAP = 1e-4
_NEVER = 10.0
"""Seconds after which a thread would have to give the global lock away."""


@frozen(kw_only=True, eq=False)
class InstanceFacts:
    """The outputs of each instance, of calls that all of them made at the same time."""

    outputs: tuple[Mapping[str, npt.NDArray[Any]], ...]


@frozen(kw_only=True, eq=False)
class _Instance:
    """A thread that serves requests, and what it calls."""

    session: Session
    call: Callable[[], Any]
    thread: _Thread


class LoadSession(CaseSession):
    """One case, with several instances that serve requests."""

    def __init__(self) -> None:
        super().__init__()
        self._instances: list[_Instance] = []

    def open_instances(
        self, spec: CaseSpec, instances: int, *, shared_session: bool
    ) -> InstanceFacts:
        """Start the threads, with sessions and inputs for each; call all of them at once.

        Raises
        ------
        UnsupportedError
            Something has to be done before each call that does not count as part of it.
        """
        engine, session, device, call = self._live()
        if call.reset is not None:
            raise UnsupportedError(
                "its calls change their inputs or its state, which has to be restored before "
                "each of them: a request would not count that time.",
                engine=engine.name,
            )
        for number in range(instances):
            if number == 0 or shared_session:
                each = session
            else:
                each = engine.create_session(own_export(spec), device, spec.config)
            self._instances.append(self._instance(each))
        self._together(lambda instance: [instance.call() for _ in range(_CHECKING_CALLS)])
        return self.outputs_at_once()

    def outputs_at_once(self) -> InstanceFacts:
        """Call all instances at the same time, once, and return their outputs."""
        return InstanceFacts(outputs=tuple(self._together(self._fetched)))

    def closed_block(self, concurrency: int, seconds: float) -> ClosedBlock:
        """Let some of the threads make calls one after the other, for some seconds."""
        with self._undisturbed():
            start = time.perf_counter() + _LEAD_SECONDS
            until = start + seconds

            def turns(instance: _Instance) -> list[tuple[float, float]]:
                PreciseWait()(start)
                return serve_in_turn(instance.call, until, clock=time.perf_counter)

            calls = self._together(turns, self._instances[:concurrency])
        times = np.array([call for turns_of in calls for call in turns_of])
        return ClosedBlock(
            latencies=times[:, 1] - times[:, 0],
            elapsed=float(times[:, 1].max() - times[:, 0].min()),
        )

    def open_block(self, requests: Requests) -> OpenBlock:
        """Serve requests that arrive at their times."""
        waits = [PreciseWait() for _ in self._instances]
        with self._undisturbed():
            start = time.perf_counter() + _LEAD_SECONDS
            queue = Queue(
                (requests.due + start).tolist(),
                limit=requests.limit,
                most_late=requests.most_late,
                longest_wait=requests.longest_wait,
            )
            unused = iter(waits)

            def work(instance: _Instance) -> None:
                wait = next(unused)
                try:
                    if requests.most > 1:
                        serve_batches(
                            queue,
                            instance.call,
                            most=requests.most,
                            longest=requests.batch_wait,
                            clock=time.perf_counter,
                            wait_until=wait,
                        )
                    else:
                        serve(queue, instance.call, clock=time.perf_counter, wait_until=wait)
                except BaseException:
                    queue.end()
                    raise

            before = time.process_time()
            self._together(work)
            cpu = time.process_time() - before
            elapsed = time.perf_counter() - start
        return OpenBlock(
            starts=np.array(queue.starts) - start,
            ends=np.array(queue.ends) - start,
            lateness=np.array(queue.lateness),
            cpu_seconds=max(0.0, cpu - sum(wait.spun for wait in waits)),
            elapsed=elapsed,
            gave_up=queue.gave_up,
        )

    def probe_gil(self) -> GilFacts:
        """Count how often another thread of Python runs during calls, and without them.

        While it does, a thread that runs Python is not asked to let others run, so that
        only an engine that releases the global lock does.
        """
        instance = self._instances[0]
        turns: list[float] = []

        def take_turns(until: float) -> None:
            while (now := time.perf_counter()) < until:
                turns.append(now)
                time.sleep(_PROBE_NAP)

        start = time.perf_counter()
        take_turns(start + _PROBE_SECONDS)
        alone = len(turns) / (time.perf_counter() - start)
        turns.clear()
        interval = sys.getswitchinterval()
        sys.setswitchinterval(_NEVER)
        try:
            start = time.perf_counter()
            until = start + _PROBE_SECONDS
            instance.thread.begin(
                lambda: self._in_context(
                    instance, lambda _: serve_in_turn(instance.call, until, clock=time.perf_counter)
                )
            )
            take_turns(until)
            calls = instance.thread.result()
        finally:
            sys.setswitchinterval(interval)
        first, last = calls[0][0], calls[-1][1]
        during = sum(first <= turn <= last for turn in turns) / (last - first)
        return GilFacts(during_calls=during, alone=alone)

    def close(self) -> None:
        """Release the sessions and end the threads; may be called twice."""
        instances, self._instances = self._instances, []
        for instance in instances:
            instance.thread.end()
        # A session restores what it changed: the last one first.
        for instance in reversed(instances):
            if instance.session is not self._session:
                instance.session.close()
        super().close()

    def _instance(self, session: Session) -> _Instance:
        """Place inputs for a thread, and make its first call."""
        engine, _, device, _ = self._live()
        inputs = self._inputs
        assert inputs is not None

        def begin() -> Callable[[], Any]:
            with engine.call_context(session):
                placed = engine.place_inputs(session, inputs, device)
                call = engine.make_call(session, placed).run
                call()
            return call

        while True:
            try:
                call = begin()
                break
            except Exception as error:  # the user's model may raise anything
                if not engine.relax_call_context(session, error):
                    raise

        def call_and_wait() -> Any:
            outputs = call()
            engine.synchronize(session, device)
            return outputs

        # A call on the CPU returns after its work is done.
        whole = call if device.kind == "cpu" else call_and_wait
        return _Instance(session=session, call=whole, thread=_Thread())

    def _fetched(self, instance: _Instance) -> Mapping[str, npt.NDArray[Any]]:
        engine = self._live()[0]
        return engine.fetch_outputs(instance.session, instance.call(), expected=self._expected)

    def _together(
        self, action: Callable[[_Instance], Any], instances: Sequence[_Instance] | None = None
    ) -> list[Any]:
        """Do something in the threads of instances at the same time; return the results."""
        chosen = self._instances if instances is None else instances
        for instance in chosen:
            instance.thread.begin(
                lambda instance=instance: self._in_context(instance, action)  # type: ignore[misc]
            )
        results, errors = [], []
        for instance in chosen:
            try:
                results.append(instance.thread.result())
            except BaseException as error:  # of the engine: all threads must have ended
                errors.append(error)
        if errors:
            raise errors[0]
        return results

    def _in_context(self, instance: _Instance, action: Callable[[_Instance], Any]) -> Any:
        engine = self._live()[0]
        with engine.naming("lexer_create_session"), engine.call_context(instance.session):
            return action(instance)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        interval = sys.getswitchinterval()
        with self._without_collections():
            sys.setswitchinterval(SWITCH_INTERVAL)
            try:
                yield
            finally:
                sys.setswitchinterval(interval)


class _Thread:
    """A thread that does one thing after the other.

    It stays, because runtimes keep threads and memory for each thread that calls them.
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="lexer-instance", daemon=True)
        self._thread.start()

    def begin(self, task: Callable[[], Any]) -> None:
        """Let the thread do something."""
        self._tasks.put(task)

    def result(self) -> Any:
        """Wait for the result of the last task, or raise what it raised."""
        value, error = self._results.get()
        if error is not None:
            raise error
        return value

    def end(self) -> None:
        """End the thread after its task."""
        self._tasks.put(None)
        self._thread.join()

    def _work(self) -> None:
        remove_timer_slack()
        while (task := self._tasks.get()) is not None:
            try:
                self._results.put((task(), None))
            except BaseException as error:  # it is raised where the result is awaited
                self._results.put((None, error))
