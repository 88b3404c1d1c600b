"""What has to be known of the model before any engine is measured?

:class:`Preparation` holds the model, gives its own outputs (the reference) and
makes exports. Like a case it is hosted by a worker, so that a crash in there
does not cost the run; or by the caller's process, for a model that cannot
travel.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from lexer_core.benchmark.outcome import PreparedModel
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import ModelError, TargetError, UnsupportedError
from lexer_core.export.exports import Exports
from lexer_core.records import CallInputs, CallStructure, ModelSource, OptionValue
from lexer_core.validation import Float64Outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lexer_core.engines.remote_interpreter import RemoteEngine
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.reference import Reference

__all__ = ["BuiltModel", "Preparation", "RemoteModel"]


@frozen(kw_only=True, eq=False)
class RemoteModel:
    """A model that is made in the process that prepares it, and never comes to the caller's.

    So two versions of one model can be measured in one run, although their
    modules have the same names.

    Parameters
    ----------
    name
        What messages call it.
    make
        Gives the adapted model. It travels pickled, so it must be importable.
    sys_path
        Where that process looks for modules to begin with.
    """

    name: str
    make: Callable[[], AdaptedModel]
    sys_path: tuple[str, ...]


@frozen(kw_only=True, eq=False)
class BuiltModel:
    """What the parent process must know about a model that its own process built.

    ``sys_path`` is where its modules were found.
    """

    inputs: CallInputs
    notes: tuple[str, ...]
    sys_path: tuple[str, ...]


class Preparation:
    """The model itself, where its reference and its exports are made."""

    def __init__(self) -> None:
        self._adapted: AdaptedModel | None = None
        self._reference: Reference | None = None
        self._onnx_path: Path | None = None
        self._exports: Exports | None = None

    def receive(self, payload: bytes) -> None:
        """Take a model that was pickled by value in the parent's process."""
        import cloudpickle  # only a model that travels by value needs it

        self.hold(cloudpickle.loads(payload))

    def make(self, payload: bytes) -> BuiltModel:
        """Make a model here, by a function that was pickled in the parent's process.

        Raises
        ------
        UsageError
            It cannot be made, does not take the inputs, or cannot be brought to
            the processes that are to measure it.
        """
        import cloudpickle  # only a model that travels by value needs it

        adapted: AdaptedModel = cloudpickle.loads(payload)()
        if not adapted.travels:
            raise TargetError(
                f"{adapted.model_name} is compiled in place by model.compile(), "
                "which a copy of it loses.",
                hint="Wrap it instead: torch.compile(model).",
            )
        self.hold(adapted)
        return BuiltModel(
            inputs=adapted.inputs,
            notes=adapted.notes,
            sys_path=tuple(sys.path),
        )

    def hold(self, adapted: AdaptedModel) -> None:
        """Take a model as it is."""
        self._adapted = adapted

    def hold_onnx(self, path: Path) -> None:
        """Take an ``.onnx`` file in place of a model."""
        self._onnx_path = path

    def reference(self) -> Reference:
        """Run the model itself, twice.

        Raises
        ------
        ModelError
            The model raises, or returns nothing that can be compared.
        """
        from lexer_core.model.reference import reference_outputs  # imports torch

        assert self._adapted is not None
        self._reference = reference_outputs(self._adapted)
        return self._reference

    def float64_outputs(self) -> Float64Outputs:
        """Give the outputs of the model in float64, or why there are none."""
        if self._reference is None:
            return Float64Outputs(outputs=None, reason="there is no model to compute in float64")
        return self._reference.float64()

    def export(
        self,
        engine: str | RemoteEngine,
        device: str,
        options: Mapping[str, OptionValue],
        directory: Path,
        *,
        use_cache: bool,
        by_value: bool,
    ) -> PreparedModel:
        """Make the model ready for one engine, once for each format.

        Parameters
        ----------
        engine, device
            Whom it is for, by name; or what is known of an engine in another
            interpreter.
        options
            Options of export.
        directory
            Where files are written that are not cached.
        use_cache
            Whether an export of an earlier run may serve.
        by_value
            Whether a live model is to be pickled, to travel to another process.

        Raises
        ------
        ExportError, UnsupportedError
            No format that the engine accepts can be made.
        """
        if self._exports is None:
            self._exports = Exports(
                self._source(), registry=EngineRegistry(), directory=directory, use_cache=use_cache
            )
        made = self._exports.for_engine(engine, device, options)
        exported, payload = made.exported, None
        if not isinstance(engine, str) and exported.model is not None:
            # Pickles bind to the versions that made them; a file does not.
            raise UnsupportedError(
                f"{engine.info.display_name} starts from a live model, which stays in the "
                f"interpreter that holds it and does not travel to {engine}.",
                engine=engine.engine,
                hint="In another interpreter an engine needs a format that is a file, as ONNX is.",
            )
        if by_value and exported.model is not None:
            from lexer_core.model.by_value import dump_model  # only a live model needs it

            payload = dump_model(exported.model)
            exported = attrs.evolve(exported, model=None)
        return PreparedModel(
            exported=exported,
            model_bytes=payload,
            # A live object costs nothing to make, and a file that was given was not made.
            seconds=0.0 if exported.path in (None, self._onnx_path) else made.seconds,
            cached=made.cached,
            notes=made.notes,
        )

    def identity(self) -> dict[str, str]:
        """Digest the model, for a reader who compares two runs; after the exports."""
        from lexer_core.export.identity import file_identity, module_identity  # read torch, onnx

        if self._onnx_path is not None:
            return file_identity(self._onnx_path)
        assert self._adapted is not None
        program = self._exports.program if self._exports is not None else None
        return module_identity(self._adapted.export_module, program or self._adapted.program)

    def discard_cached(self, engine: str) -> None:
        """Forget a cached export that gave wrong outputs, so that it is made again."""
        assert self._exports is not None
        self._exports.discard_cached(engine)

    def _source(self) -> ModelSource:
        if self._onnx_path is not None:
            return ModelSource(
                onnx_path=self._onnx_path,
                inputs=CallInputs(arrays={}, structure=CallStructure()),
                input_names=(),
                output_names=(),
                model_name=self._onnx_path.stem,
            )
        if self._adapted is None or self._reference is None:
            raise ModelError("there is no model to export.")
        from lexer_core.model.adapt import model_source, with_output_names  # imports torch

        return model_source(with_output_names(self._adapted, tuple(self._reference.outputs)))
