"""Is what the engine exports the model that it was given?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexer_core.errors import LexerError
from lexer_core.export.exporters import check_destination
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

_STANDARD = ("onnx", "torch", "torch_export")
_NO_FORMAT = "lexer_no_such_format"
_CASE = "several_outputs"


@SUITE.check("full", "A format that the engine does not make is left to whoever makes it.")
def other_formats_are_left_to_others(fixture: EngineFixture) -> None:
    """Ask for a format that does not exist."""
    for source in _sources(fixture):
        try:
            made = fixture.engine.export_model(source, _NO_FORMAT, CPU, fixture.new_folder(), {})
        except LexerError as error:
            raise CheckFailed(
                f"asked for a format that nobody knows, it raises: {error.message}",
                "Return None: another engine may make it.",
            ) from error
        if made is not None:
            raise CheckFailed(
                "asked for a format that nobody knows, it makes something.", "Return None."
            )


@SUITE.check("full", "An export has the names that the user gave, and lies where it was to lie.")
def exports_are_as_asked_for(fixture: EngineFixture) -> None:
    """Export to every format that the engine makes, and compare names and places."""
    for source, exported, folder in _exports(fixture):
        outputs = tuple(spec.name for spec in exported.outputs)
        if outputs != source.output_names:
            raise CheckFailed(
                f"the export to {exported.format} has outputs {', '.join(outputs)}; "
                f"asked for: {', '.join(source.output_names)}.",
                "ExportedModel.outputs has the names of ModelSource.output_names, in order.",
            )
        unknown = [spec.name for spec in exported.inputs if spec.name not in source.input_names]
        if unknown:
            raise CheckFailed(
                f"the export to {exported.format} has an input {unknown[0]!r} that the model "
                "has not.",
                "ExportedModel.inputs has the names of ModelSource.input_names.",
            )
        check_destination(exported, folder, source, fixture.engine)


@SUITE.check("full", "What the engine exports for itself computes what the model does.")
def exports_run_right(fixture: EngineFixture) -> None:
    """Export to the engine's own formats, run that, and compare the outputs."""
    case, ran = MODELS[_CASE], False
    for _, exported, _ in _exports(fixture):
        if exported.format not in fixture.engine.info.formats:
            continue
        with fixture.session(_CASE, exported=exported) as opened:
            for arrays in case.trials():
                expect_outputs(
                    opened.answer(arrays),
                    case.reference(arrays),
                    after=f"exported by the engine itself to {exported.format}",
                )
        ran = True
    if not ran:
        raise Skip("the engine makes no format that it accepts itself")


@SUITE.check("full", "The user's model is what it was before it was exported.")
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
                f"after an export, {' and '.join(changed)} of the user's module changed.",
                "Work on a copy, or put back what was changed.",
            )
    if not found:
        raise Skip("torch is not installed, so there is no module to export")


def _exports(fixture: EngineFixture) -> Iterator[tuple[ModelSource, ExportedModel, Any]]:
    made = False
    for source in _sources(fixture):
        for name in _formats(fixture):
            folder = fixture.new_folder()
            exported = fixture.engine.export_model(source, name, CPU, folder, {})
            if exported is not None:
                made = True
                yield source, exported, folder
    if not made:
        raise Skip("the engine exports neither a module nor an .onnx file")


def _sources(fixture: EngineFixture) -> list[ModelSource]:
    if not fixture.engine.implements("lexer_export_model"):
        raise Skip("the engine makes no format (it has no lexer_export_model)")
    sources = list(sources_of(MODELS[_CASE], fixture.new_folder()))
    if not sources:
        raise Skip("neither torch nor onnx is installed, so there is nothing to export")
    return sources


def _formats(fixture: EngineFixture) -> list[str]:
    return list(dict.fromkeys((*fixture.engine.info.formats, *_STANDARD)))


def _state(module: Any) -> dict[str, object]:
    return {
        "the training mode": [each.training for each in module.modules()],
        "parameters or buffers": {
            name: (str(tensor.device), tensor.dtype, tensor.detach().cpu().numpy().tobytes())
            for name, tensor in module.state_dict().items()
        },
    }
