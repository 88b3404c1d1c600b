"""How does a benchmark go, from a model to samples?

Start a worker for each case, prepare the model while their runtimes import,
then launch the cases group by group.
"""

from __future__ import annotations

import random
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.errors import UnsupportedError
from lexer_core.measurement.affinity import usable_threads
from lexer_core.measurement.case_session import CaseSession
from lexer_core.measurement.containment import contained, describe_failure
from lexer_core.measurement.grouping import estimate_memory, group_cases
from lexer_core.measurement.hosts import Host, LocalHost, start_worker
from lexer_core.measurement.interrupts import interrupts_apart, without_interrupts
from lexer_core.measurement.journal import Journal
from lexer_core.measurement.launch import Launch
from lexer_core.measurement.layout import layout_environment
from lexer_core.measurement.live_case import LiveCase
from lexer_core.measurement.memory import available_memory_bytes
from lexer_core.measurement.model_host import ModelHost
from lexer_core.measurement.onnx_inputs import inputs_for_graph
from lexer_core.measurement.outcome import CaseOutcome, RunOutcome
from lexer_core.measurement.parity import ParityJudge
from lexer_core.measurement.rounds import RoundsPlan, share_out
from lexer_core.model.tensors import tensor_specs
from lexer_core.records import CallInputs, CallStructure
from lexer_core.results import Failure

if TYPE_CHECKING:
    from lexer_core.config import Settings
    from lexer_core.measurement.cases import CaseSelection
    from lexer_core.measurement.progress import ProgressCallback
    from lexer_core.model.adapt import AdaptedModel

__all__ = ["BenchmarkRun"]

_CASE_FACTORY = "lexer_core.measurement.case_session:CaseSession"
_MIB = 2**20


