"""How does one launch go, from new processes to samples and outputs?

Import, load and warm up, one case after the other; then rounds of all together;
then outputs. Errors and Ctrl-C leave what was measured so far.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from attrs import evolve, field, frozen

from lexer_core.benchmark.case_records import CaseSpec
from lexer_core.benchmark.error_isolation import contained, record_failure
from lexer_core.benchmark.rounds import RoundsOutcome, RoundsPlan, StopRule, run_rounds
from lexer_core.benchmark.stop_rule import VerdictRule
from lexer_core.errors import EngineError, LexerError, UnsupportedError
from lexer_core.export.file_stamps import file_stamps, was_written_to
from lexer_core.export.flat_inputs import inputs_of_export
from lexer_core.export.formats import is_flat
from lexer_core.model.structure import frozen_tensors
from lexer_core.precisions import is_lower
from lexer_core.records import SessionConfig
from lexer_core.statistics import compared_by_means, percentile_intervals
from lexer_core.worker.interrupts import interrupt_handled

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.live_case import LiveCase
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.benchmark.parity import ParityJudge, SecondJudge
    from lexer_core.benchmark.reference_workload import ReferenceWorkloadLaunch
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.records import CallInputs
    from lexer_core.results import Parity
    from lexer_core.settings.table import Settings
    from lexer_core.statistics import RoundWarmUp

__all__ = ["Launch", "Race", "case_spec", "computed_in"]


class Race(StopRule, Protocol):
    """Decides which cases take part in the rounds, which leave, and when they end."""

    def admit(self, outcome: CaseOutcome, case: LiveCase) -> None:
        """Refuse a case that cannot win, before the first round.

        Raises
        ------
        LexerError
            It cannot.
        """


@frozen(kw_only=True, eq=False)
class Launch:
    """One life of the processes of a group of cases.

    Parameters
    ----------
    members
        Outcomes to fill, each with its live case.
    models
        The models by key: inputs, and the outputs to compare with.
    settings, threads
        Of all cases.
    plan
        How long warm-up and rounds go on.
    rng
        Makes the order of each round.
    export_again
        Exports the model of a case again, without the cache.
    timings
        Records times and steps.
    canary
        The reference workload, if it is measured.
    cache_dirs
        By label, a folder for what the engine of a case compiles.
    per_item
        Whether cases are compared by their time per item.
    race
        Decides which cases leave the rounds, and when they end. Nothing is fetched after a
        race. Default: the rounds go on until every pair has a verdict.
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
    per_item: bool = False
    race: Race | None = None

    def run(self) -> RoundsOutcome:
        """Run it and fill the outcomes of the cases."""
        ended = RoundsOutcome(rounds=0, seconds=0.0, stopped_because="nothing left")
        try:
            # All imports first, so that none runs during a load that is timed.
            self._each("import", lambda outcome, case: case.import_engine(outcome.case.engine))
            self._each("load", self._load)
            start = time.perf_counter()
            self._each("warm_up", self._warm_up)
            if self.race is not None:
                return self._raced(self.race, time.perf_counter() - start)
            ended = self._rounds(time.perf_counter() - start)
            self._each("fetch", self._finish, last=_is_no_reference)
            self._after_outputs()
        except KeyboardInterrupt:
            interrupt_handled()
            ended = evolve(ended, stopped_because="interrupted")
        finally:
            for outcome, case in self.members:
                _keep(outcome, case)
        return ended

    def _after_outputs(self) -> None:
        """Do nothing more; a load test serves requests here."""

    def _each(
        self,
        phase: str,
        action: Callable[[CaseOutcome, LiveCase], object],
        *,
        last: Callable[[CaseOutcome, LiveCase], bool] = lambda *_: False,
    ) -> None:
        for outcome, case in sorted(self.members, key=lambda member: last(*member)):
            if case.failure is not None:
                continue
            self.timings.report(phase, case.label)
            with self.timings.timed(phase), contained(outcome, case=case):
                action(outcome, case)

    def _load(self, outcome: CaseOutcome, case: LiveCase) -> None:
        """Load one case; export again, once, if a cached export gives wrong outputs."""
        self._load_once(outcome, case)
        assert outcome.prepared is not None
        assert case.first_outputs is not None
        model = self.models[outcome.case.model]
        if _caveat(case) and model.judge.has_reference:
            _refuse_wrong(case, _judge_first(outcome, case, model.judge))
        if not outcome.prepared.cached or outcome.prepared.known_wrong:
            return
        if outcome.case.precision:
            return  # a precision is more likely than the export to be why outputs are wrong
        if _judge_first(outcome, case, model.judge).status == "fail":
            self.export_again(outcome)
            outcome.warnings.append(
                "the cached export gave wrong outputs; the model was exported again"
            )
            self._load_once(outcome, case)
            if _judge_first(outcome, case, model.judge).status == "fail":
                model.mark_wrong(outcome.case)

    def _load_once(self, outcome: CaseOutcome, case: LiveCase) -> None:
        assert outcome.prepared is not None
        path = outcome.prepared.exported.path
        before = file_stamps(path)
        try:
            case.load(self.spec_of(outcome, case), self._inputs_of(outcome))
        finally:
            was_changed = was_written_to(path, before)
            if was_changed:
                self._replace_export(path)
        if was_changed:
            raise EngineError(
                f"the engine wrote to the exported model {path}, which other engines load.",
                engine=outcome.case.engine,
                hint="This is a defect of the plugin: it may write to config.cache_dir.",
            )
        outcome.warnings += [note for note in case.notes if note not in outcome.warnings]
        if self.models[outcome.case.model].judge.compares_second_call:
            case.call_again()

    def _replace_export(self, path: Path | None) -> None:
        """Export again for the cases whose export another engine wrote to."""
        for outcome, case in self.members:
            prepared = outcome.prepared
            if prepared is not None and prepared.exported.path == path and case.phase == "import":
                self.export_again(outcome)

    def _warm_up(self, outcome: CaseOutcome, case: LiveCase) -> None:
        del outcome
        case.warm_up(self.settings.warm_up_seconds)

    def _inputs_of(self, outcome: CaseOutcome) -> CallInputs:
        assert outcome.prepared is not None
        inputs, exported = self.models[outcome.case.model].inputs, outcome.prepared.exported
        frozen_at = frozen_tensors(inputs.structure) if is_flat(exported.format) else ()
        if frozen_at:
            outcome.not_comparable = (
                f"its export contains the tensors in {', '.join(frozen_at)} as constants, which "
                "the model reads in every call"
            )
        return inputs_of_export(inputs, exported)

    def spec_of(self, outcome: CaseOutcome, case: LiveCase) -> CaseSpec:
        """Return what the process of a case loads."""
        return case_spec(
            outcome, case, threads=self.threads, cache_dir=self.cache_dirs.get(case.label)
        )

    def _raced(self, race: Race, warm_up_seconds: float) -> RoundsOutcome:
        """Let the cases race; what is wrong with one does not end the race of the others."""
        self._each("parity", race.admit, last=_is_no_reference)
        running = [case for _, case in self.members if case.failure is None]
        _choose_centres(running)
        return self._take_rounds(running, race, warm_up_seconds)

    def _rounds(self, warm_up_seconds: float) -> RoundsOutcome:
        running = [case for _, case in self.members if case.failure is None]
        _choose_centres(running)
        if self.canary is not None and running:
            with self.timings.timed("canary"):
                self.canary.warm_up()
        settings = self.settings
        stop = VerdictRule(
            [case.label for case in running],
            settings.margin,
            settings.tie,
            settings.launches,
            also=lambda: not settings.tails or all(map(_has_tails, running)),
            items=self._items() if self.per_item else None,
        )
        ended = self._take_rounds(running, stop, warm_up_seconds)
        if self.plan.samples is None and self.plan.rounds is None:
            ended = evolve(ended, looks=stop.looks)
        self._leave_out_warm_up(stop.judge_warm_up(), stop.early_rounds())
        return ended

    def _items(self) -> dict[str, int]:
        return {case.label: outcome.case.items or 1 for outcome, case in self.members}

    def _take_rounds(
        self, running: Sequence[LiveCase], stop: StopRule, warm_up_seconds: float
    ) -> RoundsOutcome:
        """Take the rounds, and record which cases failed in them."""

        def tell(done: int, share: float, seconds_left: float) -> None:
            rounds = f"{done} round{'' if done == 1 else 's'}"
            known = ", ".join(part for part in (rounds, stop.status()) if part)
            self.timings.report("rounds", done=share, message=known, seconds_left=seconds_left)

        with self.timings.timed("rounds"):
            ended = run_rounds(
                running,
                evolve(self.plan, max_seconds=max(0.0, self.plan.max_seconds - warm_up_seconds)),
                stop,
                rng=self.rng,
                clock=time.perf_counter,
                on_round=tell,
                background=self.canary,
            )
        for outcome, case in self.members:
            if case in running and case.failure is not None:
                record_failure(outcome, case.failure, phase=case.phase, case=case)
        return ended

    def _leave_out_warm_up(self, judged: Mapping[str, RoundWarmUp], early: int) -> None:
        """Count early rounds as warm-up, the same for all cases: ratios need both."""
        is_exact = self.plan.samples is not None or self.plan.rounds is not None
        for outcome, case in self.members:
            if case.label not in judged:
                continue
            if early and not is_exact:
                case.log.move_to_warm_up(self.plan.first_round + early)
            if outcome.settling is None or outcome.settling.steady:
                outcome.settling = judged[case.label]

    def _finish(self, outcome: CaseOutcome, case: LiveCase) -> None:
        case.finish()
        assert case.first_outputs is not None
        assert case.final_facts is not None
        judge = self.models[outcome.case.model].judge
        parity = judge.judge_both(
            case.label,
            case.first_outputs,
            case.final_facts.outputs,
            computed=computed_in(outcome, case),
        )
        if case.second_outputs is not None and judge.freezes_state(case.second_outputs):
            outcome.not_comparable = (
                "the model keeps state between calls, which is frozen in this engine's graph: its "
                "second call is wrong"
            )
        if judge.second is not None and parity.status == "pass":
            parity = self._judge_second(outcome, case, parity, judge.second)
        outcome.parity = parity
        if _caveat(case):
            _refuse_wrong(case, parity)
            if parity.status == "not_judged":
                warning = f"outputs may be wrong, and were not compared: {_caveat(case)}"
                outcome.warnings += [warning] if warning not in outcome.warnings else []
        if case.final_facts.inputs_changed:
            outcome.not_comparable = "its calls changed their inputs, but not in the first call"
        if outcome.fresh_calls is None:  # once is enough, in the first launch
            case.check_fresh_calls()
            outcome.fresh_calls = case.fresh_calls
            if case.unchecked:
                outcome.warnings.append(f"calls on other inputs were not checked: {case.unchecked}")

    def _judge_second(
        self, outcome: CaseOutcome, case: LiveCase, parity: Parity, second: SecondJudge
    ) -> Parity:
        """Call the case with second inputs and judge its outputs."""
        assert outcome.prepared is not None
        inputs = evolve(self.models[outcome.case.model].inputs, arrays=second.inputs)
        try:
            outputs = case.second_call(inputs_of_export(inputs, outcome.prepared.exported))
        except LexerError as error:  # the model itself accepts these inputs
            return evolve(
                parity,
                status="fail",
                second_inputs="fail",
                reason="correct for the example inputs, failed for second inputs with other "
                f"values: {error.message}",
            )
        return second.add_to(parity, case.label, outputs, computed=computed_in(outcome, case))


