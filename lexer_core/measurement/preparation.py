"""What has to be known of the model before any engine is measured?

:class:`Preparation` holds the model, gives its own outputs (the reference) and
makes exports. Like a case it is hosted by a worker, so that a crash in there
does not cost the run; or by the caller's process, for a model that cannot
travel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import ModelError
from lexer_core.export.exporter import Exports
from lexer_core.measurement.outcome import PreparedModel
from lexer_core.records import CallInputs, CallStructure, ModelSource, OptionValue
from lexer_core.validation import Float64Outputs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.model.reference import Reference

__all__ = ["Preparation"]


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
        engine: str,
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
            Whom it is for, by name.
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
        if by_value and exported.model is not None:
            import cloudpickle  # only a model that travels by value needs it

            payload = cloudpickle.dumps(exported.model)
            exported = attrs.evolve(exported, model=None)
        return PreparedModel(
            exported=exported,
            model_bytes=payload,
            # A live object costs nothing to make, and a file that was given was not made.
            seconds=0.0 if exported.path in (None, self._onnx_path) else made.seconds,
            cached=made.cached,
            maker=made.maker,
            notes=made.notes,
        )

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
