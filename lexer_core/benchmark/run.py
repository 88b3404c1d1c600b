"""How does a benchmark run, from a model to samples?

Start a worker for each case, prepare the model while the workers import their
runtimes, then launch the cases group by group.
"""

from __future__ import annotations

import random
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from lexer_core.benchmark.case_session import CaseSession
from lexer_core.benchmark.error_isolation import contained, describe_failure, record_failure
from lexer_core.benchmark.grouping import estimate_memory, group_cases
from lexer_core.benchmark.hosted_models import hosted_model
from lexer_core.benchmark.launch import Launch
from lexer_core.benchmark.live_case import LiveCase
from lexer_core.benchmark.locate_difference import locate_in_case
from lexer_core.benchmark.outcome import CaseOutcome, RunOutcome
from lexer_core.benchmark.profiled_pass import profile_case
from lexer_core.benchmark.reference_workload import ReferenceWorkload
from lexer_core.benchmark.rounds import RoundsPlan, share_out
from lexer_core.benchmark.run_timings import RunTimings
from lexer_core.benchmark.saved_models import retain_models
from lexer_core.benchmark.stop_rule import reason_to_stop
from lexer_core.errors import DeviceUnavailableError, LexerError, UnsupportedError
from lexer_core.machine.affinity import usable_threads
from lexer_core.machine.aslr import hash_seed_environment
from lexer_core.machine.memory import available_memory_bytes
from lexer_core.model.batch_size import BatchSize, confirm_batch_size
from lexer_core.model.tensors import tensor_specs
from lexer_core.model.torch_settings import threads_set_by_caller
from lexer_core.results import Failure, FirstDifference
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.worker.executor import Executor, LocalExecutor, start_worker
from lexer_core.worker.guardian import guarded
from lexer_core.worker.interrupts import (
    interrupt_handled,
    interrupts_end_run,
    without_interrupts,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.benchmark.cases import Case, CaseSelection
    from lexer_core.benchmark.launch import Race
    from lexer_core.benchmark.measured_model import ModelUnderTest
    from lexer_core.benchmark.progress import ProgressCallback
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import CallInputs
    from lexer_core.results.saved_model import SavedModel
    from lexer_core.settings.table import Settings

__all__ = ["BenchmarkRun"]

_MIB = 2**20
_INTERRUPTED = "interrupted"
_MOST_LAUNCHES = 5
"""Launches of a case that are not asked for by the settings."""


class BenchmarkRun:
    """One benchmark run.

    Parameters
    ----------
    model
        An adapted model, or the path of an ``.onnx`` file.
    inputs
        Example inputs for an ``.onnx`` file; an adapted model has its own.
    selection
        The cases.
    settings
        The settings of the run.
    progress
        Called with every step; may be ``None``.
    title
        Prefix of the model's notes if the run has several models.
    others
        Further models, by the key that their cases use.
    second_inputs
        Second inputs of an adapted model, by name. Default: made from the first.
    """

    session_type: ClassVar[type[CaseSession]] = CaseSession
    """What the process of each case hosts."""

    has_many_cases: ClassVar[bool] = False
    """Whether their processes may not all fit in memory."""

    def __init__(
        self,
        model: AdaptedModel | Path,
        inputs: object,
        selection: CaseSelection,
        settings: Settings,
        progress: ProgressCallback | None = None,
        *,
        title: str = "",
        others: Mapping[str, ModelUnderTest] | None = None,
        second_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self._first = hosted_model(model, inputs, title=title, second_inputs=second_inputs)
        self._models = {"": self._first, **(others or {})}
        self._selection = selection
        self._settings = settings
        self._timings = RunTimings(progress)
        self._timings.notes += selection.notes
        self._threads = settings.threads or usable_threads()
        callers = threads_set_by_caller() if settings.threads is None else None
        if callers not in (None, self._threads) and not isinstance(model, Path):
            self._timings.notes.append(
                f"torch uses {callers} threads per operator in the caller's process, but every "
                f"engine is measured with {self._threads}: the setting threads={callers} would "
                "measure with the same number"
            )
        self._seed = settings.seed if settings.seed is not None else secrets.randbelow(2**31)
        self._outcomes = [CaseOutcome(case=case) for case in selection.cases]
        self._executors: dict[str, Executor] = {}
        self._canary = ReferenceWorkload(
            isolated=settings.isolation == "process", threads=self._threads
        )
        self._fingerprints: dict[str, dict[str, str]] = {}
        self._stopped_because = "nothing left"
        self._rounds_done = 0
        self._looks = 0
        self._per_item = False
        self._orders: dict[int, tuple[str, ...]] = {}
        self._saved_models: tuple[SavedModel, ...] = ()
        self._broken: dict[str, LexerError] = {}
        self._cache_dirs: dict[str, Path] = {}
        self._started = 0

    def execute(self) -> RunOutcome:
        """Run the benchmark; errors of a case are in its outcome.

        Raises
        ------
        ModelError, UsageError
            A model does not run with these inputs.
        """
        # Cases share the folder of their temporary files, so that what is compiled inside a
        # model is compiled once.
        self._temporary = TemporaryFolder("tmp")
        with (
            interrupts_end_run(),
            self._temporary,
            TemporaryFolder("run") as folder,
            guarded(folder),
        ):
            try:
                # Workers import their runtimes while the model is prepared.
                for outcome in self._outcomes[: self._early_workers()]:
                    if not self._model(outcome).has_own_sys_path:
                        self._executors[outcome.case.label] = self._start(outcome)
                if self._settings.canary:
                    self._canary.start()
                if self._settings.launches > 1:
                    self._cache_dirs = self._make_cache_dirs(folder)
                self._check_devices()
                if any(outcome.status == "ok" for outcome in self._outcomes):
                    self._begin(folder, self._models.values())
                    self._prepare(self._outcomes, self._models)
                    self._launch_all()
                    self._locate_differences()
            except KeyboardInterrupt:
                interrupt_handled()
                self._stopped_because = "interrupted"
            finally:
                with without_interrupts():
                    for executor in self._executors.values():
                        executor.close()
                    self._canary.close()
                    for model in self._models.values():
                        self._timings.notes += model.close()
                    self._saved_models, notes = retain_models(self._outcomes, folder)
                    self._timings.notes += notes
        return self.outcome()

    def _early_workers(self) -> int | None:
        """Return how many workers to start before the model is prepared; ``None`` for all."""
        if not self.has_many_cases:
            return None
        return max(1, available_memory_bytes() // (2 * estimate_memory(0, 0)))

    def _start(self, outcome: CaseOutcome, launch: int = 0) -> Executor:
        if self._settings.isolation == "none":
            return LocalExecutor(self.session_type())
        case = outcome.case
        engine = case.remote_engine or self._selection.engines[case.engine]
        modules = engine.info.runtime_modules
        initializer = None
        # Another interpreter gets files, which do not depend on the caller.
        if "torch" in modules and case.remote_engine is None:
            state = self._model(outcome).caller_state
            modules = (*modules, *state.modules)
            initializer = state.initializer
        hosted = self.session_type
        return start_worker(
            f"{hosted.__module__}:{hosted.__qualname__}",
            hosted=hosted,
            label=outcome.case.label,
            threads=case.threads or self._threads,
            cpus=self._cpus(outcome.case),
            memory_limit_bytes=self._memory_limit,
            preload=modules,
            initializer=initializer,
            environment=hash_seed_environment(launch),
            temporary=self._temporary,
            sys_path=self._model(outcome).sys_path,
            python=case.remote_engine.python if case.remote_engine is not None else None,
        )

    def _cpus(self, case: Case) -> int:
        """Return on how many CPUs a case runs."""
        return case.threads or self._threads

    def _copies(self, case: Case) -> int:
        """Return how many sessions a case has at the same time."""
        del case
        return 1

    def _make_cache_dirs(self, folder: Path) -> dict[str, Path]:
        """Create a folder for each case, so that later launches need not compile again.

        Not for a single launch, where a cache would only cost time. Cases do not
        share a folder: the compile time of each must be its own.
        """
        cache_dirs = {}
        for number, outcome in enumerate(self._outcomes):
            cache_dirs[outcome.case.label] = cache_dir = folder / f"compiled-{number}"
            cache_dir.mkdir()
        return cache_dirs

    def _model(self, outcome: CaseOutcome) -> ModelUnderTest:
        return self._models[outcome.case.model]

    def _check_devices(self) -> None:
        """Fail the cases without their device, before the model is run and exported for them.

        Every engine has the CPU.
        """
        for outcome in self._outcomes:
            executor = self._executors.get(outcome.case.label)
            if outcome.case.device.strip().lower() in ("", "cpu") or executor is None:
                continue
            with self._timings.timed("prepare"), contained(outcome, phase="import"):
                try:
                    executor.call(
                        "check_device",
                        outcome.case.engine,
                        outcome.case.device,
                        timeout=self._settings.load_timeout,
                    )
                except DeviceUnavailableError as error:
                    # Without the engine's name, so that one sentence says it of all of them.
                    raise DeviceUnavailableError(
                        f"no device {outcome.case.device!r} on this machine.",
                        engine=outcome.case.engine,
                        hint=error.hint,
                    ) from error

    def _begin(self, folder: Path, models: Iterable[ModelUnderTest]) -> None:
        """Start the processes that prepare some models."""
        self._timings.report("prepare")
        with self._timings.timed("prepare"):
            for model in models:
                model.start(
                    folder / f"model-{self._started}",
                    self._settings,
                    threads=self._threads,
                    memory_limit_bytes=self._memory_limit,
                )
                self._started += 1

    def _prepare(
        self, outcomes: Sequence[CaseOutcome], models: Mapping[str, ModelUnderTest]
    ) -> None:
        """Run the references of some models, then export for each case.

        If there are many cases, a model that does not run costs only those that use it.
        """
        for key, model in models.items():
            try:
                model.run_reference(self._settings, self._timings)
            except LexerError as error:
                if model is self._first or not self.has_many_cases:
                    raise
                self._broken[key] = error
        for outcome in outcomes:
            if outcome.case.model in self._broken:
                record_failure(outcome, self._broken[outcome.case.model], phase="reference")
            elif outcome.status == "ok":
                self._export(outcome)
        with self._timings.timed("prepare"):
            self._fingerprints |= {
                key: model.identity() for key, model in models.items() if key not in self._broken
            }
        needed = dict.fromkeys([*models, *(outcome.case.model for outcome in outcomes)])
        for key in (key for key in needed if key not in self._broken):
            model = self._models[key]
            prepared = [
                outcome.prepared
                for outcome in outcomes
                if outcome.case.model == key and outcome.prepared is not None
            ]
            model.match_inputs(prepared, self._inputs)
            model.suspend()

    def _export(self, outcome: CaseOutcome) -> None:
        self._timings.report("export", outcome.case.label)
        with self._timings.timed("export"), contained(outcome, phase="export"):
            outcome.prepared = self._model(outcome).export(outcome.case, self._settings)

    def _launch_all(self) -> None:
        groups = self._groups(self._outcomes)
        if len(groups) > 1:
            self._timings.notes.append(
                f"the cases do not all fit in memory: measured in {len(groups)} groups, "
                f"each with {groups[0][0].case.label!r}"
            )

        for group in groups:
            self._launch_group(group, share=1.0 / len(groups))
            if self._stopped_because == "interrupted":
                return
        if self._settings.profile:
            self._profile_all()

    def _export_again(self, outcome: CaseOutcome) -> None:
        model = self._model(outcome)
        model.discard_cached(outcome.case)
        self._export(outcome)
        model.suspend()

    def _launch_group(self, group: Sequence[CaseOutcome], *, share: float) -> None:
        """Launch the cases of a group as often as needed, or until an interrupt."""
        settings = self._settings
        start = time.perf_counter()
        launch = 0
        while launch < settings.launches:
            plan = RoundsPlan(
                max_seconds=settings.max_seconds * share / settings.launches,
                min_seconds=settings.min_seconds * share / settings.launches,
                samples=_part(settings.num_iterations, settings.launches, launch),
                rounds=_part(settings.rounds, settings.launches, launch),
                first_round=self._rounds_done,
            )
            launch += 1
            if plan.samples == 0 or plan.rounds == 0:
                continue  # fewer samples than launches
            self._launch(group, launch - 1, plan)
            if self._stopped_because == "interrupted":
                return
        # More launches, where only they can decide and the time suffices.
        end = start + settings.max_seconds * share
        while self._stopped_because == "launches" and launch < _MOST_LAUNCHES:
            left = end - time.perf_counter()
            if left < (time.perf_counter() - start) / launch:
                break
            plan = RoundsPlan(
                max_seconds=left,
                min_seconds=settings.min_seconds * share / settings.launches,
                first_round=self._rounds_done,
            )
            launch += 1
            self._launch(group, launch - 1, plan)
            if self._stopped_because == "interrupted":
                return
            self._looks += 1
            self._stopped_because = reason_to_stop(
                group, settings, launch, self._looks, per_item=self._per_item
            )

    def _launch(
        self,
        group: Sequence[CaseOutcome],
        launch: int,
        plan: RoundsPlan,
        *,
        race: Race | None = None,
    ) -> None:
        """Launch the cases of a group once, and record how that ended."""
        settings = self._settings
        members = [
            (outcome, self._live_case(outcome, launch))
            for outcome in group
            if outcome.status == "ok"
        ]
        has_canary = settings.canary and members and race is None
        canary = self._canary.live(launch) if has_canary else None
        try:
            ended = self._make_launch(
                members=members,
                models=self._models,
                settings=settings,
                threads=self._threads,
                plan=plan,
                rng=random.Random(f"{self._seed} {self._rounds_done}"),  # noqa: S311 - not a secret
                export_again=self._export_again,
                timings=self._timings,
                canary=canary,
                cache_dirs=self._cache_dirs,
                per_item=self._per_item,
                race=race,
            ).run()
        finally:
            for _, case in members:
                case.close()
            if canary is not None:
                canary.close()
        self._orders |= {
            self._rounds_done + index: order for index, order in enumerate(ended.orders)
        }
        # Another round may have begun.
        self._rounds_done += ended.rounds + 1
        self._looks = max(self._looks, ended.looks)
        self._stopped_because = ended.stopped_because

    def _make_launch(self, **fields: Any) -> Launch:
        return Launch(**fields)

    def _locate_differences(self) -> None:
        """Find out in which module wrong outputs first differ from the model's."""
        if not self._settings.locate_differences or self._stopped_because == "interrupted":
            return
        wrong = [
            (outcome, outcome.parity)
            for outcome in self._outcomes
            if outcome.status == "ok" and outcome.parity and outcome.parity.status == "fail"
        ]
        found = FirstDifference()
        for outcome, parity in wrong:
            if found.reason != _INTERRUPTED:
                found = self._located(outcome)
            outcome.parity = attrs.evolve(parity, first_difference=found)

    def _located(self, outcome: CaseOutcome) -> FirstDifference:
        try:
            self._timings.report("locate", outcome.case.label)
            with self._timings.timed("locate"):
                return locate_in_case(
                    outcome,
                    self._model(outcome),
                    threads=self._threads,
                    start=lambda other: self._live_case(other, 0),
                )
        except KeyboardInterrupt:  # nothing is lost: the measurement is complete
            interrupt_handled()
            return FirstDifference(reason=_INTERRUPTED)

    def _profile_all(self) -> None:
        """Profile the measured cases one after the other, each in a new process."""
        for outcome in self._outcomes:
            if outcome.status != "ok" or not len(outcome.log):
                continue
            self._timings.report("profile", outcome.case.label)
            with self._timings.timed("profile"):
                outcome.profile = profile_case(
                    outcome,
                    self._model(outcome).inputs,
                    threads=self._threads,
                    start=lambda other: self._live_case(other, other.log.launch + 1),
                )

    def _groups(self, outcomes: Sequence[CaseOutcome]) -> list[list[CaseOutcome]]:
        """Return which cases fit in memory together, each time with the first."""
        input_bytes = sum(array.nbytes for array in self._inputs.arrays.values())
        together: dict[str, list[CaseOutcome]] = {}
        needs: dict[str, int] = {}
        for outcome in outcomes:
            if outcome.prepared is None:
                continue
            unit = outcome.case.paired_with or outcome.case.label
            size = outcome.prepared.exported.size_bytes * self._copies(outcome.case)
            together.setdefault(unit, []).append(outcome)
            needs[unit] = needs.get(unit, 0) + estimate_memory(size, input_bytes)
        groups = group_cases(list(needs.items()), available_memory_bytes())
        return [[outcome for unit in group for outcome in together[unit]] for group in groups]

    def _live_case(self, outcome: CaseOutcome, launch: int) -> LiveCase:
        outcome.log.launch = launch
        # The processes of the first launch were started early.
        executor = self._executors.pop(outcome.case.label, None) or self._start(outcome, launch)
        prepared = outcome.prepared
        if executor.isolated and prepared is not None and prepared.exported.model is not None:
            executor.close()
            executor = LocalExecutor(self.session_type())
            if launch == 0:
                outcome.warnings.append(
                    "measured in the parent process (the notes say why): its memory is unknown, "
                    "and time limits are not enforced"
                )
        outcome.isolation = "process" if executor.isolated else "none"
        return LiveCase(
            outcome.case.label,
            executor,
            outcome.log,
            call_timeout=self._settings.call_timeout,
            load_timeout=self._settings.load_timeout,
        )

    def outcome(self) -> RunOutcome:
        """Return what is known so far; a case without samples has failed."""
        outcomes = [
            attrs.evolve(outcome, status="failed", failure=self._not_measured())
            if outcome.status == "ok" and not len(outcome.log)
            else outcome
            for outcome in self._outcomes
        ]
        refused = [
            CaseOutcome(
                case=case,
                status="unsupported" if isinstance(error, UnsupportedError) else "failed",
                failure=describe_failure(error, "resolve"),
            )
            for case, error in self._selection.failures
        ]
        batch_size = self._batch_size()
        dtypes = sorted({array.dtype.name for array in self._inputs.arrays.values()})
        return RunOutcome(
            cases=(*outcomes, *refused),
            stopped_because=self._stopped_because,
            orders=self._orders,
            looks=self._looks,
            per_item=self._per_item,
            seed=self._seed,
            threads=self._threads,
            batch_size=batch_size.items,
            dtype=", ".join(dtypes),
            notes=tuple(
                dict.fromkeys([*self._timings.notes, *batch_size.notes, *self._canary.notes])
            ),
            seconds=dict(self._timings.seconds),
            input_specs=tensor_specs(self._inputs.arrays),
            model_name=", ".join(dict.fromkeys(outcome.case.model_name for outcome in outcomes))
            or self._first.name,
            canary=self._canary.evidence(),
            models=self._saved_models,
            model_fingerprint=self._fingerprints.get("", {}),
            other_fingerprints={key: each for key, each in self._fingerprints.items() if key},
        )

    def _not_measured(self) -> Failure:
        if self._stopped_because == "interrupted":
            return Failure(
                phase="rounds", kind="Interrupted", reason="interrupted before the first sample"
            )
        return Failure(phase="rounds", kind="NoSamples", reason="no samples were taken")

    def _batch_size(self) -> BatchSize:
        """Return the user's number of items in a call, or the guess."""
        if self._settings.items_per_call is not None:
            return BatchSize(items=self._settings.items_per_call)
        prepared = next((each.prepared for each in self._outcomes if each.prepared), None)
        if prepared is None:  # nothing was measured
            return BatchSize()
        return confirm_batch_size(self._first.batch_size, prepared.exported.outputs)

    @property
    def _inputs(self) -> CallInputs:
        return self._first.inputs

    @property
    def _memory_limit(self) -> int | None:
        limit = self._settings.memory_limit_mb
        return None if limit is None else int(limit * _MIB)


def _part(total: int | None, launches: int, launch: int) -> int | None:
    """Return one launch's share of an exact total."""
    return None if total is None else share_out(total, launches)[launch]
