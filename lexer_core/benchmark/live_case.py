"""How does the parent lead one case through its life?

A :class:`LiveCase` gives orders to an executor, keeps what came back if it can be true,
and knows in which phase it is when something goes wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.benchmark.plausible import (
    block_problem,
    call_plausibly,
    completion_problem,
    final_problem,
    first_call_problem,
    fresh_calls_problem,
    load_problem,
    operations_problem,
    outputs_problem,
)
from lexer_core.benchmark.rounds import BlockSize, block_size
from lexer_core.benchmark.warm_up import WarmUp, warm_up
from lexer_core.errors import LexerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from lexer_core.benchmark.case_records import (
        Block,
        CaseSpec,
        CompletionCheck,
        FinalFacts,
        FirstCall,
        LoadFacts,
    )
    from lexer_core.benchmark.fresh_calls import FreshCalls
    from lexer_core.benchmark.sample_log import SampleLog
    from lexer_core.records import CallInputs, ProfiledOperation
    from lexer_core.results import Phase
    from lexer_core.worker.executor import Executor

__all__ = ["LiveCase"]

_COMPLETION_CALLS = 10
_FRESH_SAMPLES = 5
_FRESH_SECONDS = 0.1
_CALLS_BEFORE_PROFILE = 2
_PROFILING_SLOWDOWN = 10.0


class LiveCase:
    """One launch of one case.

    Parameters
    ----------
    label
        The row's name.
    executor
        Where the case's session lives.
    log
        Where its samples are kept, over all launches.
    call_timeout, load_timeout
        Limits in seconds for one call, and for anything that loads.
    """

    def __init__(
        self,
        label: str,
        executor: Executor,
        log: SampleLog,
        *,
        call_timeout: float,
        load_timeout: float,
    ) -> None:
        self.label = label
        self.executor = executor
        self.log = log
        self.phase: Phase = "import"
        self.failure: LexerError | None = None
        self.load_facts: LoadFacts | None = None
        self.first_call_seconds: float | None = None
        self.first_outputs: Mapping[str, npt.NDArray[Any]] | None = None
        self.second_outputs: Mapping[str, npt.NDArray[Any]] | None = None
        """Of a second call, for a model that keeps state."""
        self.warm_up_facts: WarmUp | None = None
        self.completion: CompletionCheck | None = None
        self.fresh_calls: FreshCalls | None = None
        self.unchecked = ""
        """Why there are no fresh calls; empty if there are, or none were asked for."""
        self.final_facts: FinalFacts | None = None
        self.peak_memory_bytes: int | None = None
        self.size = BlockSize(count=1, loops=1)
        self.single_calls = False
        """Whether something is reset before each call, so that each is timed alone."""
        self.notes: tuple[str, ...] = ()
        self.by_means = False
        """Whether the centre of a block is its mean; else it is its median."""
        self._call_timeout = call_timeout
        self._load_timeout = load_timeout
        self._output_names: tuple[str, ...] = ()

    def import_engine(self, name: str) -> None:
        """Import plugin and runtime; other workers should be doing nothing heavy."""
        self.phase = "import"
        self.executor.resume()
        self.single_calls = self.executor.call("import_engine", name, timeout=self._load_timeout)
        self.executor.suspend()

    def load(self, spec: CaseSpec, inputs: CallInputs) -> None:
        """Load, place, and make the first call."""
        self.executor.resume()
        self._output_names = tuple(output.name for output in spec.exported.outputs)
        self.phase = "load"
        loading = 0.0

        def problem_of_load(facts: LoadFacts, waited: float) -> str:
            nonlocal loading
            loading += waited
            return load_problem(facts, loading)

        self.load_facts = self._ask("load", spec, timeout=self._load_timeout, by=problem_of_load)
        self.phase = "place"
        self.load_facts = self._ask("place", inputs, timeout=self._load_timeout, by=problem_of_load)
        self.phase = "first_call"
        # An engine may compile on its first call: it has a loading time's limit.
        first: FirstCall = self._ask(
            "first_call",
            timeout=max(self._call_timeout, self._load_timeout),
            by=lambda call, waited: first_call_problem(call, waited, self._output_names),
        )
        self.first_call_seconds, self.first_outputs = first.seconds, first.outputs
        self.notes = first.notes
        self.single_calls = self.single_calls or first.renewed
        self.executor.suspend()

    def call_again(self) -> None:
        """Make a second call, unless something has to be reset before each call."""
        if self.single_calls:
            return
        self.executor.resume()
        self.second_outputs = self._ask_for_outputs("call_again")
        self.executor.suspend()

    def warm_up(self, max_seconds: float) -> None:
        """Make a few calls, and choose the size of blocks."""
        self.phase = "warm_up"
        self.executor.resume()
        assert self.first_call_seconds is not None

        def take(count: int) -> npt.NDArray[Any]:
            return self._block(count, 1).samples

        self.warm_up_facts = warm_up(take, self.first_call_seconds, max_seconds=max_seconds)
        self.log.add_warm_up(self.warm_up_facts.latencies)
        typical = self.warm_up_facts.typical_seconds
        self.size = block_size(typical, single_calls=self.single_calls)
        count = max(1, min(_COMPLETION_CALLS, int(0.1 / typical)))
        calls = count * self.size.loops
        self.completion = self._ask(
            "check_completion",
            count,
            self.size.loops,
            timeout=self._block_timeout(4 * calls),
            by=lambda check, waited: completion_problem(check, waited, calls),
        )
        self.executor.suspend()

    def take(self, round_id: int, count: int) -> float:
        """Take one block of a round; returns its centre, seconds per call."""
        self.phase = "rounds"
        self.executor.resume()
        block = self._block(count, self.size.loops, self.size.discard)
        self.executor.suspend()
        self.log.add(round_id, block)
        return float(block.samples.mean() if self.by_means else np.median(block.samples))

    def finish(self) -> None:
        """Fetch the outputs after the last sample, and what the engine says of itself."""
        self.phase = "fetch"
        self.executor.resume()
        # Before the engine is asked about itself: what it imports to answer that
        # is not the model's.
        self.peak_memory_bytes = self.executor.peak_memory_bytes
        self.final_facts = self._ask(
            "finish",
            timeout=self._load_timeout,
            by=lambda facts, _: final_problem(facts, self._output_names),
        )
        self.executor.suspend()

    def check_fresh_calls(self) -> None:
        """Call the session on other inputs; an error there does not cost the row its numbers."""
        self.executor.resume()
        assert self.warm_up_facts is not None
        loops = self.size.loops
        samples = max(
            1, min(_FRESH_SAMPLES, int(_FRESH_SECONDS / self.warm_up_facts.typical_seconds))
        )
        measured = float(np.median(self.log.samples))
        try:
            self.fresh_calls = self._ask(
                "check_fresh_calls",
                measured,
                samples,
                loops,
                timeout=max(self._load_timeout, self._block_timeout(samples * loops)),
                by=lambda facts, waited: fresh_calls_problem(facts, waited, measured),
            )
        except LexerError as error:
            self.unchecked = error.message
        self.executor.suspend()

    def second_call(self, inputs: CallInputs) -> Mapping[str, npt.NDArray[Any]]:
        """Make one call with other inputs, after everything else; return its outputs."""
        self.executor.resume()
        outputs = self._ask_for_outputs("second_call", inputs)
        self.executor.suspend()
        return outputs

    def can_profile(self, name: str) -> bool:
        """Import an engine, and return whether it can profile calls."""
        self.import_engine(name)
        self.executor.resume()
        answer: bool = self.executor.call("can_profile", timeout=self._load_timeout)
        self.executor.suspend()
        return answer

    def profile(self, count: int) -> tuple[ProfiledOperation, ...] | None:
        """Profile ``count`` calls, after a few others; ``None`` if the engine cannot."""
        self.executor.resume()
        timeout = self._load_timeout + _PROFILING_SLOWDOWN * self._block_timeout(count)
        self.executor.call("discard", _CALLS_BEFORE_PROFILE, timeout=timeout)
        operations: tuple[ProfiledOperation, ...] | None = self._ask(
            "profile", count, timeout=timeout, by=operations_problem
        )
        self.executor.suspend()
        return operations

    def fail(self, error: LexerError) -> None:
        """Remember why the case is over."""
        self.failure = error

    def close(self) -> None:
        """End the case's executor."""
        self.executor.close()

    def _block(self, count: int, loops: int, discard: int = 0) -> Block:
        block: Block = self._ask(
            "block",
            count,
            loops,
            discard,
            timeout=self._block_timeout(count * loops + discard),
            by=lambda reply, waited: block_problem(reply, waited, count, loops),
        )
        return block

    def _ask_for_outputs(self, method: str, *args: object) -> Mapping[str, npt.NDArray[Any]]:
        outputs: Mapping[str, npt.NDArray[Any]] = self._ask(
            method,
            *args,
            timeout=max(self._call_timeout, self._load_timeout),
            by=lambda reply, _: outputs_problem(reply, self._output_names),
        )
        return outputs

    def _ask(
        self, method: str, *args: object, timeout: float, by: Callable[[Any, float], str]
    ) -> Any:
        """Call a method in the worker, and check its reply by a function of ``plausible``."""
        return call_plausibly(
            self.executor, method, *args, label=self.label, timeout=timeout, problem=by
        )

    def _block_timeout(self, calls: int) -> float:
        """One call's limit, and ten times what the block should take."""
        facts = self.warm_up_facts
        typical = facts.typical_seconds if facts else self.first_call_seconds or 0.0
        return self._call_timeout + 10 * calls * typical
