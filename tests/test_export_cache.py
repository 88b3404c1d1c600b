"""Is an export that was kept the export that comes back?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from fake_engines import FakeSite
from filelock import FileLock

from lexer_core.cli.cache import cache as cache_command
from lexer_core.engines.registry import EngineRegistry
from lexer_core.engines.states import EngineState
from lexer_core.errors import CacheError
from lexer_core.export import cache as cache_module
from lexer_core.export.cache import ExportCache
from lexer_core.records import ExportedModel, TensorSpec

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "a" * 64
OTHER = "b" * 64
THIRD = "c" * 64


def make_export(
    folder: Path, weights: bytes = b"weights", external: bytes = b"", **changes: Any
) -> ExportedModel:
    folder.mkdir(parents=True)
    path = folder / "net.onnx"
    path.write_bytes(weights)
    if external:
        (folder / "net.onnx.data").write_bytes(external)
    fields: dict[str, Any] = {
        "format": "onnx",
        "path": path,
        "inputs": (TensorSpec(name="image", dtype="float32", shape=("batch", 3, 8)),),
        "outputs": (TensorSpec(name="logits", dtype="bfloat16", shape=("batch", 10)),),
        "size_bytes": len(weights) + len(external),
        "exporter": "maker 1.0",
        "notes": ("input 'mask' is not used",),
    }
    return ExportedModel(**fields | changes)


def new_folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> ExportCache:
    return ExportCache(tmp_path / "cache")


@pytest.fixture
def filled(cache: ExportCache, tmp_path: Path) -> ExportCache:
    cache.put(KEY, make_export(tmp_path / "made"), seconds=7.5, model_name="Net")
    return cache


def test_an_export_comes_back_as_it_was_made(cache, tmp_path):
    made = make_export(tmp_path / "made", external=b"more weights")
    assert cache.put(KEY, made, seconds=7.5, model_name="Net")

    found = cache.get(KEY, new_folder(tmp_path, "work"))

    assert found.exported.path == tmp_path / "work" / "net.onnx"
    assert found.exported.path.read_bytes() == b"weights"
    assert (tmp_path / "work" / "net.onnx.data").read_bytes() == b"more weights"
    assert found.exported.inputs == made.inputs
    assert found.exported.outputs == made.outputs
    assert found.exported.notes == made.notes
    assert found.exported.exporter == made.exporter
    assert found.exported.size_bytes == made.size_bytes
    assert found.entry.export_seconds == 7.5
    assert cache.take_notes() == ()


def test_what_is_not_there_is_not_found_and_makes_no_folder(cache, tmp_path):
    assert cache.get(KEY, new_folder(tmp_path, "work")) is None
    assert cache.entries() == ()
    assert not cache.directory.exists()


def test_nothing_but_json_describes_an_entry(filled):
    names = {path.name for path in (filled.directory / KEY).iterdir()}

    assert names == {"net.onnx", "entry.json"}
    assert json.loads((filled.directory / KEY / "entry.json").read_text())["model_name"] == "Net"


def test_an_export_in_use_survives_the_clearing_of_the_cache(filled, tmp_path):
    found = filled.get(KEY, new_folder(tmp_path, "work"))

    filled.clear()

    assert filled.entries() == ()
    assert found.exported.path.read_bytes() == b"weights"


def test_an_entry_is_replaced_by_a_newer_one_of_its_name(filled, tmp_path):
    filled.put(KEY, make_export(tmp_path / "again", b"new"), seconds=1.0, model_name="Net")

    assert filled.get(KEY, new_folder(tmp_path, "work")).exported.path.read_bytes() == b"new"
    assert len(filled.entries()) == 1


def rewrite(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        place = folder / "entry.json"
        data = json.loads(place.read_text())
        change(data)
        place.write_text(json.dumps(data))

    return damage


DAMAGES = {
    "half a description": lambda folder: (folder / "entry.json").write_text('{"schema": 1'),
    "no description": lambda folder: (folder / "entry.json").unlink(),
    "not text": lambda folder: (folder / "entry.json").write_bytes(b"\xff\xfe"),
    "another kind of JSON": lambda folder: (folder / "entry.json").write_text("[1]"),
    "no file": lambda folder: (folder / "net.onnx").unlink(),
    "half a file": lambda folder: (folder / "net.onnx").write_bytes(b"wei"),
    "one changed byte": lambda folder: (folder / "net.onnx").write_bytes(b"weighty"),
    "a field of the wrong type": rewrite(lambda data: data["exported"].update(size_bytes="7")),
    "a missing field": rewrite(lambda data: data["exported"].pop("inputs")),
    "another schema": rewrite(lambda data: data.update(schema=99)),
    "another key": rewrite(lambda data: data.update(key=OTHER)),
    "another model file": rewrite(lambda data: data.update(model_file="other.onnx")),
    "a file elsewhere": rewrite(lambda data: data["files"][0].update(name="../../secret")),
    "an absolute file": rewrite(lambda data: data["files"][0].update(name="/etc/hostname")),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_entry_counts_as_missing_and_is_removed(filled, tmp_path, damage):
    damage(filled.directory / KEY)
    work = new_folder(tmp_path, "work")

    assert filled.get(KEY, work) is None

    assert not (filled.directory / KEY).exists()
    assert list(work.iterdir()) == []
    (note,) = filled.take_notes()
    assert "damaged entry" in note


def test_listing_removes_damaged_entries_too(filled):
    (filled.directory / KEY / "net.onnx").unlink()

    assert filled.entries() == ()
    assert not (filled.directory / KEY).exists()


def test_the_entry_that_was_not_used_for_the_longest_time_goes_first(tmp_path):
    cache = ExportCache(tmp_path / "cache", max_bytes=25)
    for age, key in ((300, KEY), (200, OTHER)):
        export = make_export(tmp_path / key[:3], b"0123456789")
        cache.put(key, export, seconds=1.0, model_name="Net")
        used = time.time() - age
        os.utime(cache.directory / key / "entry.json", (used, used))
    cache.get(KEY, new_folder(tmp_path, "work"))

    cache.put(THIRD, make_export(tmp_path / "third", b"0123456789"), seconds=1.0, model_name="Net")

    assert {entry.key for entry in cache.entries()} == {KEY, THIRD}


def test_an_export_over_the_limit_is_not_kept_and_removes_nothing(filled, tmp_path):
    cache = ExportCache(filled.directory.parent, max_bytes=10)

    kept = cache.put(OTHER, make_export(tmp_path / "big", b"x" * 11), seconds=1.0, model_name="Net")

    assert not kept
    assert [entry.key for entry in cache.entries()] == [KEY]
    assert "limit" in cache.take_notes()[0]


def test_a_live_object_is_not_kept(cache, tmp_path):
    live = make_export(tmp_path / "made", path=None, model=object())

    assert not cache.put(KEY, live, seconds=1.0, model_name="Net")


def test_clearing_what_is_old_leaves_what_was_used_lately(filled, tmp_path):
    filled.put(OTHER, make_export(tmp_path / "other"), seconds=1.0, model_name="Net")
    old = time.time() - 1000
    os.utime(filled.directory / KEY / "entry.json", (old, old))

    removed = filled.clear(older_than=500)

    assert [entry.key for entry in removed] == [KEY]
    assert [entry.key for entry in filled.entries()] == [OTHER]


def test_what_an_interrupted_process_left_is_cleared(filled):
    left = new_folder(filled.directory, ".unfinished-left")
    (left / "net.onnx").write_bytes(b"half")

    filled.clear()

    assert not left.exists()


def test_one_entry_can_be_discarded(filled):
    assert filled.discard(KEY)
    assert not filled.discard(KEY)
    assert filled.entries() == ()


@pytest.mark.parametrize("key", ["../" + "a" * 61, "A" * 64, "", "a" * 63])
def test_what_is_no_fingerprint_is_refused_as_a_key(filled, tmp_path, key):
    with pytest.raises(ValueError, match="not a fingerprint"):
        filled.get(key, tmp_path)


def test_a_cache_that_cannot_be_written_says_so_and_how_to_move_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = ExportCache(tmp_path / "file")

    with pytest.raises(CacheError, match="cannot be used") as raised:
        cache.put(KEY, make_export(tmp_path / "made"), seconds=1.0, model_name="Net")

    assert "LEXER_CACHE_DIR" in raised.value.hint


def test_a_cache_that_another_holds_is_not_waited_for_forever(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_LOCK_SECONDS", 0.05)

    with FileLock(filled.directory / ".lock"), pytest.raises(CacheError, match="locked"):
        filled.entries()


def test_processes_that_keep_the_same_export_at_once_leave_one_sound_entry(tmp_path):
    script = (
        "import sys; from pathlib import Path; import test_export_cache as t\n"
        "root = Path(sys.argv[1]); me = root / sys.argv[2]\n"
        "cache = t.ExportCache(root / 'cache')\n"
        "made = t.make_export(me / 'made', b'w' * 100000)\n"
        "for turn in range(5):\n"
        "    cache.put(t.KEY, made, seconds=1.0, model_name='Net')\n"
        "    found = cache.get(t.KEY, t.new_folder(me, f'work{turn}'))\n"
        "    assert found.exported.path.read_bytes() == b'w' * 100000\n"
        "assert cache.take_notes() == ()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), name],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two", "three")
    ]

    errors = [process.communicate(timeout=60)[1] for process in running]

    assert [process.returncode for process in running] == [0, 0, 0], errors
    assert len(ExportCache(tmp_path / "cache").entries()) == 1
    assert not list((tmp_path / "cache" / "exports").glob(".unfinished-*"))


# -- lexer cache -------------------------------------------------------------------


@pytest.fixture
def command(filled: ExportCache, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setenv("LEXER_CACHE_DIR", str(filled.directory.parent))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cache_command, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_the_command_shows_place_size_limit_and_number(command, filled):
    shown = command()

    assert str(filled.directory) in shown
    assert "7 B" in shown
    assert "5.0 GiB" in shown
    assert json.loads(command("--json"))["cache"]["entries"] == 1


def test_the_command_lists_entries_as_a_table_and_as_json(command):
    shown = command("list")
    (entry,) = json.loads(command("list", "--json"))["entries"]

    assert "Net" in shown
    assert "7.5 s" in shown
    assert entry["key"] == KEY
    assert entry["model"] == "Net"
    assert entry["export_seconds"] == 7.5


def test_the_command_clears_only_what_is_old_enough(command, filled):
    assert "removed 0 exports" in command("clear", "--older-than", "1h")
    assert len(filled.entries()) == 1
    assert "removed 1 export," in command("clear")
    assert command("list") == "The cache is empty.\n"


def test_the_command_counts_and_clears_what_is_remembered_of_engines(
    command: Callable[..., str], filled: ExportCache, tmp_path: Path
) -> None:
    with FakeSite(tmp_path / "site").on_path() as site:
        site.add_engine("echo")
        (listing,) = [each for each in EngineRegistry().listings() if each.name == "echo"]
    assert listing.state is EngineState.READY
    count = json.loads(command("--json"))["cache"]["engine_descriptions"]
    assert count >= 1  # those of the installed engines, too

    assert f"{count} description" in command()
    assert f"{count} description" in command("list")
    assert "and 0 descriptions of engines" in command("clear", "--older-than", "1h")
    removed = json.loads(command("clear", "--json"))

    assert removed["removed_engine_descriptions"] == count
    assert len(removed["removed"]) == 1
    assert not list((filled.directory.parent / "engines").iterdir())
    assert "0 descriptions" in command()


def test_the_command_prints_the_path_alone(command, filled):
    assert command("path") == f"{filled.directory}\n"


def test_a_duration_that_is_none_is_refused(command):
    result = CliRunner().invoke(cache_command, ["clear", "--older-than", "soon"])

    assert result.exit_code == 2
    assert "not a duration" in result.output
