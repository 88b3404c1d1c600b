"""How is a model exported to a file that the user names?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import UnsupportedError
from lexer_core.export.exports import Exports
from lexer_core.output_files import check_writable, copy_file
from lexer_core.records import CPU
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.worker.guardian import guarded

if TYPE_CHECKING:
    from pathlib import Path

    from lexer_core.export.exporters import Engines
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import ExportedModel
    from lexer_core.settings.table import Settings

__all__ = ["export_to_file"]


_STATE_NOTE = (
    "the model keeps state between calls: a second call returns other outputs, which the file "
    "may not"
)


def export_to_file(
    adapted: AdaptedModel, path: Path, *, format: str, settings: Settings, registry: Engines
) -> ExportedModel:
    """Export a model and write it to ``path``.

    Parameters
    ----------
    adapted
        The model with example inputs.
    path
        The file to write. It is replaced completely or not at all; external
        data is written next to it under its own name.
    format
        The format; must be one that is a file.
    settings
        Export settings, tolerances and threads.
    registry
        The engines that may export to the format.

    Raises
    ------
    ModelError
        The model does not run with these inputs.
    ExportError
        No engine can export this model to the format, or the outputs of the
        exported model differ.
    OutputFileError
        The file cannot be written.
    """
    from lexer_core.model.adapt import model_source, with_output_names  # imports torch
    from lexer_core.model.reference import reference_outputs  # imports torch
    from lexer_core.model.second_reference import second_reference  # imports numpy

    check_writable(path)
    reference = reference_outputs(adapted)
    named = with_output_names(adapted, reference.output_names)
    with TemporaryFolder("export") as folder, guarded(folder):
        exports = Exports(
            model_source(named),
            registry=registry,
            directory=folder,
            use_cache=settings.use_cache,
        )
        outcome = exports.to_format(format, CPU, settings.export_options())
        if outcome.exported.path is None:
            raise UnsupportedError(
                f"format {format!r} is a live object, which cannot be written to a file.",
                hint="Export to 'onnx'.",
            )
        notes = outcome.exported.notes
        if settings.validation:
            from lexer_core.export.check_outputs import check_outputs, refuse_wrong  # as above

            second = None
            if settings.second_inputs and not reference.not_judged and not reference.stateful:
                second = second_reference(named, reference)
            check = partial(
                check_outputs,
                arrays=named.inputs.arrays,
                reference=reference,
                settings=settings,
                registry=registry,
                second=None if second is None or second.reason else second,
                second_float64=partial(second.float64, named) if second is not None else None,
            )
            parity, note = check(outcome.exported)
            is_wrong = parity is not None and parity.status == "fail"
            if outcome.cached and is_wrong and not outcome.known_wrong:
                # The cache must not be the reason for wrong outputs.
                exports.discard_cached(outcome.exporter)
                outcome = exports.to_format(format, CPU, settings.export_options())
                parity, note = check(outcome.exported)
                if parity is not None and parity.status == "fail":
                    exports.mark_wrong(outcome.exporter)
            refuse_wrong(parity, named.model_name, settings.exporter)
            notes = (*outcome.exported.notes, note)
        if reference.second_call is not None:
            notes = (*notes, _STATE_NOTE)
        assert outcome.exported.path is not None
        _copy(outcome.exported.path, path)
    return attrs.evolve(outcome.exported, path=path, notes=notes)


def _copy(exported: Path, path: Path) -> None:
    """Copy an exported file, after its external data so that it is never without."""
    for part in exported.parent.iterdir():
        if part != exported and part.is_file():
            copy_file(part, path.parent / part.name)
    copy_file(exported, path)
