"""Does the scaffold write a distribution that works as an engine?"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from lexer_core.cli.main import run
from lexer_core.engines.registry import EngineRegistry, EngineState
from lexer_core.errors import OutputFileError, UsageError
from lexer_core.scaffold import new_engine

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ["onnx", "torch", "torch_export", "my_format"]


def install(distribution: Path, site: Path) -> None:
    """Put a distribution on a path as pip would: its package and its metadata."""
    project = tomllib.loads((distribution / "pyproject.toml").read_text())["project"]
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    entries = project["entry-points"]["lexer.engines"]
    lines = [f"{name} = {module}" for name, module in entries.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[lexer.engines]", *lines, ""]))
    (site / "source.pth").write_text("")
    for package in (distribution / "src").iterdir():
        package.rename(site / package.name)


@pytest.mark.parametrize("accepts", FORMATS)
def test_a_new_engine_is_listed_as_ready(accepts, tmp_path, monkeypatch):
    name = f"fresh-{accepts.replace('_', '-')}"
    arguments = ["engines", "new", name, "--accepts", accepts, "--into", str(tmp_path / "new")]
    assert run(arguments) == 0
    install(tmp_path / "new", tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")

    listing = EngineRegistry().listing(name)

    assert listing.state is EngineState.READY, listing.reason
    assert listing.info.formats == (accepts,)
    assert listing.distribution == f"lexer-{name} 0.1.0"


@pytest.mark.parametrize("accepts", FORMATS)
def test_every_file_is_valid_and_marks_the_missing_parts(accepts, tmp_path):
    written = new_engine("my-engine", tmp_path, accepts=accepts)

    for path in written:
        text = path.read_text(encoding="utf-8")
        assert "$" not in text.replace("${{", ""), path
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    engine = (tmp_path / "src/lexer_my_engine/engine.py").read_text()
    assert "FILL IN" in engine
    assert ("def lexer_export_model" in engine) == (accepts == "my_format")


def test_calling_an_unfinished_part_says_where_to_continue(tmp_path):
    new_engine("fresh", tmp_path)
    program = (
        "from lexer_fresh import engine; from lexer_core.records import *\n"
        "exported = ExportedModel("
        "format='onnx', inputs=(), outputs=(), size_bytes=0, exporter='')\n"
        "engine.lexer_create_session(exported, CPU, SessionConfig(threads=1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "src",
        capture_output=True,
        text=True,
        check=False,
    )

    assert "FILL IN: FreshSession.__init__ in lexer_fresh/engine.py" in done.stderr


@pytest.mark.parametrize("name", ["MyEngine", "my engine", "../up", "1st", "", "my--engine", "a/b"])
def test_an_invalid_name_is_rejected(name, tmp_path):
    with pytest.raises(UsageError, match="is not a valid engine name"):
        new_engine(name, tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_an_invalid_format_is_rejected(tmp_path):
    with pytest.raises(UsageError, match="is not a valid format name"):
        new_engine("fresh", tmp_path, accepts="two words")


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")

    with pytest.raises(OutputFileError, match="is not empty"):
        new_engine("fresh", tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unwritable_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputFileError, match="cannot write to"):
        new_engine("fresh", tmp_path / "file" / "below")