class BenchmarkRun:
    """One benchmark, run once.

    Parameters
    ----------
    model
        An adapted model, or the path of an ``.onnx`` file.
    inputs
        Example inputs for an ``.onnx`` file; an adapted model has its own.
    selection
        The cases.
    settings
        What holds for all of them.
    progress
        Told of every step; may be ``None``.
    """

    def __init__(
        self,
        model: AdaptedModel | Path,
        inputs: object,
        selection: CaseSelection,
        settings: Settings,
        progress: ProgressCallback | None = None,
    ) -> None:
        self._model = model
        self._given_inputs = inputs
        self._inputs = CallInputs(arrays={}, structure=CallStructure())
        self._selection = selection
        self._settings = settings
        self._journal = Journal(progress)
        self._journal.notes += selection.notes
        self._threads = settings.threads or usable_threads()
        self._seed = settings.seed if settings.seed is not None else secrets.randbelow(2**31)
        self._outcomes = [CaseOutcome(case=case) for case in selection.cases]
        self._hosts: dict[str, Host] = {}
        self._judge = ParityJudge(rtol=settings.rtol, atol=settings.atol)
        self._stopped_because = "nothing left"
        self._rounds_done = 0
        self._orders: dict[int, tuple[str, ...]] = {}

    def execute(self) -> RunOutcome:
        """Run it; whatever happens to a case is in its outcome.

        Raises
        ------
        ModelError, InputError
            The model itself does not run with these inputs.
        """
        model_host: ModelHost | None = None
        with interrupts_apart(), tempfile.TemporaryDirectory(prefix="lexer-") as folder:
            try:
                # Workers import their runtimes while the model is prepared.
                for outcome in self._outcomes:
                    self._hosts[outcome.case.label] = self._start(outcome)
                model_host = self._start_model_host(Path(folder))
                self._prepare(model_host)
                self._launch_all(model_host)
            except KeyboardInterrupt:
                self._stopped_because = "interrupted"
            finally:
                with without_interrupts():
                    for host in self._hosts.values():
                        host.close()
                    if model_host is not None:
                        self._journal.notes += model_host.notes
                        model_host.close()
        return self._outcome()

    def _start(self, outcome: CaseOutcome, launch: int = 0) -> Host:
        if self._settings.isolation == "none":
            return LocalHost(CaseSession())
        engine = self._selection.engines[outcome.case.engine]
        return start_worker(
            _CASE_FACTORY,
            label=outcome.case.label,
            threads=self._threads,
            memory_limit_bytes=self._memory_limit,
            preload=engine.info.runtime_modules,
            environment=layout_environment(launch),
        )

    def _start_model_host(self, folder: Path) -> ModelHost:
        self._journal.tell("prepare", message="taking the model to a process of its own")
        with self._journal.timed("prepare"):
            return ModelHost(
                self._model,
                folder,
                isolated=self._settings.isolation == "process",
                threads=self._threads,
                timeout=self._settings.load_timeout,
                memory_limit_bytes=self._memory_limit,
            )

    def _prepare(self, model_host: ModelHost) -> None:
        """Reference first, then an export for each case."""
        if not isinstance(self._model, Path):
            self._inputs = self._model.inputs
            self._journal.tell("reference")
            with self._journal.timed("reference"):
                reference = model_host.reference()
            self._journal.notes += [*self._model.notes, *reference.notes]
            self._judge = ParityJudge(
                reference.outputs,
                name=reference.name,
                not_judged=reference.not_judged,
                float64=model_host.float64_outputs,
                rtol=self._settings.rtol,
                atol=self._settings.atol,
                stateful=reference.stateful,
            )
        for outcome in self._outcomes:
            self._export(outcome, model_host)
        if isinstance(self._model, Path):
            for outcome in self._outcomes:
                if outcome.prepared is not None:
                    specs = outcome.prepared.exported.inputs
                    self._inputs = inputs_for_graph(specs, self._given_inputs)
        model_host.suspend()

    def _export(self, outcome: CaseOutcome, model_host: ModelHost) -> None:
        settings = self._settings
        self._journal.tell("export", outcome.case.label)
        with self._journal.timed("export"), contained(outcome, phase="export"):
            outcome.prepared = model_host.export(
                outcome.case.engine,
                outcome.case.device,
                settings.export_options(),
                use_cache=settings.use_cache,
                by_value=settings.isolation == "process",
            )

    def _launch_all(self, model_host: ModelHost) -> None:
        groups = self._groups()
        if len(groups) > 1:
            self._journal.notes.append(
                f"the cases do not fit into memory together: measured in {len(groups)} groups, "
                f"each with {groups[0][0].case.label!r}"
            )

        def export_again(outcome: CaseOutcome) -> None:
            model_host.discard_cached(outcome.case.engine)
            self._export(outcome, model_host)
            model_host.suspend()

        settings = self._settings
        for group in groups:
            for launch in range(settings.launches):
                plan = RoundsPlan(
                    max_seconds=settings.max_seconds / settings.launches / len(groups),
                    samples=_part(settings.num_iterations, settings.launches, launch),
                    rounds=_part(settings.rounds, settings.launches, launch),
                    first_round=self._rounds_done,
                )
                if plan.samples == 0 or plan.rounds == 0:
                    continue  # fewer samples than launches
                members = [
                    (outcome, self._live_case(outcome, launch))
                    for outcome in group
                    if outcome.status == "ok"
                ]
                try:
                    ended = Launch(
                        members=members,
                        inputs=self._inputs,
                        settings=settings,
                        threads=self._threads,
                        plan=plan,
                        rng=random.Random(f"{self._seed} {self._rounds_done}"),  # noqa: S311 - an order, no secret
                        judge=self._judge,
                        export_again=export_again,
                        journal=self._journal,
                    ).run()
                finally:
                    for _, case in members:
                        case.close()
                self._orders |= {
                    self._rounds_done + index: order for index, order in enumerate(ended.orders)
                }
                # One round more than was finished may have begun.
                self._rounds_done += ended.rounds + 1
                self._stopped_because = ended.stopped_because
                if ended.stopped_because == "interrupted":
                    return

    def _groups(self) -> list[list[CaseOutcome]]:
        input_bytes = sum(array.nbytes for array in self._inputs.arrays.values())
        needs = [
            (outcome, estimate_memory(outcome.prepared.exported.size_bytes, input_bytes))
            for outcome in self._outcomes
            if outcome.prepared is not None
        ]
        return group_cases(needs, available_memory_bytes())

    def _live_case(self, outcome: CaseOutcome, launch: int) -> LiveCase:
        outcome.log.launch = launch
        # The first life of each process was begun early.
        host = self._hosts.pop(outcome.case.label, None) or self._start(outcome, launch)
        prepared = outcome.prepared
        if host.isolated and prepared is not None and prepared.exported.model is not None:
            host.close()
            host = LocalHost(CaseSession())
            if launch == 0:
                outcome.warnings.append(
                    "measured in the caller's process, because the model cannot travel "
                    "to another one: memory is not told apart, and time limits do not hold"
                )
        outcome.isolation = "process" if host.isolated else "none"
        return LiveCase(
            outcome.case.label,
            host,
            outcome.log,
            call_timeout=self._settings.call_timeout,
            load_timeout=self._settings.load_timeout,
        )

    def _outcome(self) -> RunOutcome:
        for outcome in self._outcomes:
            if outcome.status == "ok" and not len(outcome.log):
                outcome.status = "failed"
                outcome.failure = Failure(
                    phase="rounds",
                    kind="NoSamples",
                    reason="interrupted before the first sample"
                    if self._stopped_because == "interrupted"
                    else "no sample was taken",
                )
        refused = [
            CaseOutcome(
                case=case,
                status="unsupported" if isinstance(error, UnsupportedError) else "failed",
                failure=describe_failure(error, "resolve"),
            )
            for case, error in self._selection.failures
        ]
        dtypes = sorted({array.dtype.name for array in self._inputs.arrays.values()})
        return RunOutcome(
            cases=(*self._outcomes, *refused),
            stopped_because=self._stopped_because,
            orders=self._orders,
            seed=self._seed,
            threads=self._threads,
            batch_size=_batch_size(self._inputs),
            dtype=", ".join(dtypes),
            notes=tuple(dict.fromkeys(self._journal.notes)),
            seconds=dict(self._journal.seconds),
            input_specs=tensor_specs(self._inputs.arrays),
            model_name=(
                self._model.stem if isinstance(self._model, Path) else self._model.model_name
            ),
        )

    @property
    def _memory_limit(self) -> int | None:
        limit = self._settings.memory_limit_mb
        return None if limit is None else int(limit * _MIB)


def _part(total: int | None, launches: int, launch: int) -> int | None:
    """The share of one launch in an exact total."""
    return None if total is None else share_out(total, launches)[launch]


def _batch_size(inputs: CallInputs) -> int | None:
    """Dimension 0, where all inputs that have one agree."""
    sizes = {array.shape[0] for array in inputs.arrays.values() if array.ndim > 0}
    return sizes.pop() if len(sizes) == 1 else None
