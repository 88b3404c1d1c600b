"""How does a run measure a torch model or an ``.onnx`` file?

A process holds the model to run and export it: see
:class:`~lexer_core.benchmark.model_host.ModelHost`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudpickle

from lexer_core.benchmark.model_host import HostSettings, ModelHost
from lexer_core.benchmark.parity import ParityJudge, SecondJudge
from lexer_core.benchmark.preparation import BuiltModel, OnnxPreparation, TorchPreparation
from lexer_core.engine_helpers import first_line
from lexer_core.errors import LexerError, ModelError, WorkerError
from lexer_core.model.batch_size import BatchSize, guess_batch_size
from lexer_core.model.by_value import remove_model, save_model
from lexer_core.model.caller_state import CallerState, read_caller_state
from lexer_core.model.reference import outputs_for
from lexer_core.records import CallInputs, CallStructure
from lexer_core.target.onnx_inputs import inputs_for_graph
from lexer_core.validation import judge
from lexer_core.worker.executor import Executor, LocalExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lexer_core.benchmark.cases import Case
    from lexer_core.benchmark.measured_model import ModelModules, ModelUnderTest
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.reference import Reference
    from lexer_core.records import ExportedModel
    from lexer_core.settings.table import Settings

__all__ = ["OnnxModel", "RemoteModel", "TorchModel", "hosted_model"]

_TORCH_FACTORY = "lexer_core.benchmark.preparation:TorchPreparation"
_ONNX_FACTORY = "lexer_core.benchmark.preparation:OnnxPreparation"

_CHECK_SECONDS = 1.0
"""The longest call that is repeated in the caller's process, as a check."""


