"""How does the parent order blocks of a live case?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from lexer_core.benchmark.plausible import call_plausibly
from lexer_core.errors import EngineError
from lexer_core.load_testing.plausible_blocks import (
    closed_problem,
    gil_problem,
    instances_problem,
    open_problem,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lexer_core.benchmark.case_records import CaseSpec
    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.parity import ParityJudge
    from lexer_core.errors import LexerError
    from lexer_core.load_testing.blocks import ClosedBlock, GilFacts, OpenBlock
    from lexer_core.load_testing.measure import Requests
    from lexer_core.load_testing.session import InstanceFacts
    from lexer_core.load_testing.setups import Setup
    from lexer_core.settings.table import Settings

__all__ = ["LiveMember"]


class LiveMember:
    """A live case that serves requests.

    Parameters
    ----------
    case
        The case, after its rounds.
    engine
        Name of the engine.
    spec
        What the case loaded.
    judge
        Judges outputs.
    computed
        By which precision to judge them; empty for that of their element types.
    setup
        Its instances.
    settings
        Time limits.
    """

    def __init__(
        self,
        case: LiveCase,
        engine: str,
        spec: CaseSpec,
        judge: ParityJudge,
        computed: str,
        setup: Setup,
        settings: Settings,
    ) -> None:
        self.case = case
        self.label, self.engine = case.label, engine
        self.instances, self.batch = setup.instances, setup.batch
        self._spec, self._judge, self._computed = spec, judge, computed
        self._setup, self._settings = setup, settings

    def start(self) -> None:
        """Start the instances, and judge what they return when all of them are called at once.

        Raises
        ------
        EngineError
            Outputs are wrong, though those of single calls were right.
        """
        self.case.phase = "load_test"
        self._judge_outputs(
            "when all are called at the same time",
            "Calls of one thread affect those of another. Without --shared-session, each thread "
            "has a session of its own; with --instances 1 there is one thread.",
            "open_instances",
            self._spec,
            self.instances,
            shared_session=self._setup.shared_session,
            timeout=self._settings.load_timeout * self.instances,
        )

    def check_outputs(self) -> None:
        """Judge what the instances return after the load test.

        Raises
        ------
        EngineError
            Outputs are wrong, though those before the load test were right.
        """
        self._judge_outputs(
            "after the load test, though they were right before it",
            "Calls change what later calls return, alone or together with those of other threads.",
            "outputs_at_once",
            timeout=self._settings.call_timeout,
        )

    def _judge_outputs(
        self, when: str, hint: str, method: str, *args: object, timeout: float, **kwargs: Any
    ) -> None:
        names = tuple(output.name for output in self._spec.exported.outputs)
        facts: InstanceFacts = self._ask(
            method,
            *args,
            timeout=timeout,
            by=lambda reply, _: instances_problem(reply, self.instances, names),
            **kwargs,
        )
        first = self.case.first_outputs
        assert first is not None
        for number, outputs in enumerate(facts.outputs, start=1):
            parity = self._judge.judge_again(outputs, first, computed=self._computed)
            if parity.status == "fail":
                raise EngineError(
                    f"outputs of instance {number} of {self.instances} are wrong {when}: "
                    f"{parity.reason}",
                    engine=self.engine,
                    hint=hint,
                )

    def closed(self, concurrency: int, seconds: float) -> ClosedBlock:
        """Let some of the threads make calls one after the other."""
        block: ClosedBlock = self._ask(
            "closed_block",
            concurrency,
            seconds,
            timeout=self._settings.call_timeout + 10.0 * seconds,
            by=partial(_checked_closed, concurrency),
        )
        return block

    def open(self, requests: Requests) -> OpenBlock:
        """Serve requests that arrive at their times."""
        block: OpenBlock = self._ask(
            "open_block",
            requests,
            # A backlog that is drained takes as long again at most, or the block is given up.
            timeout=self._settings.call_timeout
            + 10.0 * (float(requests.due[-1]) + requests.longest_wait),
            by=lambda reply, waited: open_problem(reply, waited, len(requests.due)),
        )
        return block

    def gil(self) -> GilFacts:
        """Find out whether other threads of Python run during a call."""
        facts: GilFacts = self._ask(
            "probe_gil",
            timeout=self._settings.call_timeout * 2,
            by=lambda reply, _: gil_problem(reply),
        )
        return facts

    def fail(self, error: LexerError) -> None:
        """Record why it failed."""
        self.case.fail(error)

    def _ask(
        self,
        method: str,
        *args: object,
        timeout: float,
        by: Callable[[Any, float], str],
        **kwargs: Any,
    ) -> Any:
        executor = self.case.executor
        executor.resume()
        reply = call_plausibly(
            executor, method, *args, label=self.label, timeout=timeout, problem=by, **kwargs
        )
        executor.suspend()
        return reply


def _checked_closed(concurrency: int, block: ClosedBlock, waited: float) -> str:
    return closed_problem(block, waited, concurrency)
