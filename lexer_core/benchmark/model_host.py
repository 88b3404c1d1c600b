"""Which process holds a model while it is prepared, and what if that process crashes?

Its own worker process if possible, because a crash during export must not end the
run; otherwise the parent process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
from attrs import frozen

from lexer_core.benchmark.early_model import MODEL_LABEL
from lexer_core.benchmark.plausible import (
    call_export_problem,
    call_plausibly,
    prepared_problem,
    reference_problem,
)
from lexer_core.errors import LexerError, ModelError, WorkerDiedError, WorkerTimeoutError
from lexer_core.export.exports import engine_at_work
from lexer_core.model.second_reference import SecondReference
from lexer_core.validation import Float64Outputs
from lexer_core.worker.executor import Executor, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from lexer_core.benchmark.module_trace import ModuleTrace
    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.export.identity import Identity
    from lexer_core.model.reference import Reference
    from lexer_core.records import ExportedModel, OptionValue, TensorSpec

__all__ = ["HostSettings", "ModelHost"]


@frozen(kw_only=True)
class HostSettings:
    """Settings of the process that holds a model.

    Parameters
    ----------
    isolated
        Whether to use a worker process if the model can be sent to one.
    threads
        Threads of the worker.
    timeout
        Time limit of each step, in seconds.
    memory_limit_bytes
        Memory limit of the worker.
    """

    isolated: bool
    threads: int
    timeout: float
    memory_limit_bytes: int | None = None

    def start_worker(
        self,
        factory: str,
        *,
        hosted: type,
        preload: Sequence[str] = (),
        sys_path: Sequence[str] | None = None,
        initializer: tuple[str, object] | None = None,
    ) -> Executor:
        """Start a worker for a model; ``factory`` makes its ``Preparation``, ``hosted``."""
        return start_worker(
            factory,
            hosted=hosted,
            label=MODEL_LABEL,
            threads=self.threads,
            memory_limit_bytes=self.memory_limit_bytes,
            preload=preload,
            # Export is not measured, so it may use every core.
            pinned=False,
            sys_path=sys_path,
            initializer=initializer,
        )


class ModelHost:
    """The process that holds a model; after a crash, the next step starts another one.

    Parameters
    ----------
    open_model
        Starts a process and loads the model into a ``Preparation`` there.
    name
        The model's name in errors.
    directory
        Where exports are written that are not cached.
    timeout
        Time limit of each step, in seconds.
    """

    def __init__(
        self, open_model: Callable[[], Executor], *, name: str, directory: Path, timeout: float
    ) -> None:
        self._open_model = open_model
        self._name = name
        self._directory = directory
        self._timeout = timeout
        self._crashed = False
        self._has_reference = False
        self._starts = 1
        self._copies = 0
        self._avoid: dict[str, str] = {}
        self._executor = open_model()

    @property
    def isolated(self) -> bool:
        """Whether the model has a separate process."""
        return self._executor.isolated

    def move(self, executor: Executor, open_model: Callable[[], Executor]) -> None:
        """Go on with a model that is loaded elsewhere, and has run for its reference there."""
        self._executor.close()
        self._executor, self._open_model = executor, open_model
        self._crashed = False
        self._has_reference = True
        self._starts += 1

    def reference(self) -> Reference:
        """Run the model itself.

        Raises
        ------
        ModelError
            The model raises, crashes its process, or exceeds the time limit.
        """
        try:
            reference: Reference = self._call("reference", problem=reference_problem)
        except WorkerDiedError as error:
            raise ModelError(
                f"{self._name} crashed its process: {error.reason}.", hint=error.log or error.hint
            ) from error
        except WorkerTimeoutError as error:
            raise ModelError(
                f"{self._name} did not return within {self._timeout:g} s.",
                hint=f"{error.log}\nThe limit is the setting load_timeout.".strip(),
            ) from error
        self._has_reference = True
        return reference

    def float64_outputs(self) -> Float64Outputs:
        """Return the model's outputs in float64, or the reason why there are none."""
        return self._float64("float64_outputs")

    def _float64(self, method: str, *args: object) -> Float64Outputs:
        try:
            outputs: Float64Outputs = self._call(method, *args)
        except LexerError as error:
            return Float64Outputs(outputs=None, reason=error.message)
        self._executor.suspend()
        return outputs

    def second_reference(self, given: Mapping[str, Any] | None) -> SecondReference:
        """Run the model with second inputs; see ``TorchPreparation.second_reference``.

        Raises
        ------
        LexerError
            The model does not run with the given inputs.
        """
        try:
            second: SecondReference = self._call("second_reference", given)
        except LexerError as error:
            if given is not None:
                raise
            return SecondReference(reason=error.message.rstrip("."))
        return second

    def second_float64_outputs(self, second: SecondReference) -> Float64Outputs:
        """Return the outputs for second inputs in float64, or the reason why there are none."""
        return self._float64("second_float64_outputs", second)

    def export(
        self,
        engine: str | RemoteEngine,
        device: str,
        options: Mapping[str, OptionValue],
        *,
        use_cache: bool,
        precision: str = "",
    ) -> PreparedModel:
        """Export the model for one engine; see ``Preparation.export``."""
        own = engine if isinstance(engine, str) else engine.name
        return self._prepared(
            "export", engine, device, options, engine=own, use_cache=use_cache, precision=precision
        )

    def to_format(
        self, format: str, options: Mapping[str, OptionValue], *, use_cache: bool
    ) -> PreparedModel:
        """Export the model to a file; see ``Preparation.to_format``."""
        return self._prepared("to_format", format, options, use_cache=use_cache)

    def call_export(
        self,
        engine: str,
        exported: ExportedModel,
        input_sets: Sequence[Mapping[str, Any]],
        threads: int,
    ) -> tuple[Mapping[str, Any], ...]:
        """Call an exported file on an engine; see ``Preparation.call_export``."""
        names = tuple(output.name for output in exported.outputs)
        outputs: tuple[Mapping[str, Any], ...] = self._call(
            "call_export",
            engine,
            exported,
            tuple(input_sets),
            threads,
            problem=lambda sets, _: call_export_problem(sets, len(input_sets), names),
        )
        return outputs

    def trace_modules(
        self, exported: ExportedModel, arrays: Mapping[str, Any] | None
    ) -> ModuleTrace:
        """Find the tensors of the model's modules in an export."""
        trace: ModuleTrace = self._call("trace_modules", exported, arrays)
        self._executor.suspend()
        return trace

    def keep_tensors(
        self, exported: ExportedModel, specs: Sequence[TensorSpec]
    ) -> tuple[PreparedModel, Path]:
        """Return an export that returns further tensors, and the new folder of its files."""
        self._copies += 1
        directory = self._directory / f"kept-{self._copies}"
        kept: PreparedModel = self._call(
            "keep_tensors",
            exported,
            tuple(specs),
            directory,
            by_value=self._executor.isolated,
            problem=lambda prepared, _: prepared_problem(prepared),
        )
        self._executor.suspend()
        return kept, directory

    def module_values(
        self, numbers: Sequence[int], arrays: Mapping[str, Any] | None, *, wide: bool
    ) -> Mapping[str, Any]:
        """Return tensors of the model's modules by their numbers, perhaps in float64."""
        values: Mapping[str, Any] = self._call("module_values", tuple(numbers), arrays, wide=wide)
        self._executor.suspend()
        return values

    def _prepared(
        self, method: str, *args: object, engine: str = "", use_cache: bool, **more: str
    ) -> PreparedModel:
        """Export the model, without the engines that end or block the process meanwhile.

        Only the engine that the export is for fails by that.
        """
        notes: list[str] = []
        while True:
            # First, because a process that is started now writes to a separate folder.
            self._restart_if_crashed()
            directory = self._directory / f"start-{self._starts}"
            try:
                prepared: PreparedModel = self._call(
                    method,
                    *args,
                    directory,
                    use_cache=use_cache,
                    by_value=self._executor.isolated,
                    avoid=dict(self._avoid),
                    **more,
                    problem=lambda prepared, _: prepared_problem(prepared),
                )
            except (WorkerDiedError, WorkerTimeoutError) as error:
                culprit = engine_at_work(directory)
                if culprit in ("", engine, *self._avoid):
                    raise
                self._avoid[culprit] = how = (
                    f"ended its process during the export: {error.reason}"
                    if isinstance(error, WorkerDiedError)
                    else f"did not finish its export within {self._timeout:g} s"
                )
                notes.append(f"engine {culprit!r} was left out: it {how}")
            else:
                return attrs.evolve(prepared, notes=(*prepared.notes, *notes))

    def identity(self) -> Identity:
        """Return the model's digests."""
        identity: Identity = self._call("identity")
        return identity

    def discard_cached(self, engine: str) -> None:
        """Delete a cached export that gave wrong outputs."""
        self._call("discard_cached", engine)

    def mark_wrong(self, engine: str) -> None:
        """Note in the cache that a new export gave wrong outputs, too."""
        self._call("mark_wrong", engine)

    def suspend(self) -> None:
        """Take the process off the CPUs until the next step."""
        self._executor.suspend()

    def close(self) -> None:
        """End the process."""
        self._executor.close()

    def _call(
        self,
        method: str,
        *args: Any,
        problem: Callable[[Any, float], str] = lambda _, __: "",
        **kwargs: Any,
    ) -> Any:
        self._restart_if_crashed()
        self._executor.resume()
        try:
            return call_plausibly(
                self._executor,
                method,
                *args,
                label=MODEL_LABEL,
                timeout=self._timeout,
                problem=problem,
                **kwargs,
            )
        except (WorkerDiedError, WorkerTimeoutError):
            self._crashed = True
            raise

    def _restart_if_crashed(self) -> None:
        if not self._crashed:
            return
        self._executor.close()
        self._executor = self._open_model()
        self._crashed = False
        self._starts += 1
        if self._has_reference:  # an export needs the names of the outputs
            self._call("reference")
