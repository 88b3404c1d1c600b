"""What is done with a model before any engine is measured?

A ``Preparation`` holds the model, runs it for the reference outputs and exports it.
A worker process hosts it, so that a crash does not end the run; or the parent
process, for a model that cannot be sent to another one.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import attrs
import cloudpickle
from attrs import frozen

from lexer_core.benchmark.module_trace import (
    ModuleTrace,
    keeping_export,
    module_values,
    trace_modules,
)
from lexer_core.benchmark.outcome import PreparedModel
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import ModelError, TargetError, UnsupportedError
from lexer_core.export.call_exported import call_exported
from lexer_core.export.exports import ExportOutcome, Exports
from lexer_core.export.identity import (
    Identity,
    file_identity,
    module_identity,
    program_identity,
)
from lexer_core.export.kept_tensors import with_kept_tensors
from lexer_core.model.adapt import AdaptedModel, model_source, with_output_names
from lexer_core.model.by_value import load_model, save_model
from lexer_core.model.caller_state import CallerState, read_caller_state
from lexer_core.model.reference import Reference, reference_outputs
from lexer_core.model.second_reference import SecondReference, second_reference
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    ExportedModel,
    ModelSource,
    OptionValue,
    TensorSpec,
)
from lexer_core.validation import Float64Outputs  # noqa: TC001  a reply's declared type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from lexer_core.engines.remote_interpreter import RemoteEngine

__all__ = ["BuiltModel", "OnnxPreparation", "Preparation", "TorchPreparation"]


class Preparation(ABC):
    """A model and its exports."""

    def __init__(self) -> None:
        self._exports: Exports | None = None
        self._files: list[tuple[object, Path]] = []
        """Live models of the exports, and the file of each."""
        self._onnx_path: Path | None = None
        """The file of a model that is an ``.onnx`` file."""

    @abstractmethod
    def identity(self) -> Identity:
        """Return digests of the model, to compare two runs; call it after the exports."""

    @abstractmethod
    def _source(self) -> ModelSource: ...

    def export(
        self,
        engine: str | RemoteEngine,
        device: str,
        options: Mapping[str, OptionValue],
        directory: Path,
        *,
        use_cache: bool,
        by_value: bool,
        avoid: Mapping[str, str],
        precision: str = "",
    ) -> PreparedModel:
        """Export the model for one engine; engines that accept the same format share an export.

        Parameters
        ----------
        engine, device
            The engine it is for: its name, or the description of an engine in
            another interpreter; and the name of the device.
        options
            Export options.
        directory
            Where files are written that are not cached.
        use_cache
            Whether to reuse an export of an earlier run.
        by_value
            Whether to save a live model to a file, to send it to another process.
        avoid
            Engines that must not be asked; see ``Exports``.
        precision
            What the engine is asked to compute in.

        Raises
        ------
        ExportError, UnsupportedError
            The model cannot be exported to any format that the engine accepts.
        """
        exports = self._opened(directory, use_cache=use_cache, by_value=by_value, avoid=avoid)
        outcome = exports.for_engine(engine, device, options, precision=precision)
        exported, file = outcome.exported, None
        if not isinstance(engine, str) and exported.model is not None:
            # A pickle needs the same versions on both sides; a file does not.
            raise UnsupportedError(
                f"{engine.info.display_name} needs a live model, which cannot be sent to "
                f"another interpreter ({engine}).",
                engine=engine.engine,
                hint="In another interpreter, an engine must accept a file format such as ONNX.",
            )
        if by_value and exported.model is not None:
            file = self._saved(exported.model, directory)
            exported = attrs.evolve(exported, model=None)
        return self._prepared(outcome, exported, file)

    def to_format(
        self,
        format: str,
        options: Mapping[str, OptionValue],
        directory: Path,
        *,
        use_cache: bool,
        by_value: bool,
        avoid: Mapping[str, str],
    ) -> PreparedModel:
        """Export the model to a file with any engine that can; see :meth:`export`."""
        exports = self._opened(directory, use_cache=use_cache, by_value=by_value, avoid=avoid)
        outcome = exports.to_format(format, CPU, options)
        if outcome.exported.path is None:
            raise UnsupportedError(
                f"format {format!r} is a live object, which cannot be written to a file.",
                hint="Export to 'onnx'.",
            )
        return self._prepared(outcome, outcome.exported)

    def call_export(
        self,
        engine: str,
        exported: ExportedModel,
        input_sets: Sequence[Mapping[str, npt.NDArray[Any]]],
        threads: int,
    ) -> tuple[Mapping[str, npt.NDArray[Any]], ...]:
        """Return the outputs of an exported file on an engine, for each set of inputs."""
        return call_exported(EngineRegistry().get(engine), exported, input_sets, threads)

    def _opened(
        self, directory: Path, *, use_cache: bool, by_value: bool, avoid: Mapping[str, str]
    ) -> Exports:
        if self._exports is None:
            self._exports = Exports(
                self._source(),
                registry=EngineRegistry(),
                directory=directory,
                use_cache=use_cache,
                captures_output=not by_value,
                avoid=avoid,
            )
        return self._exports

    def _prepared(
        self, outcome: ExportOutcome, exported: ExportedModel, file: Path | None = None
    ) -> PreparedModel:
        return PreparedModel(
            exported=exported,
            model_file=file,
            # A live model and the user's own file need no export.
            seconds=outcome.conversion_seconds
            + (0.0 if exported.path in (None, self._onnx_path) else outcome.seconds),
            cached=outcome.cached,
            known_wrong=outcome.known_wrong,
            exporter=outcome.exporter,
            notes=outcome.notes,
        )

    def _saved(self, model: object, directory: Path) -> Path:
        """Save a live model, once for all engines that run it."""
        for saved, path in self._files:
            if saved is model:
                return path
        path = directory / f"live-{len(self._files)}"
        save_model(model, path)
        self._files.append((model, path))
        return path

    def discard_cached(self, engine: str) -> None:
        """Delete a cached export that gave wrong outputs, so that it is made again."""
        assert self._exports is not None
        self._exports.discard_cached(engine)

    def mark_wrong(self, engine: str) -> None:
        """Note in the cache that a new export gave wrong outputs, too."""
        assert self._exports is not None
        self._exports.mark_wrong(engine)


class OnnxPreparation(Preparation):
    """An ``.onnx`` file, which has no reference."""

    def open(self, path: Path) -> None:
        """Set the path of the file."""
        self._onnx_path = path

    def identity(self) -> Identity:
        """Return digests of the file."""
        assert self._onnx_path is not None
        return Identity(digests=file_identity(self._onnx_path))

    def _source(self) -> ModelSource:
        assert self._onnx_path is not None
        return ModelSource(
            onnx_path=self._onnx_path,
            inputs=CallInputs(arrays={}, structure=CallStructure()),
            input_names=(),
            output_names=(),
            model_name=self._onnx_path.stem,
        )


@frozen(kw_only=True, eq=False)
class BuiltModel:
    """What the parent process must know about a model that its own process built.

    ``sys_path`` is where its modules were found; ``caller_state`` is for the workers of
    its cases.
    """

    inputs: CallInputs
    notes: tuple[str, ...]
    sys_path: tuple[str, ...]
    caller_state: CallerState


class TorchPreparation(Preparation):
    """A torch model, its reference outputs and its exports."""

    def __init__(self) -> None:
        super().__init__()
        self._adapted: AdaptedModel | None = None
        self._reference: Reference | None = None
        self._trace: ModuleTrace | None = None

    def open(self, adapted: AdaptedModel) -> None:
        """Set the model."""
        self._adapted = adapted

    def load(self, path: Path) -> None:
        """Load a model that the parent process saved by value."""
        self.open(load_model(path))

    def build(self, payload: bytes) -> BuiltModel:
        """Build the model here, with a function that the parent process pickled.

        Raises
        ------
        UsageError
            The model cannot be built, does not accept the inputs, or cannot be
            sent to the processes that measure it.
        """
        adapted: AdaptedModel = cloudpickle.loads(payload)()
        if not adapted.can_be_sent:
            raise TargetError(
                f"{adapted.model_name} was compiled in place by model.compile(), "
                "which is lost in a copy.",
                hint="Wrap it instead: torch.compile(model).",
            )
        self.open(adapted)
        return BuiltModel(
            inputs=adapted.inputs,
            notes=adapted.notes,
            sys_path=tuple(sys.path),
            caller_state=read_caller_state(adapted.export_module),
        )

    def reference(self) -> Reference:
        """Run the model itself, twice.

        Raises
        ------
        ModelError
            The model raises, or returns nothing that can be compared.
        """
        assert self._adapted is not None
        self._reference = reference_outputs(self._adapted)
        return self._reference

    def second_reference(self, given: Mapping[str, Any] | None) -> SecondReference:
        """Run the model with second inputs. Default: made from the first."""
        assert self._adapted is not None
        assert self._reference is not None
        return second_reference(self._adapted, self._reference, given)

    def second_float64_outputs(self, second: SecondReference) -> Float64Outputs:
        """Return the model's outputs for second inputs in float64, or the reason why not."""
        assert self._adapted is not None
        return second.float64(self._adapted)

    def float64_outputs(self) -> Float64Outputs:
        """Return the model's outputs in float64, or the reason why there are none."""
        assert self._reference is not None
        return self._reference.float64()

    def trace_modules(
        self, exported: ExportedModel, arrays: Mapping[str, npt.NDArray[Any]] | None
    ) -> ModuleTrace:
        """Find the tensors that the model's modules take and return in an export."""
        assert self._adapted is not None
        assert self._exports is not None
        original = self._exports.before_conversion(exported)
        self._trace = trace_modules(self._adapted, original, exported, arrays)
        return self._trace

    def keep_tensors(
        self,
        exported: ExportedModel,
        specs: Sequence[TensorSpec],
        directory: Path,
        *,
        by_value: bool,
    ) -> PreparedModel:
        """Return an export that returns further tensors of the last trace, in a new folder."""
        assert self._adapted is not None
        assert self._trace is not None
        directory.mkdir(parents=True)
        if exported.path is not None:
            return PreparedModel(exported=with_kept_tensors(exported, specs, directory))
        kept = keeping_export(self._adapted, exported, specs, self._trace)
        if not by_value:
            return PreparedModel(exported=kept)
        file = directory / "live"
        save_model(kept.model, file)
        return PreparedModel(exported=attrs.evolve(kept, model=None), model_file=file)

    def module_values(
        self,
        numbers: Sequence[int],
        arrays: Mapping[str, npt.NDArray[Any]] | None,
        *,
        wide: bool,
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Return tensors of the last trace by their numbers, perhaps in float64."""
        assert self._adapted is not None
        assert self._trace is not None
        return module_values(self._adapted, self._trace, numbers, arrays, wide=wide)

    def identity(self) -> Identity:
        """Return digests of the module or program."""
        assert self._adapted is not None
        program = self._adapted.program
        if self._exports is not None:
            traced = self._exports.program_identity()
        else:
            traced = program_identity(program) if program is not None else Identity()
        return module_identity(self._adapted.export_module).with_parts(traced)

    def _source(self) -> ModelSource:
        if self._adapted is None or self._reference is None:
            raise ModelError("there is no model to export.")
        return model_source(with_output_names(self._adapted, tuple(self._reference.outputs)))