class _HostedModel(ABC):
    """A model that a process holds, to export it.

    Parameters
    ----------
    name
        See :class:`ModelUnderTest`.
    title
        Prefix of its notes if the run has several models.
    """

    sys_path: tuple[str, ...] | None = None
    has_own_sys_path = False
    caller_state = CallerState()
    judge: ParityJudge

    def __init__(self, name: str, *, title: str) -> None:
        self.name = name
        self.title = title
        self.inputs = CallInputs(arrays={}, structure=CallStructure())
        self.batch_size = BatchSize()
        self._notes: list[str] = []
        self._second_inputs: Mapping[str, Any] | None = None
        self._host: ModelHost | None = None

    @abstractmethod
    def _open(self, settings: HostSettings) -> Executor:
        """Start a process and load the model there."""

    def start(
        self, folder: Path, settings: Settings, *, threads: int, memory_limit_bytes: int | None
    ) -> None:
        """Start the process that prepares the model."""
        self.judge = ParityJudge(settings)
        host_settings = HostSettings(
            isolated=settings.isolation == "process",
            threads=threads,
            timeout=settings.load_timeout,
            memory_limit_bytes=memory_limit_bytes,
        )
        self._host = ModelHost(
            lambda: self._open(host_settings),
            name=self.name,
            directory=folder,
            timeout=settings.load_timeout,
        )

    def export(self, case: Case, settings: Settings) -> PreparedModel:
        """Return the model in a format that the case's engine accepts."""
        return self.export_for(
            case.remote_engine or case.engine, case.device, settings, precision=case.precision
        )

    def export_for(
        self,
        engine: str | RemoteEngine,
        device: str,
        settings: Settings,
        *,
        precision: str = "",
    ) -> PreparedModel:
        """Return the model in a format that an engine accepts, for a precision."""
        return self._running.export(
            engine,
            device,
            settings.export_options(),
            use_cache=settings.use_cache,
            precision=precision,
        )

    def identity(self) -> dict[str, str]:
        """Return digests of the model; a note says which cannot be computed."""
        try:
            identity = self._running.identity()
        except LexerError as error:
            self._notes.append(
                f"the model has no fingerprint ({error.message}): a later comparison cannot tell "
                "whether its weights or its code changed"
            )
            return {}
        self._notes += identity.notes
        return dict(identity.digests)

    def discard_cached(self, case: Case) -> None:
        """Delete a cached export that gave wrong outputs."""
        self.discard_cached_export(_engine_name(case))

    def mark_wrong(self, case: Case) -> None:
        """Note in the cache that a new export gave wrong outputs, too."""
        self.mark_export_wrong(_engine_name(case))
        self._running.suspend()

    def to_format(self, format: str, settings: Settings) -> PreparedModel:
        """Export the model to a file with any engine that can."""
        return self._running.to_format(
            format, settings.export_options(), use_cache=settings.use_cache
        )

    def call_export(
        self,
        engine: str,
        exported: ExportedModel,
        input_sets: Sequence[Mapping[str, Any]],
        threads: int,
    ) -> tuple[Mapping[str, Any], ...]:
        """Return the outputs of an exported file on an engine, for each set of inputs."""
        return self._running.call_export(engine, exported, input_sets, threads)

    def discard_cached_export(self, engine: str) -> None:
        """Delete a cached export, which an engine got and which gave wrong outputs."""
        self._running.discard_cached(engine)

    def mark_export_wrong(self, engine: str) -> None:
        """Note in the cache that a new export, which an engine got, gave wrong outputs."""
        self._running.mark_wrong(engine)

    def suspend(self) -> None:
        """Take the model's process off the CPUs until it is needed again."""
        self._running.suspend()

    def modules(self) -> ModelModules | None:
        """Return the process that holds the model."""
        return self._running

    def close(self) -> list[str]:
        """End the model's process; return notes for the reader of the report."""
        if self._host is not None:
            self._host.close()
        return self._titled(self._notes)

    @property
    def _running(self) -> ModelHost:
        assert self._host is not None
        return self._host

    def _titled(self, notes: Sequence[str]) -> list[str]:
        return [f"{self.title}: {note}" if self.title else note for note in notes]

    def _reference(self, settings: Settings) -> Reference:
        """Run the model for the outputs that its cases must return."""
        del settings
        return self._running.reference()

    def _judge_by_reference(
        self, model_notes: Sequence[str], settings: Settings, timings: RunTimings
    ) -> None:
        timings.report("reference", message=self.title)
        with timings.timed("reference"):
            reference = self._reference(settings)
        timings.notes += self._titled([*model_notes, *reference.notes])
        self.judge = ParityJudge(
            settings,
            reference.outputs,
            name=f"{self.title} {reference.name}".strip(),
            not_judged=reference.not_judged,
            stateful=reference.stateful,
            float64=self._running.float64_outputs,
            second=self._second_judge(reference, settings, timings),
            second_call=reference.second_call,
        )

    def _second_judge(
        self, reference: Reference, settings: Settings, timings: RunTimings
    ) -> SecondJudge | None:
        """Run the model with second inputs; return ``None`` if outputs are not judged by them."""
        is_judged = settings.validation and settings.second_inputs
        if not is_judged or reference.not_judged or reference.stateful:
            return None
        with timings.timed("reference"):
            second = self._running.second_reference(self._second_inputs)
        if second.reason:
            note = f"outputs were not compared for second inputs: {second.reason}"
            timings.notes += self._titled([note])
            return None
        judge = ParityJudge(
            settings,
            second.outputs,
            name=f"{self.title} {reference.name}".strip(),
            float64=lambda: self._running.second_float64_outputs(second),
        )
        return SecondJudge(inputs=second.arrays, judge=judge)


