"""In which format does an engine get a model of the kit?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.errors import LexerError, UnsupportedError
from lexer_core.records import CPU
from lexer_core.testing.outcomes import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from lexer_core.engines.engine import Engine
    from lexer_core.records import ExportedModel, ModelSource
    from lexer_core.testing.model_zoo import ModelCase

__all__ = ["build_model", "sources_of"]

_DECLARE = "Override make_model to create it, or declare in `cannot` why the engine cannot run it."


def build_model(engine: Engine, case: ModelCase, folder: Path) -> ExportedModel:
    """Create a model in the engine's first format that is possible.

    The kit creates the standard formats. For the engine's own format, it calls
    ``lexer_export_model`` with the module and with the ``.onnx`` file.

    Parameters
    ----------
    engine
        The engine that loads the model.
    case
        The model.
    folder
        An empty folder to write to.

    Raises
    ------
    CheckFailed
        No format is possible, or the engine's own export fails.
    UnsupportedError
        The engine's own export refuses the model.
    """
    missing: list[str] = []
    for name in engine.info.formats:
        if name in _BUILDERS:
            try:
                return _BUILDERS[name](case, folder)
            except ImportError as error:
                missing.append(f"{name} needs {error.name or error}")
    for name in engine.info.formats:
        if name not in _BUILDERS and engine.implements("lexer_export_model"):
            exported = _by_own_export(engine, name, case, folder)
            if exported is not None:
                return exported
    why = f" ({'; '.join(missing)})" if missing else ""
    raise CheckFailed(
        f"the kit cannot create model {case.name!r} in format "
        f"{' or '.join(engine.info.formats)}{why}.",
        _DECLARE,
    )


def sources_of(case: ModelCase, folder: Path) -> Iterator[ModelSource]:
    """Create the sources of a model: a module and an ``.onnx`` file, if possible.

    Parameters
    ----------
    case
        The model.
    folder
        The folder to write the file to.
    """
    try:
        from lexer_core.testing.torch_models import torch_source

        yield torch_source(case)
    except ImportError:
        pass  # without torch, users have no module to export
    try:
        yield _onnx_source(case, folder)
    except ImportError:
        return  # without onnx, there is no file either


def _by_own_export(
    engine: Engine, format: str, case: ModelCase, folder: Path
) -> ExportedModel | None:
    for number, source in enumerate(sources_of(case, folder)):
        workdir = folder / f"export-{number}"
        workdir.mkdir()
        try:
            exported = engine.export_model(source, format, CPU, workdir, {})
        except UnsupportedError:
            raise  # a limit of the engine, which it may declare
        except LexerError as error:
            raise CheckFailed(
                f"the engine's own export of {case.name!r} to {format} fails: {error}", _DECLARE
            ) from error
        if exported is not None:
            return exported
    return None


def _onnx_source(case: ModelCase, folder: Path) -> ModelSource:
    from lexer_core.records import ModelSource
    from lexer_core.testing.onnx_models import build_onnx

    exported = build_onnx(case, folder)
    return ModelSource(
        onnx_path=exported.path,
        inputs=case.call_inputs(case.trials()[0]),
        input_names=tuple(spec.name for spec in exported.inputs),
        output_names=tuple(spec.name for spec in exported.outputs),
        model_name=f"conformance_{case.name}",
    )


def _onnx(case: ModelCase, folder: Path) -> ExportedModel:
    from lexer_core.testing.onnx_models import build_onnx

    return build_onnx(case, folder)


def _torch(case: ModelCase, folder: Path) -> ExportedModel:
    from lexer_core.testing.torch_models import build_torch

    del folder
    return build_torch(case)


def _torch_export(case: ModelCase, folder: Path) -> ExportedModel:
    from lexer_core.testing.torch_models import build_torch_export

    del folder
    return build_torch_export(case)


_BUILDERS: Mapping[str, Callable[[ModelCase, Path], ExportedModel]] = {
    "onnx": _onnx,
    "torch": _torch,
    "torch_export": _torch_export,
}
