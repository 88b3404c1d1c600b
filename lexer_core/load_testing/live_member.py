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
    setup
        Its instances.
    settings
        Time limits.
    """

    def __init__(self, case: LiveCase, engine: str, setup: Setup, settings: Settings) -> None:
        self.case = case
        self.label, self.engine = case.label, engine
        self.instances, self.batch = setup.instances, setup.batch
        self._setup, self._settings = setup, settings

    def start(self, spec: CaseSpec, judge: ParityJudge, computed: str) -> None:
        """Start the instances, and judge what they return when all of them are called at once.

        Parameters
        ----------
        spec
            What the case loaded.
        judge
            Judges outputs.
        computed
            By which precision to judge them; empty for that of their element types.

        Raises
        ------
        EngineError
            Outputs are wrong, though those of single calls were right.
        """
        self.case.phase = "load_test"
        names = tuple(output.name for output in spec.exported.outputs)
        count = self.instances
        facts: InstanceFacts = self._ask(
            "open_instances",
            spec,
            count,
            shared_session=self._setup.shared_session,
            timeout=self._settings.load_timeout * count,
            by=lambda reply, _: instances_problem(reply, count, names),
        )
        first = self.case.first_outputs
        assert first is not None
        for number, outputs in enumerate(facts.outputs, start=1):
            parity = judge.judge_again(outputs, first, computed=computed)
            if parity.status == "fail":
                raise EngineError(
                    f"outputs of instance {number} of {count} are wrong when all are called at "
                    f"the same time: {parity.reason}",
                    engine=self.engine,
                    hint="Calls of one thread affect those of another. Without --shared-session, "
                    "each thread has a session of its own; with --instances 1 there is one thread.",
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