def _judge_first(outcome: CaseOutcome, case: LiveCase, judge: ParityJudge) -> Parity:
    """Judge the outputs of the first call."""
    assert case.first_outputs is not None
    return judge.judge(case.label, case.first_outputs, computed=computed_in(outcome, case))


def computed_in(outcome: CaseOutcome, case: LiveCase | CaseOutcome) -> str:
    """Return by which precision to judge outputs; empty for that of their element types."""
    uses_tf32 = case.load_facts is not None and case.load_facts.uses_tf32
    return outcome.case.precision or ("tf32" if uses_tf32 else "")


def case_spec(
    outcome: CaseOutcome,
    case: LiveCase,
    *,
    threads: int,
    cache_dir: Path | None = None,
    profiling: bool = False,
) -> CaseSpec:
    """Return what the process of a case needs to load it.

    ``threads`` are those of the run, for a case without its own.
    """
    assert outcome.prepared is not None
    return CaseSpec(
        engine=outcome.case.engine,
        device=outcome.case.device,
        exported=outcome.prepared.exported,
        model_file=outcome.prepared.model_file,
        config=SessionConfig(
            threads=outcome.case.threads or threads,
            precision=outcome.case.precision,
            cache_dir=cache_dir,
            options=dict(outcome.case.options),
            isolated=case.executor.isolated,
            profiling=profiling,
        ),
    )


