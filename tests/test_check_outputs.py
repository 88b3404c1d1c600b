"""Are the outputs of an exported file compared with the model's own?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core.benchmark.parity import ParityJudge
from lexer_core.engines.registry import EngineRegistry
from lexer_core.errors import ExportError
from lexer_core.export.call_exported import call_exported
from lexer_core.exporting.check_outputs import check_outputs, refuse_wrong
from lexer_core.records import ExportedModel, TensorSpec
from lexer_core.settings.table import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.results import Parity

X = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    for fault in ("", "wrong", "raise_in_load", "raise_in_fetch"):
        source = TOY_ENGINE.replace('type=str, default=""', f'type=str, default="{fault}"')
        site.add_engine(f"toy_{fault}" if fault else "toy", source)
    raising = TOY_ENGINE.replace("self.calls += 1", "raise MemoryError('too much')")
    site.add_engine("toy_raising", raising)
    slow = TOY_ENGINE.replace("options=(", "runs_by_default=False, options=(")
    site.add_engine("slow", slow.replace('"Toy"', '"Slow"'))
    with site.on_path():
        yield site


def checked(folder: Path, *engines: str, reason: str = "") -> tuple[Parity | None, str]:
    spec = TensorSpec(name="x", dtype="float32", shape=(2, 3))
    exported = ExportedModel(
        format="onnx",
        path=write_toy_model(folder),
        inputs=(spec,),
        outputs=(TensorSpec(name="y", dtype="float32", shape=(2, 3)),),
        size_bytes=1,
        exporter="a test",
    )
    judge = ParityJudge(Settings(), {"y": 2 * X}, name="Net (eager)", not_judged=reason)
    registry = EngineRegistry()
    return check_outputs(
        exported,
        {"x": X},
        judge,
        engines=[registry.ready_listing(name) for name in engines],
        call=lambda engine, *args: call_exported(registry.get(engine), *args),
        threads=1,
    )


def test_an_export_that_gives_the_models_answers_says_so(toys: FakeSite, tmp_path: Path) -> None:
    parity, note = checked(tmp_path, "toy")

    assert parity is not None
    assert parity.status == "pass"
    assert note == "outputs agree with the model's own, on Toy, max error 0"
    refuse_wrong(parity, "Net", "dynamo")


def test_an_export_that_gives_other_answers_is_refused(toys: FakeSite, tmp_path: Path) -> None:
    parity, note = checked(tmp_path, "toy_wrong")

    assert "outputs differ" in note
    with pytest.raises(ExportError, match="differ from those of Net") as caught:
        refuse_wrong(parity, "Net", "dynamo")
    assert "validation=False" in caught.value.hint


def test_another_engine_is_asked_where_one_cannot_run_the_file(
    toys: FakeSite, tmp_path: Path
) -> None:
    parity, _ = checked(tmp_path, "toy_raise_in_load", "toy_raise_in_fetch", "toy_raising", "toy")

    assert parity is not None
    assert parity.status == "pass"


def test_an_engine_that_is_chosen_by_name_is_asked_last(toys: FakeSite, tmp_path: Path) -> None:
    assert "on Toy" in checked(tmp_path, "slow", "toy")[1]
    assert "on Slow" in checked(tmp_path, "slow")[1]


def test_an_export_that_no_engine_runs_is_not_judged_and_says_why(
    toys: FakeSite, tmp_path: Path
) -> None:
    parity, note = checked(tmp_path, "toy_raising")
    assert parity is None
    assert "MemoryError: too much" in note
    refuse_wrong(parity, "Net", "dynamo")

    assert "no ready engine accepts 'onnx'" in checked(tmp_path)[1]


def test_a_model_that_disagrees_with_itself_is_no_measure(toys: FakeSite, tmp_path: Path) -> None:
    parity, note = checked(tmp_path, "toy_wrong", reason="the model is not deterministic")

    assert "not deterministic" in note
    refuse_wrong(parity, "Net", "dynamo")
