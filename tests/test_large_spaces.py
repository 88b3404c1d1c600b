"""Does a tuning find good configurations in a space that is too large to try them all?"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import pytest
from fake_engines import FakeSite
from scale_engine import SCALE_ENGINE, write_scale_model
from test_tuning import INPUT, QUICK

from lexer_core import EngineChoice, LexerContext
from lexer_core.artifact import load
from lexer_core.errors import MissingPackageError, SettingError
from lexer_core.tuning.sampling import Suggestions
from lexer_core.tuning.space import read_axes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.tuning_report import TuningReport

# All different, so that no time is spent on ties.
UNITS = {"scale.unit": list(range(100, 4000, 100))}


@pytest.fixture(scope="module", autouse=True)
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("scale", SCALE_ENGINE)
    with site.on_path():
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scale_model(tmp_path_factory.mktemp("models") / "model.onnx")


def tuned(model: Path, **asked: Any) -> TuningReport:
    asked = {"vary": UNITS, "engines": ["scale"], "input": INPUT} | QUICK | asked
    return LexerContext().tune(model, **asked)


@pytest.fixture(scope="module")
def sampled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> TuningReport:
    pytest.importorskip("optuna")
    return tuned(
        model,
        max_configurations=16,
        max_seconds=30.0,
        save_to=tmp_path_factory.mktemp("runs") / "tuned.lexer",
    )


@pytest.mark.skipif(importlib.util.find_spec("optuna") is not None, reason="Optuna is installed")
def test_without_a_sampler_a_large_space_says_what_to_do(model: Path) -> None:
    with pytest.raises(MissingPackageError, match="the space has 39 configurations") as caught:
        tuned(model, max_configurations=20)

    assert "lexer-core[tune]" in caught.value.hint
    assert "--max-configurations 39" in caught.value.hint
    assert "scale.unit has 39" in caught.value.hint


SPACE = read_axes({"batch": range(1, 21), "threads": range(1, 9), "one.level": ["a", "b", "c"]})
CHOICES = [EngineChoice("one"), EngineChoice("two")]


def suggested(seed: int, count: int) -> list[int]:
    """Return what a sampler suggests where engine, level, batch and threads each matter."""
    sampler = Suggestions(SPACE, CHOICES, goals=1, seed=seed)
    numbers: list[int] = []
    while len(numbers) < count:
        batch = sampler.next(8)
        for number in batch:
            _, point = SPACE.at(CHOICES, number)
            assert point.batch is not None
            assert point.threads is not None
            worse = {"a": 0.0, "b": 0.3, "c": 0.6}.get(point.options.get("level", ""), 1.0)
            cost = worse + abs(point.batch - 12) / 10 + abs(point.threads - 3) / 4
            # Eight threads fail.
            sampler.tell(number, None if point.threads == 8 else [cost])
        numbers += batch
    return numbers


@pytest.mark.extras
def test_suggestions_are_repeatable_never_repeated_and_better_than_random_ones() -> None:
    pytest.importorskip("optuna")
    first = suggested(3, 64)

    def near(numbers: list[int]) -> int:
        """Count those within 3 of the best batch size, at the best threads and level."""
        points = [SPACE.at(CHOICES, number) for number in numbers]
        return sum(
            point.options.get("level") == "a"
            and point.threads in (2, 3, 4)
            and point.batch in range(9, 16)
            for _, point in points
        )

    assert SPACE.size(CHOICES) == 640
    assert suggested(3, 24) == first[:24]
    assert suggested(4, 8) != first[:8]
    assert len(set(first)) == 64
    assert near(first) > 2 * 64 * near(list(range(640))) / 640


@pytest.mark.extras
def test_the_best_of_those_that_a_sampler_chose_wins(sampled: TuningReport) -> None:
    assert sampled.best is not None
    assert sampled.best.options["unit"] == min(row.options["unit"] for row in sampled)
    assert len(sampled) == 16
    assert sampled.search.space_size == 39
    assert any("16 of the 39 configurations" in sentence for sentence in sampled.sentences)


@pytest.mark.extras
def test_every_configuration_that_was_tried_has_its_place_in_the_space(
    sampled: TuningReport,
) -> None:
    numbers = [each.number for each in sampled.configurations]

    assert numbers == sorted(set(numbers))
    for each in sampled.configurations:
        assert each.number is not None
        assert each.options["unit"] == (each.number + 1) * 100


@pytest.mark.extras
def test_no_more_are_tried_than_asked_for(model: Path) -> None:
    pytest.importorskip("optuna")

    report = tuned(model, max_configurations=3)

    assert len(report.configurations) == 3
    assert report.search.space_size == 39


@pytest.mark.extras
def test_going_on_tries_others(sampled: TuningReport, model: Path, tmp_path: Path) -> None:
    path = sampled.save(tmp_path / "tuned.lexer")

    report = tuned(
        model, max_configurations=20, max_seconds=30.0, resume=path, save_to=tmp_path / "more.lexer"
    )

    assert len(report) == 20
    before = {each.label for each in sampled.configurations}
    assert before < {each.label for each in report.configurations}
    slower = next(each for each in sampled.configurations if each.fate == "slower")
    assert report[slower.label] == sampled[slower.label]  # not measured again
    assert load(tmp_path / "more.lexer").search == report.search


@pytest.mark.extras
def test_a_wrong_value_in_a_large_space_is_refused_before_anything_is_measured(model: Path) -> None:
    pytest.importorskip("optuna")
    units = [*range(100, 1400, 100), "quick"]

    with pytest.raises(SettingError, match="quick"):
        tuned(model, vary={"scale.unit": units}, max_configurations=5)
