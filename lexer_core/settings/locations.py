"""Which configuration files apply to the current folder?

The project's file is searched for from the current folder upwards, up to the root
of its repository; without a repository, up to the nearest ``pyproject.toml``;
without either, only in the current folder. A file further up does not belong to
the project.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FILE_NAME", "NO_FILES", "PATH_VARIABLE", "ConfigFile", "config_files"]

FILE_NAME = ".lexer_config.toml"
PATH_VARIABLE = "LEXER_CONFIG_PATH"
NO_FILES = "LEXER_NO_CONFIG"

_PROJECT_FILE = "pyproject.toml"
_REPOSITORIES = (".git", ".hg", ".jj")


@frozen(kw_only=True)
class ConfigFile:
    """A configuration file to read.

    Parameters
    ----------
    kind
        Why it is read: ``"LEXER_CONFIG_PATH"``, ``"project"``,
        ``"pyproject.toml"`` or ``"home"``.
    path
        Its path.
    exists
        Whether the file exists.
    """

    kind: str
    path: Path
    exists: bool


def config_files(
    environment: Mapping[str, str], folder: Path | None, home: Path | None
) -> tuple[ConfigFile, ...]:
    """Return the files to read, the strongest first, without duplicates.

    Parameters
    ----------
    environment
        Environment variables by name.
    folder
        The current folder, if it exists.
    home
        The user's home folder, if it is known.

    Returns
    -------
    tuple[ConfigFile, ...]
        Includes files of kind ``"LEXER_CONFIG_PATH"`` and ``"home"`` even if they
        do not exist, and every ``pyproject.toml`` of the project. Of the latter,
        only the nearest with a ``[tool.lexer]`` table applies.

    Raises
    ------
    SettingError
        ``$LEXER_CONFIG_PATH`` is not a folder.
    """
    named = environment.get(PATH_VARIABLE, "")
    candidates = [(PATH_VARIABLE, _file_in_named_folder(named))] if named else []
    folders = [] if folder is None else _project_folders(folder, home)
    project_files = [each / FILE_NAME for each in folders if _exists(each / FILE_NAME)]
    candidates += [("project", path) for path in project_files[:1]]
    candidates += [
        (_PROJECT_FILE, each / _PROJECT_FILE) for each in folders if _exists(each / _PROJECT_FILE)
    ]
    if home is not None:
        candidates.append(("home", home / FILE_NAME))
    files: dict[str, ConfigFile] = {}
    for kind, path in candidates:
        files.setdefault(
            os.path.realpath(path), ConfigFile(kind=kind, path=path, exists=_exists(path))
        )
    return tuple(files.values())


def _file_in_named_folder(named: str) -> Path:
    folder = Path(named).expanduser()
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise SettingError(
            f"${PATH_VARIABLE} is {named!r}, which {problem}.",
            hint=f"Set it to the folder that contains {FILE_NAME}.",
        )
    return folder.absolute() / FILE_NAME


def _project_folders(folder: Path, home: Path | None) -> list[Path]:
    """Return the folders of the project, the nearest first."""
    folders: list[Path] = []
    for each in (folder, *folder.parents):
        # A home folder may itself be a repository, but projects below it are separate.
        if folders and home is not None and each.resolve() == home.resolve():
            break
        folders.append(each)
        # Not Path.exists, which raises if a parent folder is not readable.
        if any(os.path.exists(each / name) for name in _REPOSITORIES):  # noqa: PTH110
            return folders
    for count, each in enumerate(folders, start=1):
        if os.path.isfile(each / _PROJECT_FILE):  # noqa: PTH113 - as above
            return folders[:count]
    return folders[:1]


def _exists(path: Path) -> bool:
    return os.path.lexists(path)  # a broken link is an error to report, not a missing file
