"""How does one launch go: from fresh processes to samples and outputs?

Import, load, warm up, one case after the other; then rounds of all together;
then outputs. Errors and Ctrl-C leave what was measured so far.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from lexer_core.benchmark.case_session import CaseSpec
from lexer_core.benchmark.error_isolation import contained, record_failure
from lexer_core.benchmark.rounds import (
    RoundsOutcome,
    RoundsPlan,
    compared_by_means,
    run_rounds,
)
from lexer_core.benchmark.stop_rule import PrecisionRule
from lexer_core.export.formats import is_flat
from lexer_core.records import CallInputs, CallStructure, SessionConfig, TensorRef

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.model_under_test import ModelUnderTest
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.benchmark.reference_workload import ReferenceWorkloadLaunch
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.settings.table import Settings

__all__ = ["Launch"]


@frozen(kw_only=True, eq=False)
class Launch:
    """One life of the processes of a group of cases.

    Parameters
    ----------
    members
        Outcomes to fill, each with its live case.
    models
        The models by their keys: inputs, and what outputs are compared with.
    settings, threads
        What holds for all of them.
    plan
        How long the rounds go on.
    rng
        Makes the order of each round.
    export_again
        Makes the export of a case anew, past the cache.
    timings
        Where times and steps are noted.
    canary
        What is measured beside the cases, if anything.
    cache_dirs
        For cases by their labels: a folder for what their engine compiles.
    """

    members: Sequence[tuple[CaseOutcome, LiveCase]]
    models: Mapping[str, ModelUnderTest]
    settings: Settings
    threads: int
    plan: RoundsPlan
    rng: random.Random
    export_again: Callable[[CaseOutcome], None]
    timings: RunTimings
    canary: ReferenceWorkloadLaunch | None = None
    cache_dirs: Mapping[str, Path] = field(factory=dict)

    def run(self) -> RoundsOutcome:
        """Run it; the outcomes of the cases hold what came of it."""
        ended = RoundsOutcome(rounds=0, seconds=0.0, stopped_because="nothing left")
        try:
            # First all imports, so that none goes on beside a load that is timed.
            self._each("import", lambda outcome, case: case.import_engine(outcome.case.engine))
            self._each("load", self._load)
            self._each("warm_up", self._warm_up)
            ended = self._rounds()
            self._each("fetch", self._finish)
        except KeyboardInterrupt:
            ended = evolve(ended, stopped_because="interrupted")
        finally:
            for outcome, case in self.members:
                _keep(outcome, case)
        return ended

    def _each(self, phase: str, action: Callable[[CaseOutcome, LiveCase], object]) -> None:
        for outcome, case in self.members:
            if case.failure is not None:
                continue
            self.timings.report(phase, case.label)
            with self.timings.timed(phase), contained(outcome, case=case):
                action(outcome, case)

    def _load(self, outcome: CaseOutcome, case: LiveCase) -> None:
        """Load one case; a cached export that gives wrong outputs is made anew, once."""
        case.load(self._spec(outcome, case), self._inputs_of(outcome))
        assert outcome.prepared is not None
        assert case.first_outputs is not None
        if not outcome.prepared.cached:
            return
        judge = self.models[outcome.case.model].judge
        if judge.judge(case.label, case.first_outputs).status == "fail":
            self.export_again(outcome)
            outcome.warnings.append(
                "the cached export gave wrong outputs; the model was exported again"
            )
            case.load(self._spec(outcome, case), self._inputs_of(outcome))

    def _warm_up(self, outcome: CaseOutcome, case: LiveCase) -> None:
        del outcome
        case.warm_up(self.settings.warm_up_seconds)

    def _inputs_of(self, outcome: CaseOutcome) -> CallInputs:
        """The inputs as the format takes them: what was flattened takes tensors alone.

        The structure of the user's call may hold objects of a framework, which a
        process that does without it should not have to import.
        """
        assert outcome.prepared is not None
        inputs = self.models[outcome.case.model].inputs
        if not is_flat(outcome.prepared.exported.format):
            return inputs
        references = tuple(TensorRef(name) for name in inputs.arrays)
        return evolve(inputs, structure=CallStructure(args=references))

    def _spec(self, outcome: CaseOutcome, case: LiveCase) -> CaseSpec:
        assert outcome.prepared is not None
        return CaseSpec(
            engine=outcome.case.engine,
            device=outcome.case.device,
            exported=outcome.prepared.exported,
            model_bytes=outcome.prepared.model_bytes,
            config=SessionConfig(
                threads=self.threads,
                precision=outcome.case.precision,
                cache_dir=self.cache_dirs.get(case.label),
                options=dict(outcome.case.options),
                isolated=case.executor.isolated,
            ),
        )

    def _rounds(self) -> RoundsOutcome:
        running = [case for _, case in self.members if case.failure is None]
        by_means = compared_by_means(case.size.loops for case in running)
        for case in running:
            case.by_means = by_means
        if self.canary is not None and running:
            with self.timings.timed("canary"):
                self.canary.warm_up()
        with self.timings.timed("rounds"):
            ended = run_rounds(
                running,
                self.plan,
                PrecisionRule(self.settings.precision, self.settings.tie, self.settings.launches),
                rng=self.rng,
                clock=time.perf_counter,
                on_round=lambda done, share: self.timings.report(
                    "rounds", done=share, message=f"{done} rounds"
                ),
                companion=self.canary,
            )
        for outcome, case in self.members:
            if case in running and case.failure is not None:
                record_failure(outcome, case.failure, phase=case.phase, case=case)
        return ended

    def _finish(self, outcome: CaseOutcome, case: LiveCase) -> None:
        case.finish()
        assert case.first_outputs is not None
        assert case.final_facts is not None
        outcome.parity = self.models[outcome.case.model].judge.judge_both(
            case.label, case.first_outputs, case.final_facts.outputs
        )


def _keep(outcome: CaseOutcome, case: LiveCase) -> None:
    """Keep what the live case knows: of several launches the first, of peaks the highest."""
    outcome.load_facts = outcome.load_facts or case.load_facts
    if outcome.first_call_seconds is None:
        outcome.first_call_seconds = case.first_call_seconds
    outcome.warm_up = outcome.warm_up or case.warm_up_facts
    if outcome.completion is None or (case.completion and not case.completion.plausible):
        outcome.completion = case.completion
    outcome.final_facts = case.final_facts or outcome.final_facts
    peaks = [peak for peak in (outcome.peak_memory_bytes, case.peak_memory_bytes) if peak]
    outcome.peak_memory_bytes = max(peaks, default=None)
    outcome.printed.append(case.executor.log_tail(None))
