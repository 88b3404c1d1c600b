"""Are the engine's exports equivalent to the model?"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from lexer_core.errors import LexerError
from lexer_core.export.exporters import check_destination
from lexer_core.export.formats import STANDARD_FORMATS
from lexer_core.records import CPU
from lexer_core.testing.expectations import expect_outputs
from lexer_core.testing.model_zoo import MODELS
from lexer_core.testing.models import sources_of
from lexer_core.testing.outcomes import CheckFailed, Skip
from lexer_core.testing.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.records import ExportedModel, ModelSource
    from lexer_core.testing.engine_fixture import EngineFixture

__all__ = ["SUITE"]

SUITE = Suite("Export")

_NO_FORMAT = "lexer_no_such_format"
_CASE = "several_outputs"


@SUITE.check("full", "Other engines are asked for a format that this engine does not make.")
def other_formats_are_left_to_others(fixture: EngineFixture) -> None:
    """Request a format that does not exist."""
    for source in _sources(fixture):
        try:
            exported = fixture.engine.export_model(
                source, _NO_FORMAT, CPU, fixture.new_folder(), {}
            )
        except LexerError as error:
            raise CheckFailed(
                f"for an unknown format, lexer_export_model raises an error: {error.message}",
                "Return None, so that other engines are asked.",
            ) from error
        if exported is not None:
            raise CheckFailed(
                "for an unknown format, lexer_export_model returns an export.", "Return None."
            )


@SUITE.check("full", "An export has the user's names, and is written to the given folder.")
def exports_are_as_asked_for(fixture: EngineFixture) -> None:
    """Export to every format that the engine makes; compare names, paths and other folders."""
    current = fixture.new_folder()
    with contextlib.chdir(current):
        exports = list(_exports(fixture))
    given = {source.onnx_path for source, _, _ in exports if source.onnx_path is not None}
    for folder in (current, *(path.parent for path in given)):
        stray = sorted(str(path) for path in folder.iterdir() if path not in given)
        if stray:
            raise CheckFailed(
                f"an export writes {stray[0]}.", "Write to the folder `workdir` only."
            )
    for source, exported, folder in exports:
        outputs = tuple(spec.name for spec in exported.outputs)
        if outputs != source.output_names:
            raise CheckFailed(
                f"the export to {exported.format} has outputs {', '.join(outputs)} instead of "
                f"{', '.join(source.output_names)}.",
                "Use the names of ModelSource.output_names in ExportedModel.outputs, in order.",
            )
        unknown = [spec.name for spec in exported.inputs if spec.name not in source.input_names]
        if unknown:
            raise CheckFailed(
                f"the export to {exported.format} has an input {unknown[0]!r} that the model "
                "does not have.",
                "Use the names of ModelSource.input_names in ExportedModel.inputs.",
            )
        check_destination(exported, folder, source, fixture.engine)


@SUITE.check("full", "The engine's own exports compute the same outputs as the model.")
def exports_run_right(fixture: EngineFixture) -> None:
    """Export to the formats that the engine accepts, run them, and compare outputs."""
    case, ran = MODELS[_CASE], False
    for _, exported, _ in _exports(fixture):
        if exported.format not in fixture.engine.info.formats:
            continue
        with fixture.session(_CASE, exported=exported) as opened:
            for arrays in case.trials():
                expect_outputs(
                    opened.answer(arrays),
                    case.reference(arrays),
                    after=f"after the engine's own export to {exported.format}",
                )
        ran = True
    if not ran:
        raise Skip("the engine does not export to a format that it accepts")


@SUITE.check("full", "Exporting does not change the user's model.")
def exports_leave_the_model_alone(fixture: EngineFixture) -> None:
    """Compare a module before and after its export."""
    found = False
    for source in _sources(fixture):
        if source.module is None:
            continue
        before = _state(source.module)
        for name in _formats(fixture):
            fixture.engine.export_model(source, name, CPU, fixture.new_folder(), {})
        found = True
        changed = [what for what, value in _state(source.module).items() if before[what] != value]
        if changed:
            raise CheckFailed(
                f"an export changes {' and '.join(changed)} of the user's module.",
                "Work on a copy, or restore what was changed.",
            )
    if not found:
        raise Skip("torch is not installed, so there is no module to export")


def _exports(fixture: EngineFixture) -> Iterator[tuple[ModelSource, ExportedModel, Any]]:
    has_exported = False
    for source in _sources(fixture):
        for name in _formats(fixture):
            folder = fixture.new_folder()
            exported = fixture.engine.export_model(source, name, CPU, folder, {})
            if exported is not None:
                has_exported = True
                yield source, exported, folder
    if not has_exported:
        raise Skip("the engine exports neither a module nor an .onnx file")


def _sources(fixture: EngineFixture) -> list[ModelSource]:
    if not fixture.engine.implements("lexer_export_model"):
        raise Skip("the engine does not export models (it has no lexer_export_model)")
    sources = list(sources_of(MODELS[_CASE], fixture.new_folder()))
    if not sources:
        raise Skip("neither torch nor onnx is installed, so there is nothing to export")
    return sources


def _formats(fixture: EngineFixture) -> list[str]:
    return list(dict.fromkeys((*fixture.engine.info.formats, *STANDARD_FORMATS)))


def _state(module: Any) -> dict[str, object]:
    return {
        "the training mode": [each.training for each in module.modules()],
        "parameters or buffers": {
            name: (str(tensor.device), tensor.dtype, tensor.detach().cpu().numpy().tobytes())
            for name, tensor in module.state_dict().items()
        },
    }
