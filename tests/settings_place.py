"""The fixture ``place``: a home folder, a project and an environment for one test."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

if TYPE_CHECKING:
    from pathlib import Path


@frozen
class Place:
    """Folders as a user has them: ``home``, with a repository ``project`` in it."""

    home: Path
    project: Path
    monkeypatch: pytest.MonkeyPatch

    def write(self, text: str, path: str = ".lexer_config.toml", below: Path | None = None) -> Path:
        """Write a file, below the project unless said otherwise."""
        file = (below or self.project) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return file

    def setenv(self, name: str, value: object) -> None:
        self.monkeypatch.setenv(name, str(value))

    def chdir(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.monkeypatch.chdir(folder)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    home = tmp_path / "home"
    project = home / "project"
    (project / ".git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.delenv("LEXER_NO_CONFIG")
    monkeypatch.chdir(project)
    return Place(home, project, monkeypatch)
