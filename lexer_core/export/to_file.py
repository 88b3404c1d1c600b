"""How does an export become a file where the user wants it?"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from lexer_core.errors import UnsupportedError
from lexer_core.export.exports import Exports
from lexer_core.output_files import check_writable, copy_file
from lexer_core.records import CPU

if TYPE_CHECKING:
    from lexer_core.export.exporters import Engines
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import ExportedModel
    from lexer_core.settings.table import Settings

__all__ = ["export_to_file"]


def export_to_file(
    adapted: AdaptedModel, path: Path, *, format: str, settings: Settings, registry: Engines
) -> ExportedModel:
    """Export a model, and put what was made at ``path``.

    Parameters
    ----------
    adapted
        The model with example inputs.
    path
        The file to write. It is replaced as a whole or not at all; external
        data keeps its own name beside it.
    format
        What to write; must be a format that is a file.
    settings
        Those of export.
    registry
        Knows the engines that may make the format.

    Raises
    ------
    ModelError
        The model does not run with these inputs.
    ExportError
        No engine can make that format of this model, or what was made gives
        other answers.
    OutputFileError
        The file cannot be written.
    """
    from lexer_core.model.adapt import model_source, with_output_names  # imports torch
    from lexer_core.model.reference import reference_outputs  # imports torch

    check_writable(path)
    reference = reference_outputs(adapted)
    named = with_output_names(adapted, reference.output_names)
    with tempfile.TemporaryDirectory(prefix="lexer-") as folder:
        exports = Exports(
            model_source(named),
            registry=registry,
            directory=Path(folder),
            use_cache=settings.use_cache,
        )
        made = exports.to_format(format, CPU, settings.export_options())
        if made.exported.path is None:
            raise UnsupportedError(
                f"format {format!r} is a live object, which cannot be written to a file.",
                hint="Export to 'onnx'.",
            )
        notes = made.exported.notes
        if settings.validation:
            from lexer_core.export.check_outputs import check_outputs, refuse_wrong  # as above

            check = partial(
                check_outputs,
                arrays=named.inputs.arrays,
                reference=reference,
                settings=settings,
                registry=registry,
            )
            parity, note = check(made.exported)
            if made.cached and parity is not None and parity.status == "fail":
                # The cache must not be the reason for a wrong answer.
                exports.discard_cached(made.maker)
                made = exports.to_format(format, CPU, settings.export_options())
                parity, note = check(made.exported)
            refuse_wrong(parity, named.model_name)
            notes = (*made.exported.notes, note)
        assert made.exported.path is not None
        _copy(made.exported.path, path)
    return attrs.evolve(made.exported, path=path, notes=notes)


def _copy(made: Path, path: Path) -> None:
    """Copy what was made; its external data first, so that the model is never without."""
    for part in made.parent.iterdir():
        if part != made and part.is_file():
            copy_file(part, path.parent / part.name)
    copy_file(made, path)
