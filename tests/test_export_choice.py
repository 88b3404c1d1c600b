"""Which engine exports a model, and what happens if it fails?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from attrs import define, field

from lexer_core.engines.states import EngineListing, EngineState
from lexer_core.errors import (
    DeviceUnavailableError,
    ExportError,
    HookError,
    LexerError,
    SettingError,
    UnsupportedError,
)
from lexer_core.export.exports import Exports
from lexer_core.records import (
    CPU,
    CallInputs,
    CallStructure,
    Device,
    EngineInfo,
    ExportedModel,
    ModelSource,
    TensorRef,
    TensorSpec,
)

if TYPE_CHECKING:
    from pathlib import Path

SPEC = TensorSpec(name="x", dtype="float32", shape=(2,))


@define
class FakeEngine:
    """An engine that exports to the formats in ``makes``, and records each request."""

    name: str
    accepts: tuple[str, ...] = ("onnx",)
    makes: tuple[str, ...] = ()
    raises: LexerError | None = None
    specific: bool = False
    outside: Path | None = None
    distribution: str = "fake 1.0"
    version: str | None = None
    asked: list[str] = field(factory=list)
    folders: list[Path] = field(factory=list)

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(
            display_name=self.name.title(),
            runtime_modules=(),
            runtime_distributions=(),
            formats=self.accepts,
        )

    def find_device(self, name: str) -> Device:
        if name != "cpu":
            raise DeviceUnavailableError(f"no device {name}", hint="Devices: cpu.")
        return CPU

    def export_model(
        self, source: ModelSource, format: str, device: Device, workdir: Path, options: Any
    ) -> ExportedModel | None:
        self.asked.append(format)
        assert list(workdir.iterdir()) == []
        self.folders.append(workdir)
        if format not in self.makes:
            return None
        if self.raises is not None:
            raise self.raises
        path = (self.outside or workdir) / "made.onnx"
        path.write_text(str(sorted(options.items())))
        return ExportedModel(
            format=format,
            path=path,
            inputs=(SPEC,),
            outputs=(SPEC,),
            size_bytes=1,
            exporter=self.name,
            specific_to=self.name if self.specific else "",
        )


@define
class FakeRegistry:
    engines: tuple[FakeEngine, ...]
    not_ready: tuple[EngineListing, ...] = ()

    def get(self, name: str) -> FakeEngine:
        return next(engine for engine in self.engines if engine.name == name)

    def ready_names(self) -> list[str]:
        return [engine.name for engine in self.engines]

    def listings(self) -> tuple[EngineListing, ...]:
        return self.not_ready


SOURCE = ModelSource(
    module=None,
    program=object(),
    inputs=CallInputs(
        arrays={"x": np.zeros(2, np.float32)}, structure=CallStructure(args=(TensorRef("x"),))
    ),
    input_names=("x",),
    output_names=("y",),
    model_name="Net",
)


def exports(tmp_path: Path, *engines: FakeEngine, source: ModelSource = SOURCE) -> Exports:
    return Exports(source, registry=FakeRegistry(engines), directory=tmp_path, use_cache=False)


def test_the_engine_itself_is_asked_before_any_other(tmp_path):
    first = FakeEngine("aaa", makes=("onnx",))
    own = FakeEngine("mine", makes=("onnx",))

    outcome = exports(tmp_path, first, own).for_engine("mine", "cpu", {})

    assert outcome.exporter == "mine"
    assert first.asked == []


def test_an_engine_that_exports_nothing_is_served_by_another(tmp_path):
    user = FakeEngine("user")
    exporter = FakeEngine("exporter", makes=("onnx",))

    outcome = exports(tmp_path, user, FakeEngine("other"), exporter).for_engine("user", "cpu", {})

    assert outcome.exporter == "exporter"
    assert outcome.exported.exporter == "exporter"
    assert not outcome.cached
    assert outcome.exported.path.is_relative_to(tmp_path)


def test_the_preferred_format_that_can_be_made_is_chosen(tmp_path):
    user = FakeEngine("user", accepts=("special", "onnx", "torch"))
    exporter = FakeEngine("exporter", makes=("torch", "onnx"))

    assert exports(tmp_path, user, exporter).for_engine("user", "cpu", {}).exported.format == "onnx"


def test_one_export_serves_every_engine_that_accepts_it(tmp_path):
    one, two, exporter = (
        FakeEngine("one"),
        FakeEngine("two"),
        FakeEngine("exporter", makes=("onnx",)),
    )
    shared = exports(tmp_path, one, two, exporter)

    assert shared.for_engine("one", "cpu", {}) is shared.for_engine("two", "cpu", {})
    assert exporter.asked == ["onnx"]


def test_an_export_that_is_specific_to_its_exporter_serves_nobody_else(tmp_path):
    own = FakeEngine("own", makes=("onnx",), specific=True)
    general = FakeEngine("general", makes=("onnx",))
    other = FakeEngine("other")
    shared = exports(tmp_path, own, other, general)

    assert shared.for_engine("own", "cpu", {}).exporter == "own"
    assert shared.for_engine("other", "cpu", {}).exporter == "general"
    assert shared.for_engine("own", "cpu", {}).exporter == "own"


def test_other_options_are_another_export(tmp_path):
    exporter = FakeEngine("exporter", makes=("onnx",))
    shared = exports(tmp_path, exporter)

    first = shared.for_engine("exporter", "cpu", {"opset": 18})
    second = shared.for_engine("exporter", "cpu", {"opset": 20})

    assert first.exported.path != second.exported.path
    assert "18" in first.exported.path.read_text()


def test_each_attempt_has_an_empty_folder_of_its_own(tmp_path):
    user, other = FakeEngine("user"), FakeEngine("other")
    exporter = FakeEngine("exporter", makes=("onnx",))

    exports(tmp_path, user, other, exporter).for_engine("user", "cpu", {})

    folders = [*user.folders, *other.folders, *exporter.folders]
    assert len(set(folders)) == 3


def test_an_exporter_that_fails_does_not_keep_the_next_from_being_asked(tmp_path):
    failing = FakeEngine("failing", makes=("onnx",), raises=ExportError("cannot"))
    exporter = FakeEngine("exporter", makes=("onnx",))

    outcome = exports(tmp_path, failing, exporter).for_engine("failing", "cpu", {})

    assert outcome.exporter == "exporter"


def test_what_an_exporter_says_of_the_model_is_the_error(tmp_path):
    crashing = FakeEngine("crashing", makes=("onnx",), raises=HookError("crashed"))
    failing = FakeEngine("failing", makes=("onnx",), raises=ExportError("no operator 'eigh'"))

    with pytest.raises(ExportError, match="eigh"):
        exports(tmp_path, crashing, failing).for_engine("crashing", "cpu", {})


def test_a_failed_export_is_not_tried_again_for_the_next_engine(tmp_path):
    one, two = FakeEngine("one"), FakeEngine("two")
    failing = FakeEngine("failing", makes=("onnx",), raises=ExportError("cannot"))
    shared = exports(tmp_path, one, two, failing)

    for name in ("one", "two"):
        with pytest.raises(ExportError, match="cannot"):
            shared.for_engine(name, "cpu", {})

    assert failing.asked == ["onnx"]


def test_a_wrong_option_is_the_users_and_no_other_exporter_is_asked(tmp_path):
    strict = FakeEngine("strict", makes=("onnx",), raises=SettingError("no such exporter"))
    exporter = FakeEngine("exporter", makes=("onnx",))

    with pytest.raises(SettingError):
        exports(tmp_path, strict, exporter).for_engine("strict", "cpu", {"exporter": "x"})

    assert exporter.asked == []


def test_if_no_engine_makes_the_format_the_error_names_the_package(tmp_path):
    source = ModelSource(
        program=object(), inputs=SOURCE.inputs, input_names=("x",), output_names=("y",)
    )

    with pytest.raises(ExportError) as raised:
        exports(tmp_path, FakeEngine("user"), source=source).for_engine("user", "cpu", {})

    assert "no installed engine exports a torch.export program to onnx" in str(raised.value)
    assert "pip install lexer-ort" in raised.value.hint


def test_if_the_exporter_is_installed_but_not_ready_the_error_says_how_to_fix_it(tmp_path):
    listing = EngineListing(
        name="onnxruntime",
        display_name="ONNXRuntime",
        state=EngineState.UNAVAILABLE,
        distribution="lexer-ort 0.1.0",
        reason="onnxruntime is not installed",
        remedy="pip install onnxruntime",
    )
    registry = FakeRegistry((FakeEngine("user"),), not_ready=(listing,))

    with pytest.raises(ExportError) as raised:
        Exports(SOURCE, registry=registry, directory=tmp_path, use_cache=False).for_engine(
            "user", "cpu", {}
        )

    assert "unavailable" in raised.value.hint
    assert "pip install onnxruntime" in raised.value.hint


def test_a_format_of_a_plugins_own_has_no_package_to_name(tmp_path):
    with pytest.raises(ExportError) as raised:
        exports(tmp_path, FakeEngine("user", accepts=("odd",))).for_engine("user", "cpu", {})

    assert "lexer_export_model" in raised.value.hint


def test_an_engine_of_another_environment_is_told_where_its_format_must_be_made(tmp_path):
    elsewhere = FakeEngine("far", accepts=("odd",), distribution="lexer-far 2.0")

    with pytest.raises(ExportError) as raised:
        exports(tmp_path, FakeEngine("user")).for_engine(elsewhere, "cpu", {})

    assert "in this environment, not in the engine's" in raised.value.hint
    assert "pip install lexer-far" in raised.value.hint


def test_two_plugins_that_claim_the_exporters_name_are_named_as_the_cause(tmp_path):
    reason = "lexer-ort 0.1.0 and lexer-x 1.0 both provide an engine of this name; neither is used"
    claims = [
        EngineListing(
            name="onnxruntime",
            display_name="onnxruntime",
            state=EngineState.BROKEN,
            distribution=distribution,
            reason=reason,
            remedy=f"pip uninstall {other}",
        )
        for distribution, other in (("lexer-x 1.0", "lexer-ort"), ("lexer-ort 0.1.0", "lexer-x"))
    ]
    registry = FakeRegistry((FakeEngine("user"),), not_ready=tuple(claims))

    with pytest.raises(ExportError, match=r"lexer-ort 0\.1\.0 and lexer-x 1\.0 both") as raised:
        Exports(SOURCE, registry=registry, directory=tmp_path, use_cache=False).for_engine(
            "user", "cpu", {}
        )

    assert "pip uninstall lexer-x" in raised.value.hint


def test_an_engine_that_takes_no_onnx_cannot_run_an_onnx_file(tmp_path):
    source = ModelSource(
        onnx_path=tmp_path / "model.onnx",
        inputs=CallInputs(arrays={}, structure=CallStructure()),
        input_names=(),
        output_names=(),
    )
    torch_like = FakeEngine("torch", accepts=("torch",), makes=("torch",))

    with pytest.raises(UnsupportedError, match=r"Torch cannot run an \.onnx file"):
        exports(tmp_path, torch_like, source=source).for_engine("torch", "cpu", {})

    assert torch_like.asked == []


def test_an_export_outside_its_folder_is_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    exporter = FakeEngine("exporter", makes=("onnx",), outside=elsewhere)

    with pytest.raises(HookError, match="outside its workdir"):
        exports(tmp_path / "work", exporter).for_engine("exporter", "cpu", {})


def test_a_device_that_is_not_there_is_an_error_before_anything_is_exported(tmp_path):
    exporter = FakeEngine("exporter", makes=("onnx",))

    with pytest.raises(DeviceUnavailableError):
        exports(tmp_path, exporter).for_engine("exporter", "cuda:0", {})

    assert exporter.asked == []


def test_a_format_can_be_wanted_for_no_engine_in_particular(tmp_path):
    exporter = FakeEngine("exporter", makes=("onnx",))

    outcome = exports(tmp_path, FakeEngine("other"), exporter).to_format("onnx", CPU, {})

    assert outcome.exporter == "exporter"


def test_discarding_what_was_not_cached_changes_nothing(tmp_path):
    exporter = FakeEngine("exporter", makes=("onnx",))
    shared = exports(tmp_path, exporter)
    outcome = shared.for_engine("exporter", "cpu", {})

    shared.discard_cached("exporter")

    assert shared.for_engine("exporter", "cpu", {}) is outcome
