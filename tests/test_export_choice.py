"""Which engine makes an export, and what does its failure cost?"""

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
from lexer_core.export.exports import Exports, export_for
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
    """An engine that makes the formats in ``makes``, and remembers being asked."""

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

    def ready(self) -> tuple[FakeEngine, ...]:
        return self.engines

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

    made = exports(tmp_path, first, own).for_engine("mine", "cpu", {})

    assert made.maker == "mine"
    assert first.asked == []


def test_an_engine_that_exports_nothing_is_served_by_another(tmp_path):
    user = FakeEngine("user")
    maker = FakeEngine("maker", makes=("onnx",))

    made = exports(tmp_path, user, FakeEngine("other"), maker).for_engine("user", "cpu", {})

    assert made.maker == "maker"
    assert made.exported.exporter == "maker"
    assert not made.cached
    assert made.exported.path.is_relative_to(tmp_path)


def test_the_preferred_format_that_can_be_made_is_chosen(tmp_path):
    user = FakeEngine("user", accepts=("special", "onnx", "torch"))
    maker = FakeEngine("maker", makes=("torch", "onnx"))

    assert exports(tmp_path, user, maker).for_engine("user", "cpu", {}).exported.format == "onnx"


def test_one_export_serves_every_engine_that_accepts_it(tmp_path):
    one, two, maker = FakeEngine("one"), FakeEngine("two"), FakeEngine("maker", makes=("onnx",))
    shared = exports(tmp_path, one, two, maker)

    assert shared.for_engine("one", "cpu", {}) is shared.for_engine("two", "cpu", {})
    assert maker.asked == ["onnx"]


def test_an_export_that_is_specific_to_its_maker_serves_nobody_else(tmp_path):
    own = FakeEngine("own", makes=("onnx",), specific=True)
    general = FakeEngine("general", makes=("onnx",))
    other = FakeEngine("other")
    shared = exports(tmp_path, own, other, general)

    assert shared.for_engine("own", "cpu", {}).maker == "own"
    assert shared.for_engine("other", "cpu", {}).maker == "general"
    assert shared.for_engine("own", "cpu", {}).maker == "own"


def test_other_options_are_another_export(tmp_path):
    maker = FakeEngine("maker", makes=("onnx",))
    shared = exports(tmp_path, maker)

    first = shared.for_engine("maker", "cpu", {"opset": 18})
    second = shared.for_engine("maker", "cpu", {"opset": 20})

    assert first.exported.path != second.exported.path
    assert "18" in first.exported.path.read_text()


def test_each_attempt_has_an_empty_folder_of_its_own(tmp_path):
    user, other = FakeEngine("user"), FakeEngine("other")
    maker = FakeEngine("maker", makes=("onnx",))

    exports(tmp_path, user, other, maker).for_engine("user", "cpu", {})

    folders = [*user.folders, *other.folders, *maker.folders]
    assert len(set(folders)) == 3


def test_a_maker_that_fails_does_not_keep_the_next_from_being_asked(tmp_path):
    failing = FakeEngine("failing", makes=("onnx",), raises=ExportError("cannot"))
    maker = FakeEngine("maker", makes=("onnx",))

    made = exports(tmp_path, failing, maker).for_engine("failing", "cpu", {})

    assert made.maker == "maker"


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


def test_a_wrong_option_is_the_users_and_no_other_maker_is_asked(tmp_path):
    strict = FakeEngine("strict", makes=("onnx",), raises=SettingError("no such exporter"))
    maker = FakeEngine("maker", makes=("onnx",))

    with pytest.raises(SettingError):
        exports(tmp_path, strict, maker).for_engine("strict", "cpu", {"exporter": "x"})

    assert maker.asked == []


def test_where_nothing_makes_the_format_the_error_names_the_package(tmp_path):
    source = ModelSource(
        program=object(), inputs=SOURCE.inputs, input_names=("x",), output_names=("y",)
    )

    with pytest.raises(ExportError) as raised:
        exports(tmp_path, FakeEngine("user"), source=source).for_engine("user", "cpu", {})

    assert "no installed engine makes format onnx from a torch.export program" in str(raised.value)
    assert "pip install lexer-ort" in raised.value.hint


def test_where_the_maker_is_installed_but_not_ready_the_error_says_what_mends_it(tmp_path):
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
        export_for("user", SOURCE, "cpu", registry=registry, directory=tmp_path)

    assert "unavailable" in raised.value.hint
    assert "pip install onnxruntime" in raised.value.hint


def test_a_format_of_a_plugins_own_has_no_package_to_name(tmp_path):
    with pytest.raises(ExportError) as raised:
        exports(tmp_path, FakeEngine("user", accepts=("odd",))).for_engine("user", "cpu", {})

    assert "lexer_export_model" in raised.value.hint


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
    maker = FakeEngine("maker", makes=("onnx",), outside=elsewhere)

    with pytest.raises(HookError, match="outside its workdir"):
        exports(tmp_path / "work", maker).for_engine("maker", "cpu", {})


def test_a_device_that_is_not_there_is_an_error_before_anything_is_exported(tmp_path):
    maker = FakeEngine("maker", makes=("onnx",))

    with pytest.raises(DeviceUnavailableError):
        exports(tmp_path, maker).for_engine("maker", "cuda:0", {})

    assert maker.asked == []


def test_a_format_can_be_wanted_for_no_engine_in_particular(tmp_path):
    maker = FakeEngine("maker", makes=("onnx",))

    made = exports(tmp_path, FakeEngine("other"), maker).to_format("onnx", CPU, {})

    assert made.maker == "maker"


def test_discarding_what_was_not_cached_changes_nothing(tmp_path):
    maker = FakeEngine("maker", makes=("onnx",))
    shared = exports(tmp_path, maker)
    made = shared.for_engine("maker", "cpu", {})

    shared.discard_cached("maker")

    assert shared.for_engine("maker", "cpu", {}) is made
