"""How is a live model exported again, to be saved?

In a process of its own, as for a benchmark, where an exporter may crash or hang.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.errors import DeploymentError
from lexer_core.machine.affinity import usable_threads
from lexer_core.model.by_value import saved_program
from lexer_core.model.model_input import adapt_model_input
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.worker.guardian import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.deploy.row_model import LiveModel
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import ExportedModel
    from lexer_core.settings.table import Settings

__all__ = ["ExportAgain", "exported_again"]


@frozen(kw_only=True, eq=False)
class ExportAgain:
    """An export, and the model that it was made from.

    ``model_file`` contains the live model of ``exported`` if it was made in another
    process.
    """

    adapted: AdaptedModel
    exported: ExportedModel
    model_file: Path | None

    def save_program(self, path: Path) -> None:
        """Save the export, a ``torch.export`` program, to a file."""
        if self.model_file is not None:
            shutil.copyfile(saved_program(self.model_file), path)
            return
        import torch  # the core works without it

        torch.export.save(self.exported.model, path)


@contextmanager
def exported_again(
    live: LiveModel,
    engine: str,
    device: str,
    settings: Settings,
    *,
    precision: str = "",
    model: Any = None,
    input: object = None,
    weights_digest: str = "",
    label: str = "",
) -> Iterator[ExportAgain]:
    """Export a model for an engine; files exist until the ``with`` block ends.

    Parameters
    ----------
    live
        The model of the report.
    engine, device, settings
        The engine that it is for, and the settings of the export.
    precision
        What the engine computes in.
    model, input
        A model to export instead, and its example inputs.
    weights_digest
        Digest of the weights that were measured; empty if unknown.
    label
        The row's, whose sizes the inputs get unless they are given.

    Raises
    ------
    DeploymentError
        There is no model, or it has other weights than the one that was measured.
    ModelError, ExportError
        The model does not run, or cannot be exported.
    """
    from lexer_core.benchmark.hosted_models import TorchModel  # these import numpy and torch
    from lexer_core.benchmark.run_timings import RunTimings
    from lexer_core.export.identity import module_identity

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
    if live.resize is not None and input is None:
        adapted = live.resize(label, adapted)
    if weights_digest:
        found = module_identity(adapted.export_module).digests.get("weights", "")
        if found and found != weights_digest:
            raise DeploymentError(
                f"the weights of {adapted.model_name} are not those that were measured.",
                hint="They changed after the benchmark, or the model is initialised at random. "
                "Measure it again.",
            )
    held = TorchModel(adapted)
    with TemporaryFolder("export") as folder, guarded(folder):
        try:
            held.start(folder, settings, threads=usable_threads(), memory_limit_bytes=None)
            held.run_reference(settings, RunTimings())
            prepared = held.export_for(engine, device, settings, precision=precision)
        finally:
            held.close()
        yield ExportAgain(
            adapted=adapted, exported=prepared.exported, model_file=prepared.model_file
        )
