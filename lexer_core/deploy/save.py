"""How is the model of a row saved to a folder, ready to be loaded?"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import attrs
from attrs import frozen

from lexer_core.deploy.engine_script import engine_script
from lexer_core.deploy.folder import MANIFEST, new_folder, stored_files
from lexer_core.deploy.live_export import ExportAgain, exported_again
from lexer_core.deploy.manifest import Manifest, structure_to_json, write_manifest
from lexer_core.deploy.row_model import LiveModel, RowModel
from lexer_core.errors import ArtifactError, DeploymentError
from lexer_core.export.formats import TORCH, TORCH_EXPORT, is_flat
from lexer_core.records import CallStructure, DeployedModel, Device, ExportedModel, TensorRef
from lexer_core.results.attrs_fields import plain
from lexer_core.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lexer_core.records import OptionValue
    from lexer_core.results import BenchmarkResult, SavedModel

__all__ = ["save_row"]

_MODEL_FOLDER = "model"
_SCRIPT = "run.py"
_ADD_MODEL = (
    "Pass the model and its inputs: save(folder, model=model, input=x); on the command line: "
    "--target net.py:Net."
)
_MEASURED = (
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "mean_ms",
    "throughput_per_sec",
    "num_samples",
    "batch_size",
    "intervals",
    "load_ms",
    "first_call_ms",
    "peak_memory_bytes",
    "parity",
    "warnings",
)


@frozen(kw_only=True, eq=False)
class _Written:
    """The model's file in the new folder, and how it is called and built."""

    file: str
    exported: ExportedModel
    structure: CallStructure
    build: str = ""
    arguments: Mapping[str, object] = attrs.field(factory=dict)


def save_row(
    row: BenchmarkResult,
    source: RowModel,
    folder: Path,
    *,
    overwrite: bool = False,
    model: Any = None,
    input: object = None,
    build: str = "",
    arguments: Mapping[str, object] | None = None,
) -> Path:
    """Save the model of a row to a folder, completely or not at all.

    See :meth:`lexer_core.results.BenchmarkResult.save` for the parameters and errors.
    """
    if row.status != "ok":
        raise DeploymentError(
            f"row {row.label!r} was not measured: it is {row.status}.",
            hint=row.error.reason if row.error is not None else "Save another row.",
        )
    with new_folder(folder, overwrite=overwrite) as new:
        target = new / _MODEL_FOLDER
        target.mkdir()
        # A file that was measured is copied; a live object, or one to check, is exported.
        if source.saved is not None and model is None:
            written = _copy(source.saved, target, row)
        else:
            with _exported(row, source, model, input) as export:
                written = _write(export, target, build, arguments or {})
        deployed = _deployed(row, written)
        (new / _SCRIPT).write_text(engine_script(row.engine_name, deployed), encoding="utf-8")
        manifest = _manifest(row, source, written, new)
        # Last, so that a folder without it is incomplete.
        (new / MANIFEST).write_text(write_manifest(manifest), encoding="utf-8")
    return folder


def _copy(saved: SavedModel, target: Path, row: BenchmarkResult) -> _Written:
    try:
        files = tuple(saved.files)
    except ArtifactError as error:
        raise DeploymentError(
            f"the model of row {row.label!r} cannot be saved: {error.message}", hint=error.hint
        ) from error
    root = files[0].parent
    for file in files:
        copy = target / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    exported = ExportedModel(
        format=saved.format,
        path=target / files[0].name,
        inputs=saved.inputs,
        outputs=saved.outputs,
        size_bytes=0,
        exporter=saved.exporter,
        precision=saved.precision,
    )
    return _Written(
        file=f"{_MODEL_FOLDER}/{files[0].name}", exported=exported, structure=_flat(exported)
    )


@contextmanager
def _exported(
    row: BenchmarkResult, source: RowModel, model: Any, input: object
) -> Iterator[ExportAgain]:
    live = source.live or LiveModel("", input_names=source.input_names or None)
    if model is None and live.model is None:
        raise DeploymentError(_why_not_saved(row, source), hint=_hint(row, source))
    with exported_again(
        live,
        row.engine_name,
        row.device_name,
        _export_settings(source.settings),
        precision=row.precision,
        model=model,
        input=input,
        weights_digest=source.weights_digest,
        label=row.label,
    ) as result:
        yield result


def _export_settings(settings: Mapping[str, object]) -> Settings:
    names = ("exporter", "opset", "onnx_checks")
    known: dict[str, Any] = {name: settings[name] for name in names if name in settings}
    return Settings(**known, second_inputs=False)


