"""How do the exports of a run outlive its temporary folder?

They are moved out of it when nobody works with them any more, at no cost. A
file of the user's own is linked, or, where that is not possible, known by its
place: it is never copied, since it may be larger than there is room for.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from lexer_core.errors import ExportError
from lexer_core.export.external_data import external_files
from lexer_core.results.saved_model import SavedFiles, SavedModel, TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.records import ExportedModel

__all__ = ["retain_models"]


def retain_models(
    outcomes: Sequence[CaseOutcome], folder: Path
) -> tuple[tuple[SavedModel, ...], list[str]]:
    """Keep the models that cases ran, each once.

    Parameters
    ----------
    outcomes
        Those of the run, which is over.
    folder
        The run's temporary folder; exports are moved out of it.

    Returns
    -------
    tuple of SavedModel
        In the order of the cases.
    list of str
        What could not be kept, and why: it never costs the run.
    """
    exports: dict[Path, ExportedModel] = {}
    labels: dict[Path, list[str]] = {}
    for outcome in outcomes:
        if outcome.prepared is not None and outcome.prepared.exported.path is not None:
            path = outcome.prepared.exported.path
            exports.setdefault(path, outcome.prepared.exported)
            labels.setdefault(path, []).append(outcome.case.label)
    kept, notes = [], []
    for path, exported in exports.items():
        try:
            files = _keep(exported, path, folder)
        except (OSError, ExportError) as error:
            reason = error.message if isinstance(error, ExportError) else str(error)
            notes.append(f"the exported model {path.name} was not kept: {reason}")
            continue
        kept.append(
            SavedModel(
                format=exported.format,
                files=files,
                labels=tuple(labels[path]),
                inputs=exported.inputs,
                outputs=exported.outputs,
                exporter=exported.exporter,
            )
        )
    return tuple(kept), notes


def _keep(exported: ExportedModel, path: Path, folder: Path) -> SavedFiles:
    if path.resolve().is_relative_to(folder.resolve()):
        return _moved(path)
    if exported.format == "onnx" and exported.size_bytes > path.stat().st_size:
        return _linked([path, *external_files(path)])
    return _linked([path])


def _moved(path: Path) -> SavedFiles:
    """Everything in the folder of an export belongs to it."""
    source = path.parent
    parts = sorted(part for part in source.rglob("*") if part.is_file() and part != path)
    names = [part.relative_to(source) for part in (path, *parts)]
    home = TemporaryFolder()
    for name in names:
        (home.path / name).parent.mkdir(parents=True, exist_ok=True)
        # Both are in the system's folder for temporary files.
        (source / name).rename(home.path / name)
    return SavedFiles([home.path / name for name in names], home)


def _linked(parts: Sequence[Path]) -> SavedFiles:
    home = TemporaryFolder()
    links = [home.path / part.relative_to(parts[0].parent) for part in parts]
    with contextlib.suppress(OSError):  # another file system, or somebody else's file
        for part, link in zip(parts, links, strict=True):
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(part, link)
        return SavedFiles(links, home)
    return SavedFiles(parts)