def _choose_centres(running: Sequence[LiveCase]) -> None:
    """Use means of blocks for all cases if any needs them."""
    by_means = compared_by_means(case.size.loops for case in running)
    for case in running:
        case.by_means = by_means or case.by_means


def _is_no_reference(outcome: CaseOutcome, case: LiveCase) -> bool:
    """Whether a case must not provide the outputs that others are compared with."""
    return bool(_caveat(case)) or is_lower(outcome.case.precision)


def _caveat(case: LiveCase) -> str:
    return case.load_facts.caveat if case.load_facts is not None else ""


def _refuse_wrong(case: LiveCase, parity: Parity) -> None:
    """Raise the engine's caveat if its outputs are indeed wrong."""
    if parity.status != "fail":
        return
    case.phase = "parity"
    error = "" if parity.max_abs_error is None else f" (max error {parity.max_abs_error:.2g})"
    raise UnsupportedError(f"outputs are wrong{error}: {_caveat(case)}", engine=case.label)


def _has_tails(case: LiveCase) -> bool:
    """Whether the samples of a case so far bound its p99."""
    (interval,) = percentile_intervals(case.log.samples, case.log.rounds, percents=(99.0,))
    return interval.low is not None and interval.high is not None


def _keep(outcome: CaseOutcome, case: LiveCase) -> None:
    """Keep the facts of a launch: those of the first one, and the highest memory peak."""
    outcome.load_facts = outcome.load_facts or case.load_facts
    if outcome.first_call_seconds is None:
        outcome.first_call_seconds = case.first_call_seconds
    outcome.warm_up = outcome.warm_up or case.warm_up_facts
    if outcome.completion is None or (case.completion and not case.completion.plausible):
        outcome.completion = case.completion
    outcome.final_facts = case.final_facts or outcome.final_facts
    peaks = [peak for peak in (outcome.peak_memory_bytes, case.peak_memory_bytes) if peak]
    outcome.peak_memory_bytes = max(peaks, default=None)
    if case.final_facts is not None:
        usage = case.final_facts.usage
        peaks = [
            peak
            for peak in (outcome.device_peak_memory_bytes, usage.peak_memory_bytes)
            if peak is not None
        ]
        outcome.device_peak_memory_bytes = max(peaks, default=None)
        outcome.warnings += [note for note in usage.notes if note not in outcome.warnings]
    outcome.warnings += [note for note in case.executor.notes if note not in outcome.warnings]
    outcome.printed.append(case.executor.log_tail(None))