def _why_not_saved(row: BenchmarkResult, source: RowModel) -> str:
    if row.format in (TORCH.name, TORCH_EXPORT.name):
        if source.live is None:
            return f"row {row.label!r} runs a live Torch model, which a saved report does not have."
        return f"the model of row {row.label!r} is no longer available: the program deleted it."
    return f"the model of row {row.label!r} was not kept with the report."


def _hint(row: BenchmarkResult, source: RowModel) -> str:
    is_live = row.format in (TORCH.name, TORCH_EXPORT.name)
    lines = [_ADD_MODEL if is_live else "Measure again, with the setting include_model."]
    if source.others:
        lines.append(f"Or save another row: {', '.join(source.others)}.")
    return "\n".join(lines)


def _write(
    export: ExportAgain, target: Path, build: str, arguments: Mapping[str, object]
) -> _Written:
    """Write an export to the new folder."""
    adapted, exported = export.adapted, export.exported
    if exported.path is not None:
        root = exported.path.parent
        for file in [exported.path, *(each for each in root.rglob("*") if each.is_file())]:
            copy = target / file.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        name = exported.path.name
        return _Written(
            file=f"{_MODEL_FOLDER}/{name}", exported=exported, structure=_flat(exported)
        )
    if exported.format == TORCH_EXPORT.name:
        export.save_program(target / "program.pt2")
        return _Written(
            file=f"{_MODEL_FOLDER}/program.pt2", exported=exported, structure=_flat(exported)
        )
    if exported.format != TORCH.name:
        raise DeploymentError(
            f"format {exported.format!r} is a live object, which cannot be saved.",
            hint="Save a row of an engine that runs files.",
        )
    from lexer_core.deploy.torch_model import (  # imports torch
        build_module,
        difference_of,
        find_build,
        load_weights,
        save_weights,
    )
    from lexer_core.model.state import eager_module

    structure_to_json(adapted.inputs.structure)  # raises before anything is written
    module = eager_module(adapted.export_module)
    name, make = find_build(module, build, arguments)
    path = save_weights(module, target)
    built = build_module(name, arguments, make)
    load_weights(built, path)
    difference = difference_of(module, built)
    if difference:
        raise DeploymentError(
            f"{name} builds another model than the one that was measured: {difference}.",
            hint='Pass what built it: build="package.module:make_model", arguments={…}.',
        )
    return _Written(
        file=f"{_MODEL_FOLDER}/{path.name}",
        exported=exported,
        structure=adapted.inputs.structure,
        build=name,
        arguments=arguments,
    )


def _flat(exported: ExportedModel) -> CallStructure:
    names: Sequence[str] = [spec.name for spec in exported.inputs]
    if is_flat(exported.format):
        return CallStructure(args=tuple(TensorRef(name) for name in names))
    return CallStructure(kwargs={name: TensorRef(name) for name in names})


def _deployed(row: BenchmarkResult, written: _Written) -> DeployedModel:
    kind, _, index = row.device_name.partition(":")
    return DeployedModel(
        format=written.exported.format,
        file=written.file,
        inputs=written.exported.inputs,
        outputs=written.exported.outputs,
        device=Device(kind=kind, index=int(index or 0)),
        threads=row.threads or 1,
        precision=row.precision,
        options=cast("Mapping[str, OptionValue]", row.options),
        build=written.build,
        arguments=written.arguments,
        structure=written.structure,
    )


def _manifest(row: BenchmarkResult, source: RowModel, written: _Written, folder: Path) -> Manifest:
    deployed = _deployed(row, written)
    environment = source.environment
    return Manifest(
        model_name=source.model_name,
        label=row.label,
        engine=row.engine_name,
        engine_version=row.engine_version,
        engine_distribution=row.engine_distribution,
        device=row.device_name,
        threads=deployed.threads,
        precision=row.precision,
        options=deployed.options,
        format=deployed.format,
        exporter=written.exported.exporter,
        converted_to=written.exported.precision,
        file=written.file,
        inputs=deployed.inputs,
        outputs=deployed.outputs,
        files=stored_files(folder),
        build=written.build,
        arguments=written.arguments,
        call=structure_to_json(written.structure),
        created_at=source.created_at,
        measured={name: plain(getattr(row, name)) for name in _MEASURED},
        versions={
            "python": environment.python,
            "lexer": environment.lexer_version,
            **environment.engines,
            **environment.packages,
        },
        machine={
            name: plain(getattr(environment, name))
            for name in ("cpu_model", "cores_usable", "memory_bytes", "os", "machine", "gpus")
        },
    )
