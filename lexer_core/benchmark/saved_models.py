"""How are the exports of a run kept after its temporary folder is deleted?

They are moved out of it when the run is over. The user's own file is linked or, if
that is not possible, referenced by its path. It is never copied, because there may
not be enough space.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from lexer_core.errors import ExportError
from lexer_core.export.external_data import external_files
from lexer_core.results.saved_model import SavedFiles, SavedModel
from lexer_core.temporary_folders import TemporaryFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lexer_core.benchmark.outcome import CaseOutcome
    from lexer_core.records import ExportedModel

__all__ = ["retain_models"]


def retain_models(
    outcomes: Sequence[CaseOutcome], folder: Path
) -> tuple[tuple[SavedModel, ...], list[str]]:
    """Keep each model that cases ran.

    Parameters
    ----------
    outcomes
        The cases of the finished run.
    folder
        The run's temporary folder; exports are moved out of it.

    Returns
    -------
    tuple of SavedModel
        The models in the order of the cases.
    list of str
        Notes about models that could not be kept.
    """
    exports: dict[Path, ExportedModel] = {}
    labels: dict[Path, list[str]] = {}
    for outcome in outcomes:
        if outcome.prepared is not None and outcome.prepared.exported.path is not None:
            path = outcome.prepared.exported.path
            exports.setdefault(path, outcome.prepared.exported)
            labels.setdefault(path, []).append(outcome.case.label)
    saved, notes = [], []
    for path, exported in exports.items():
        try:
            files = _keep(exported, path, folder)
        except (OSError, ExportError) as error:
            reason = error.message if isinstance(error, ExportError) else str(error)
            notes.append(f"the exported model {path.name} was not kept: {reason}")
            continue
        saved.append(
            SavedModel(
                format=exported.format,
                files=files,
                labels=tuple(labels[path]),
                inputs=exported.inputs,
                outputs=exported.outputs,
                exporter=exported.exporter,
                precision=exported.precision,
            )
        )
    return tuple(saved), notes


def _keep(exported: ExportedModel, path: Path, folder: Path) -> SavedFiles:
    if path.resolve().is_relative_to(folder.resolve()):
        return _moved(path)
    if exported.format == "onnx" and exported.size_bytes > path.stat().st_size:
        return _linked([path, *external_files(path)])
    return _linked([path])


def _moved(path: Path) -> SavedFiles:
    """Move an export with everything in its folder, which belongs to it."""
    source = path.parent
    parts = sorted(part for part in source.rglob("*") if part.is_file() and part != path)
    names = [part.relative_to(source) for part in (path, *parts)]
    home = TemporaryFolder("kept")
    for name in names:
        (home.path / name).parent.mkdir(parents=True, exist_ok=True)
        # A rename works: both are in the temporary folder of this process.
        (source / name).rename(home.path / name)
    return SavedFiles([home.path / name for name in names], home)


def _linked(parts: Sequence[Path]) -> SavedFiles:
    home = TemporaryFolder("kept")
    links = [home.path / part.relative_to(parts[0].parent) for part in parts]
    with contextlib.suppress(OSError):  # on another file system, or not the user's own file
        for part, link in zip(parts, links, strict=True):
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(part, link)
        return SavedFiles(links, home)
    return SavedFiles(parts)
