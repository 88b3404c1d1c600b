"""What of an engine that compiles: into which folder, and is it part of what loading costs?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_engines import FakeSite
from toy_engine import TOY_ENGINE, write_toy_model

from lexer_core import LexerContext
from lexer_core.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lexer_core.report import BenchmarkReport

INPUT = np.arange(6, dtype=np.float32).reshape(2, 3)

# Compiling takes far longer than creating the session, so that it is seen in what
# loading took. Placements say what was in the cache folder.
COMPILING = """
from lexer_core.records import SessionPhases

COMPILE_SECONDS = 0.5


@hookimpl
def lexer_create_session(exported, device, config):
    session = ToySession(config.options)
    session.cache_dir = config.cache_dir
    session.phases = SessionPhases()
    session.found = ()
    if config.cache_dir is not None:
        session.found = tuple(sorted(file.name for file in config.cache_dir.iterdir()))
        (config.cache_dir / f"compiled-{len(session.found)}").touch()
    return session


@hookimpl
def lexer_place_inputs(session, inputs):
    if session.phases.compile_seconds is None:
        time.sleep(COMPILE_SECONDS)
    session.phases = SessionPhases(compile_seconds=COMPILE_SECONDS, cache_warm=CACHE_WARM)
    return inputs.arrays["x"] * 1.0


@hookimpl
def lexer_describe_placement(session):
    return Placement(
        share=1.0, method="nodes", fallbacks=(str(session.cache_dir), *session.found)
    )
"""
UNAVAILABLE = 'unavailable_because="there is no compiler here", remedy="install one", options=('


def compiling(cache_warm: str) -> str:
    return TOY_ENGINE + COMPILING.replace("CACHE_WARM", cache_warm)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeSite]:
    site = FakeSite(tmp_path_factory.mktemp("site"))
    site.add_engine("cold", compiling("False"))
    site.add_engine("warm", compiling("True"))
    lacking = TOY_ENGINE.replace("options=(", UNAVAILABLE)
    site.add_engine("lacking", lacking)
    site.add_engine(
        "lacking-by-name", lacking.replace("options=(", "runs_by_default=False, options=(")
    )
    with site.on_path():
        yield site


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_model(tmp_path_factory.mktemp("model"))


def benchmark(model: Path, *engines: str, **settings: object) -> BenchmarkReport:
    settings = {"num_iterations": 20, "warm_up_seconds": 0.0, "canary": False, **settings}
    return LexerContext().benchmark(model, INPUT, engines=list(engines) or None, **settings)


@pytest.fixture(scope="module")
def compiled(site: FakeSite, model: Path) -> BenchmarkReport:
    """One launch of an engine that compiles, and of one that finds what was compiled."""
    return benchmark(model, "cold", "warm")


def test_what_is_compiled_when_inputs_are_placed_counts_as_loading(compiled: BenchmarkReport):
    row = compiled["cold"]

    assert row.status == "ok", row.error
    assert row.compile_ms == 500
    assert 500 < row.load_ms < 1000
    assert row.first_call_ms < 500


def test_a_row_whose_code_came_from_a_cache_says_so(compiled: BenchmarkReport):
    assert [each for each in compiled["warm"].warnings if "came from a cache" in each]
    assert not [each for each in compiled["cold"].warnings if "came from a cache" in each]


def test_a_later_launch_finds_what_an_earlier_one_compiled(site: FakeSite, model: Path):
    report = benchmark(model, "cold", "warm", launches=2)

    folders = set()
    for row in report:
        folder, *found = row.placement.fallbacks
        assert found == ["compiled-0"], "the last launch finds what the first one left"
        folders.add(folder)
    assert len(folders) == 2, "each case has a folder of its own"


def test_a_single_launch_need_not_write_a_cache(compiled: BenchmarkReport):
    assert compiled["cold"].placement.fallbacks == ("None",)


def test_an_engine_that_lacks_something_beside_its_runtime_is_unavailable(
    site: FakeSite, model: Path
):
    row = benchmark(model, "cold", "lacking")["lacking"]

    assert row.status == "failed"
    assert row.error.kind == EngineUnavailableError.__name__
    assert "engine 'lacking' is unavailable: there is no compiler here" in row.error.reason
    assert row.error.hint == "install one"


def test_an_engine_that_runs_when_it_is_named_is_not_missed(site: FakeSite, model: Path):
    notes = benchmark(model).notes

    assert "engine 'lacking' is unavailable: there is no compiler here" in notes
    assert not [note for note in notes if "lacking-by-name" in note]
