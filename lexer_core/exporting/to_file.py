"""How is a model exported to a file that the user names?

In the process that holds the model for a benchmark, too: an exporter that crashes or
hangs costs its own export only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from lexer_core.benchmark.hosted_models import TorchModel
from lexer_core.benchmark.locate_difference import locate_difference
from lexer_core.benchmark.run_timings import RunTimings
from lexer_core.engines.states import EngineState, ReadyEngine
from lexer_core.exporting.check_outputs import check_outputs, refuse_wrong
from lexer_core.machine.affinity import usable_threads
from lexer_core.output_files import check_writable, copy_file
from lexer_core.temporary_folders import TemporaryFolder
from lexer_core.worker.guardian import guarded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lexer_core.benchmark.outcome import PreparedModel
    from lexer_core.engines.registry import EngineRegistry
    from lexer_core.model.adapt import AdaptedModel
    from lexer_core.records import CallInputs, ExportedModel
    from lexer_core.results import FirstDifference, Parity
    from lexer_core.settings.table import Settings

__all__ = ["export_to_file"]


_STATE_NOTE = (
    "the model keeps state between calls: a second call returns other outputs, which the file "
    "may not"
)


def export_to_file(
    adapted: AdaptedModel, path: Path, *, format: str, settings: Settings, registry: EngineRegistry
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
        The engines that may run the file to check it.

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
    check_writable(path)
    model = TorchModel(adapted)
    with TemporaryFolder("export") as folder, guarded(folder):
        try:
            model.start(folder, settings, threads=usable_threads(), memory_limit_bytes=None)
            model.run_reference(settings, RunTimings())
            prepared = model.to_format(format, settings)
            notes: list[str] = []
            if settings.validation:
                prepared, note = _checked(model, prepared, settings, registry)
                notes.append(note)
            if model.judge.compares_second_call:
                notes.append(_STATE_NOTE)
        finally:
            notes_of_model = model.close()
        exported = prepared.exported
        assert exported.path is not None
        _copy(exported.path, path)
    return attrs.evolve(
        exported, path=path, notes=(*exported.notes, *prepared.notes, *notes, *notes_of_model)
    )


def _checked(
    model: TorchModel, prepared: PreparedModel, settings: Settings, registry: EngineRegistry
) -> tuple[PreparedModel, str]:
    """Return an export whose outputs are right, perhaps a new one, and a note about them."""
    engines = [
        ReadyEngine(
            name=listing.name,
            info=listing.info,
            version=listing.version,
            distribution=listing.distribution,
        )
        for listing in registry.listings()
        if listing.state is EngineState.READY and listing.info is not None
    ]

    threads = settings.threads or 1

    def locate(engine: str, exported: ExportedModel, parity: Parity) -> FirstDifference:
        def call(kept: PreparedModel, inputs: CallInputs) -> Mapping[str, Any]:
            return model.call_export(engine, kept.exported, [inputs.arrays], threads)[0]

        return locate_difference(model, exported, parity, call, label=engine)

    def check(exported: ExportedModel) -> tuple[Parity | None, str]:
        return check_outputs(
            exported,
            model.inputs.arrays,
            model.judge,
            engines=engines,
            call=model.call_export,
            threads=threads,
            locate=locate if settings.locate_differences else None,
        )

    parity, note = check(prepared.exported)
    is_wrong = parity is not None and parity.status == "fail"
    if is_wrong and prepared.cached and not prepared.known_wrong:
        # The cache must not be the reason for wrong outputs.
        model.discard_cached_export(prepared.exporter)
        prepared = model.to_format(prepared.exported.format, settings)
        parity, note = check(prepared.exported)
        if parity is not None and parity.status == "fail":
            model.mark_export_wrong(prepared.exporter)
    refuse_wrong(parity, model.name, settings.exporter)
    return prepared, note


def _copy(exported: Path, path: Path) -> None:
    """Copy an exported file, after its external data so that it is never without."""
    for part in exported.parent.iterdir():
        if part != exported and part.is_file():
            copy_file(part, path.parent / part.name)
    copy_file(exported, path)