class TorchModel(_HostedModel):
    """A torch module or program of the parent process.

    Parameters
    ----------
    adapted
        The model and its inputs.
    title
        Prefix of its notes if the run has several models.
    second_inputs
        Second inputs by name. Default: made from the first.
    """

    def __init__(
        self,
        adapted: AdaptedModel,
        *,
        title: str = "",
        second_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(adapted.model_name, title=title)
        self._second_inputs = second_inputs
        self.inputs = adapted.inputs
        self.batch_size = adapted.batch_size
        self.caller_state = read_caller_state(adapted.export_module)
        self._adapted = adapted

    def run_reference(self, settings: Settings, timings: RunTimings) -> None:
        """Run the model itself."""
        self._judge_by_reference(self._adapted.notes, settings, timings)

    def match_inputs(self, exports: Sequence[PreparedModel], first: CallInputs) -> None:
        """Do nothing: the inputs are the model's."""

    def start(
        self, folder: Path, settings: Settings, *, threads: int, memory_limit_bytes: int | None
    ) -> None:
        """Start the process that prepares the model."""
        self._file = folder / "sent" / "model"
        super().start(folder, settings, threads=threads, memory_limit_bytes=memory_limit_bytes)

    def _open(self, settings: HostSettings) -> Executor:
        if not settings.isolated:
            return self._open_here()
        if not self._adapted.can_be_sent:
            return self._open_here("it was compiled in place, which is lost in a copy")
        try:
            save_model(self._adapted, self._file)
        except Exception as error:  # an object of the user's may raise anything
            remove_model(self._file)
            return self._open_here(f"{type(error).__name__}: {error}")
        worker = settings.start_worker(
            _TORCH_FACTORY,
            hosted=TorchPreparation,
            preload=("torch", *self.caller_state.modules),
            initializer=self.caller_state.initializer,
        )
        try:
            worker.call("load", self._file, timeout=settings.timeout)
        except LexerError as error:
            worker.close()
            return self._open_here(error.message)
        finally:
            remove_model(self._file)
        return worker

    def _open_here(self, problem: str = "") -> Executor:
        if problem:
            self._notes.append(
                f"the model cannot be sent to another process ({problem.strip().splitlines()[0]}); "
                "reference and export were made in the parent process"
            )
        preparation = TorchPreparation()
        preparation.open(self._adapted)
        return LocalExecutor(preparation)

    def _reference(self, settings: Settings) -> Reference:
        """Run the model in its process, and make sure that it is the same model there."""
        host = self._running
        try:
            reference = host.reference()
        except ModelError as error:
            # A crash or a hang must not be repeated in the caller's process.
            if not host.isolated or isinstance(error.__cause__, WorkerError):
                raise
            here = self._move_here(
                f"it runs there, but not in a worker process: {first_line(error.message)}"
            )
            if here is None:
                raise
            return here
        if host.isolated and settings.validation:
            difference = self._difference_here(reference, settings)
            if difference:
                return self._move_here(difference) or reference
        return reference

    def _difference_here(self, reference: Reference, settings: Settings) -> str:
        """Compare the reference with a call in the caller's process, if that is cheap.

        Finds what a worker cannot know: a function or a class that was patched.
        """
        if reference.seconds > _CHECK_SECONDS or not reference.deterministic:
            return ""
        try:
            outputs = outputs_for(self._adapted, tuple(reference.outputs))
        except LexerError as error:
            self._notes.append(
                "the model runs in a worker process, but not in the caller's: "
                f"{first_line(error.message)}"
            )
            return ""
        parity = judge(
            outputs,
            reference.outputs,
            reference_name=reference.name,
            float64=self._running.float64_outputs,
            rtol=settings.rtol,
            atol=settings.atol,
        )
        if parity.status != "fail":
            return ""
        by = "" if parity.max_abs_error is None else f" (by up to {parity.max_abs_error:.3g})"
        return (
            f"its outputs in a worker process differ from those in the caller's process{by}, so "
            "something in the caller's process changes it: a patched function or class, perhaps"
        )

    def _move_here(self, reason: str) -> Reference | None:
        """Go on in the caller's process; ``None`` if the model does not run there either."""
        executor = self._open_here()
        try:
            reference: Reference = executor.call("reference", timeout=None)
        except LexerError:
            return None
        self._notes.append(f"the model is measured in the parent process: {reason}")
        self._running.move(executor, lambda: executor)
        return reference


class OnnxModel(_HostedModel):
    """An ``.onnx`` file.

    Torch cannot run it, so there is no reference: the outputs of the first case are
    compared with those of the others.

    Parameters
    ----------
    path
        The file.
    example
        Example inputs; they are matched to the graph once it is read.
    title
        Prefix of its notes if the run has several models.
    """

    def __init__(self, path: Path, example: object, *, title: str = "") -> None:
        super().__init__(path.stem, title=title)
        self._path = path
        self._example = example

    def run_reference(self, settings: Settings, timings: RunTimings) -> None:
        """Do nothing: torch cannot run the file."""

    def modules(self) -> None:
        """Return nothing: torch cannot run the file."""

    def match_inputs(self, exports: Sequence[PreparedModel], first: CallInputs) -> None:
        """Name the example inputs as in the graph."""
        del first
        for prepared in exports:
            self.inputs = inputs_for_graph(prepared.exported.inputs, self._example)
        self.batch_size = guess_batch_size(self.inputs)

    def _open(self, settings: HostSettings) -> Executor:
        if not settings.isolated:
            preparation = OnnxPreparation()
            preparation.open(self._path)
            return LocalExecutor(preparation)
        worker = settings.start_worker(_ONNX_FACTORY, hosted=OnnxPreparation)
        worker.call("open", self._path, timeout=settings.timeout)
        return worker


class RemoteModel(_HostedModel):
    """A torch model that its own process builds; the parent process never imports it.

    This allows one run to measure two versions of a model although their modules
    have the same names.

    Parameters
    ----------
    name
        See :class:`ModelUnderTest`.
    build
        Returns the adapted model. It is sent as a pickle, so it must be importable.
    sys_path
        Initial ``sys.path`` of the process.
    title
        Prefix of its notes if the run has several models.
    """

    has_own_sys_path = True

    def __init__(
        self,
        name: str,
        build: Callable[[], AdaptedModel],
        sys_path: Sequence[str],
        *,
        title: str = "",
    ) -> None:
        super().__init__(name, title=title)
        self._build = build
        self._initial_sys_path = tuple(sys_path)
        self._model_notes: tuple[str, ...] = ()

    def run_reference(self, settings: Settings, timings: RunTimings) -> None:
        """Run the model itself."""
        self._judge_by_reference(self._model_notes, settings, timings)

    def match_inputs(self, exports: Sequence[PreparedModel], first: CallInputs) -> None:
        """Do nothing: the inputs are the model's."""

    def _open(self, settings: HostSettings) -> Executor:
        worker = settings.start_worker(
            _TORCH_FACTORY,
            hosted=TorchPreparation,
            preload=("torch",),
            sys_path=self._initial_sys_path,
        )
        try:
            built: BuiltModel = worker.call(
                "build", cloudpickle.dumps(self._build), timeout=settings.timeout
            )
        except BaseException:
            worker.close()
            raise
        self.inputs, self._model_notes, self.sys_path = built.inputs, built.notes, built.sys_path
        self.caller_state = built.caller_state
        return worker


def _engine_name(case: Case) -> str:
    return case.remote_engine.name if case.remote_engine else case.engine


def hosted_model(
    model: AdaptedModel | Path,
    example: object,
    *,
    title: str = "",
    second_inputs: Mapping[str, Any] | None = None,
) -> ModelUnderTest:
    """Return the model that a user gave, as a run needs it.

    Parameters
    ----------
    model
        An adapted model, or the path of an ``.onnx`` file.
    example
        Example inputs for an ``.onnx`` file; an adapted model has its own.
    title
        Prefix of its notes if the run has several models.
    second_inputs
        Second inputs of an adapted model, by name. Default: made from the first.
    """
    if isinstance(model, Path):
        return OnnxModel(model, example, title=title)
    return TorchModel(model, title=title, second_inputs=second_inputs)
