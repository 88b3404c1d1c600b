"""How is a live model exported again, to be saved?"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import DeploymentError
from lexer_core.model.model_input import adapt_model_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.deploy.row_model import LiveModel
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import ExportedModel, OptionValue

__all__ = ["exported_again"]


@contextmanager
def exported_again(
    live: LiveModel,
    engine: str,
    device: str,
    options: Mapping[str, OptionValue],
    *,
    model: Any = None,
    input: object = None,
    weights_digest: str = "",
) -> Iterator[tuple[AdaptedModel, ExportedModel]]:
    """Export a model for an engine; files exist until the ``with`` block ends.

    Parameters
    ----------
    live
        The model of the report.
    engine, device, options
        The engine that it is for, and the export options.
    model, input
        A model to export instead, and its example inputs.
    weights_digest
        Digest of the weights that were measured; empty if unknown.

    Raises
    ------
    DeploymentError
        There is no model, or it has other weights than the one that was measured.
    ModelError, ExportError
        The model does not run, or cannot be exported.
    """
    from lexer_core.export.exports import Exports  # these import numpy and torch
    from lexer_core.export.identity import module_identity
    from lexer_core.model.adapt import model_source, with_output_names
    from lexer_core.model.reference import reference_outputs

    model = live.model if model is None else model
    if model is None:
        raise DeploymentError(
            "the model that was measured is no longer available.",
            hint="Pass it: save(folder, model=model, input=x).",
        )
    adapted = adapt_model_input(
        model,
        live.input if input is None else input,
        input_names=live.input_names,
        output_names=live.output_names,
        dynamic_axes={},
    )
    if isinstance(adapted, Path):
        raise DeploymentError(
            f"model must be the Torch model, not the file {str(adapted)!r}.",
            hint="Save a row of an engine that runs .onnx files.",
        )
    if weights_digest:
        found = module_identity(adapted.export_module).digests.get("weights", "")
        if found and found != weights_digest:
            raise DeploymentError(
                f"the weights of {adapted.model_name} are not those that were measured.",
                hint="They changed after the benchmark, or the model is initialised at random. "
                "Measure it again.",
            )
    reference = reference_outputs(adapted)
    named = with_output_names(adapted, reference.output_names)
    with TemporaryDirectory(prefix="lexer-") as folder:
        exports = Exports(model_source(named), registry=EngineRegistry(), directory=Path(folder))
        yield named, exports.for_engine(engine, device, options).exported
