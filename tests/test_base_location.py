"""A base's own model is made from the base's modules, and never from the new one's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

torch = pytest.importorskip("torch")

from checkouts import LAYER_BYTES, NET, check_out  # noqa: E402

from lexer_core.benchmark.cases import Case  # noqa: E402
from lexer_core.benchmark.run_timings import RunTimings  # noqa: E402
from lexer_core.comparison.base_location import BaseLocation, remote_base_model  # noqa: E402
from lexer_core.errors import InputError, TargetError  # noqa: E402
from lexer_core.settings.table import Settings  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.torch

INPUT = {"x": torch.ones(2, 128)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The new checkout, which is the current folder and on the path."""
    new = check_out(tmp_path / "new", depth=3)
    monkeypatch.chdir(new)
    monkeypatch.syspath_prepend(str(new))
    yield new
    assert "layers" not in sys.modules


def bytes_of(target: BaseLocation, folder: Path, inputs: object = INPUT) -> int:
    """Build a base's model in its process; return its size."""
    model = remote_base_model(target, inputs)
    settings = Settings(use_cache=False)
    case = Case(label="torch", engine="torch", display_name="Torch", device="cpu")
    try:
        model.start(folder / "exports", settings, threads=1, memory_limit_bytes=None)
        model.run_reference(settings, RunTimings())
        return model.export(case, settings).exported.size_bytes
    finally:
        model.close()


def test_a_file_takes_the_modules_beside_it(here: Path, tmp_path: Path) -> None:
    check_out(tmp_path / "old", depth=2)

    target = BaseLocation.find("../old/net.py:Net")

    assert bytes_of(target, tmp_path) == 2 * LAYER_BYTES


def test_in_a_folder_of_its_own_a_target_is_what_it_would_be_there(
    here: Path, tmp_path: Path
) -> None:
    (check_out(tmp_path / "old", depth=2) / "weights.txt").write_text("read where it lies")
    reading = NET + "\nassert open('weights.txt').read() == 'read where it lies'\n"
    (tmp_path / "old" / "net.py").write_text(reading)

    assert bytes_of(BaseLocation.find("net:Net", "../old"), tmp_path) == 2 * LAYER_BYTES


def test_a_folder_on_the_path_stands_for_the_same_in_the_base_s_checkout(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_out(tmp_path / "old", depth=2, layers="src/layers.py")
    (here / "layers.py").rename(here / "src_layers.py")
    (here / "src").mkdir()
    (here / "src_layers.py").rename(here / "src" / "layers.py")
    monkeypatch.syspath_prepend(str(here / "src"))

    assert bytes_of(BaseLocation.find("net.py:Net", "../old"), tmp_path) == 2 * LAYER_BYTES


def test_a_base_that_would_take_the_new_module_for_its_own_is_refused(
    here: Path, tmp_path: Path
) -> None:
    # As an editable installation does that puts a finder in place of a folder.
    finder = f"""
import importlib.util, sys


class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "layers":
            return importlib.util.spec_from_file_location(name, {str(here / "layers.py")!r})


sys.meta_path.insert(0, Finder())
"""
    check_out(tmp_path / "old", 2, finder + NET)

    with pytest.raises(TargetError, match="imported module 'layers' from"):
        bytes_of(BaseLocation.find("net.py:Net", "../old"), tmp_path)


def test_what_cannot_be_loaded_is_said_to_be_the_base_s(here: Path, tmp_path: Path) -> None:
    check_out(tmp_path / "old", 2, "import no_such_module\n")

    with pytest.raises(TargetError, match=r"the base's TARGET: 'net\.py' cannot be imported") as e:
        bytes_of(BaseLocation.find("net.py:Net", "../old"), tmp_path)

    assert "no_such_module" in str(e.value)


def test_inputs_that_the_base_s_model_does_not_take_are_refused(here: Path, tmp_path: Path) -> None:
    check_out(tmp_path / "old", 2)

    with pytest.raises(InputError, match="'pixels'"):
        bytes_of(BaseLocation.find("../old/net.py:Net"), tmp_path, {"pixels": torch.ones(2, 128)})


def test_a_model_that_was_compiled_in_place_is_refused(here: Path, tmp_path: Path) -> None:
    check_out(tmp_path / "old", 2, NET + "\n\nmodel = Net()\nmodel.compile()\n")

    with pytest.raises(TargetError, match="compiled in place"):
        bytes_of(BaseLocation.find("../old/net.py:model"), tmp_path)


@pytest.mark.parametrize(
    ("text", "folder", "said"),
    [
        ("model.onnx", None, "is an .onnx file"),
        ("net.py:Net", "absent", "from 'absent': the folder does not exist"),
    ],
)
def test_what_can_be_no_target_of_a_base_is_refused_at_once(
    here: Path, text: str, folder: str | None, said: str
) -> None:
    with pytest.raises(TargetError, match=said):
        BaseLocation.find(text, folder)
