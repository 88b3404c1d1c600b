"""How does a folder that is not trusted become a session?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lexer_core.deploy.folder import checked_manifest
from lexer_core.deploy.manifest import structure_from_json
from lexer_core.engine_helpers import error_summary, numpy_dtype
from lexer_core.engines.choice import resolve_options
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import DeploymentError, UnknownEngineError
from lexer_core.export.formats import ONNX, TORCH, TORCH_EXPORT
from lexer_core.records import ExportedModel, SessionConfig

if TYPE_CHECKING:
    import os

    from lexer_core.deploy.manifest import Manifest
    from lexer_core.deploy.session import DeployedSession
    from lexer_core.engines.engine import Engine
    from lexer_core.records import TensorSpec

__all__ = ["load_session"]


def load_session(
    folder: str | os.PathLike[str],
    *,
    model: Any = None,
    trusted: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
) -> DeployedSession:
    """Load a folder that :meth:`lexer_core.results.BenchmarkResult.save` wrote.

    Files are compared with their checksums first. No code in the folder is run.

    Parameters
    ----------
    folder
        The folder. It may come from anywhere: it is not trusted.
    model
        For a folder with weights: the module to load them into, which is changed.
        Default: import and call what ``lexer.json`` names, which needs ``trusted``.
    trusted
        Whether you know where the folder comes from. Weights, ``torch.export`` programs
        and an engine's own formats need it, because loading them can run code: what
        ``lexer.json`` names is imported, and ``torch.export.load`` may unpickle.
    cache_dir
        Where the engine may keep compiled code. Default: nowhere.

    Returns
    -------
    DeployedSession
        The session. Call it, and close it.

    Raises
    ------
    DeploymentError
        The folder is not a deployment, is damaged, or must be trusted.
    UnknownEngineError, EngineError
        The engine is not installed, is not ready, or cannot load the model.
    SettingError
        The installed engine does not have one of the options.
    """
    folder = Path(folder)
    manifest = checked_manifest(folder)
    engine = _engine(manifest, folder)
    if manifest.format not in engine.info.formats:
        raise DeploymentError(
            f"{str(folder)!r} has a model in the format {manifest.format!r}, which engine "
            f"{engine.name!r} does not run.",
            hint=f"It runs: {', '.join(engine.info.formats)}. Install the version that was "
            "measured, or save the row again.",
        )
    _check_dtypes(manifest, folder)
    if manifest.format != ONNX.name and model is None and not trusted:
        raise DeploymentError(_needs_trust(manifest, folder), hint=_how_to_trust(manifest))
    options = resolve_options(engine, manifest.options, where=f"{folder / 'lexer.json'}")
    device = engine.find_device(manifest.device)
    exported = _exported(manifest, folder, model)
    config = SessionConfig(
        threads=manifest.threads,
        precision=manifest.precision,
        cache_dir=None if cache_dir is None else Path(cache_dir),
        options=options,
        isolated=False,
    )
    session = engine.create_session(exported, device, config)
    from lexer_core.deploy.session import DeployedSession  # imports numpy

    try:
        return DeployedSession(
            engine,
            session,
            device,
            structure_from_json(manifest.call),
            manifest,
            _notes(manifest, engine),
        )
    except BaseException:
        session.close()
        raise


def _engine(manifest: Manifest, folder: Path) -> Engine:
    try:
        return EngineRegistry().get(manifest.engine)
    except UnknownEngineError as error:
        raise UnknownEngineError(
            f"{str(folder)!r} needs engine {manifest.engine!r}: {error.message}", hint=error.hint
        ) from error


def _check_dtypes(manifest: Manifest, folder: Path) -> None:
    """Refuse element types that are not numbers: an engine would read objects as numbers."""
    for spec in (*manifest.inputs, *manifest.outputs):
        try:
            dtype = numpy_dtype(spec.dtype)
        except (TypeError, ValueError, ImportError) as error:
            raise _unknown_dtype(spec, folder, error_summary(error)) from error
        if dtype.name != spec.dtype or dtype.hasobject or not dtype.itemsize:
            raise _unknown_dtype(spec, folder, "it is not a type of numbers")


def _unknown_dtype(spec: TensorSpec, folder: Path, reason: str) -> DeploymentError:
    return DeploymentError(
        f"'lexer.json' in {str(folder)!r} has the unknown element type {spec.dtype!r} for "
        f"{spec.name!r}: {reason}.",
        hint="Save the row again.",
    )


def _needs_trust(manifest: Manifest, folder: Path) -> str:
    if manifest.format == TORCH.name:
        return (
            f"{str(folder)!r} has weights of a model that {manifest.build!r} builds: loading it "
            "imports and calls that."
        )
    if manifest.format == TORCH_EXPORT.name:
        return f"{str(folder)!r} has a torch.export program: loading one can run code from it."
    return (
        f"{str(folder)!r} has a model in the format {manifest.format!r} of engine "
        f"{manifest.engine!r}: loading it may run code from it."
    )


def _how_to_trust(manifest: Manifest) -> str:
    hint = "If you know where it comes from: lexer_core.load(folder, trusted=True)."
    if manifest.format == TORCH.name:
        hint += "\nOr build the model yourself: lexer_core.load(folder, model=Net())."
    return hint


def _exported(manifest: Manifest, folder: Path, model: Any) -> ExportedModel:
    path = folder.absolute() / manifest.file
    live: Any = None
    if manifest.format == TORCH.name:
        from lexer_core.deploy.torch_model import build_module, load_weights  # imports torch

        live = model
        if live is None:
            live = build_module(manifest.build, manifest.arguments)
        load_weights(live, path)
        live.eval()
    elif model is not None:
        raise DeploymentError(
            f"{str(folder)!r} has a complete model in the format {manifest.format!r}.",
            hint="Leave out model=.",
        )
    elif manifest.format == TORCH_EXPORT.name:
        live = _load_program(path)
    return ExportedModel(
        format=manifest.format,
        path=None if live is not None else path,
        model=live,
        inputs=manifest.inputs,
        outputs=manifest.outputs,
        size_bytes=sum(file.size_bytes for file in manifest.files.values()),
        exporter=manifest.exporter,
        precision=manifest.converted_to,
    )


def _load_program(path: Path) -> Any:
    import torch  # the core works without it

    try:
        return torch.export.load(path)
    except Exception as error:  # torch documents none
        raise DeploymentError(
            f"torch.export {torch.__version__} cannot load {path.name!r}: {error_summary(error)}",
            hint="Save the row again with this version of torch.",
        ) from error


def _notes(manifest: Manifest, engine: Engine) -> tuple[str, ...]:
    if engine.version == manifest.engine_version:
        return ()
    here, there = engine.version or "unknown", manifest.engine_version or "unknown"
    return (f"{engine.info.display_name} has version {here} here, and {there} was measured",)
