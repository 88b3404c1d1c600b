"""Which configuration files hold here?

The project's file is looked for from the current folder upwards, as far as the
project goes: to the root of its repository; where there is none, to the nearest
``pyproject.toml``; where there is neither, not beyond the current folder. A file
further up is nobody's, or somebody else's.
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
    """A file to read.

    Parameters
    ----------
    kind
        Why it is read: ``"LEXER_CONFIG_PATH"``, ``"project"``,
        ``"pyproject.toml"`` or ``"home"``.
    path
        Where it is, or would be.
    exists
        Whether it is there.
    """

    kind: str
    path: Path
    exists: bool


def config_files(
    environment: Mapping[str, str], folder: Path | None, home: Path | None
) -> tuple[ConfigFile, ...]:
    """List the files to read, the strongest first, each once.

    Parameters
    ----------
    environment
        Variables by name.
    folder
        The current folder, if there is one.
    home
        The user's, if there is one.

    Returns
    -------
    tuple[ConfigFile, ...]
        With those that are looked for in one place only and are not there; every
        ``pyproject.toml`` of the project, of which the nearest that speaks of
        Lexer holds.

    Raises
    ------
    SettingError
        ``$LEXER_CONFIG_PATH`` names no folder.
    """
    named = environment.get(PATH_VARIABLE, "")
    wanted = [(PATH_VARIABLE, _in_named_folder(named))] if named else []
    project = [] if folder is None else _project_folders(folder, home)
    wanted += [("project", each / FILE_NAME) for each in project if _is_there(each / FILE_NAME)][:1]
    wanted += [
        (_PROJECT_FILE, each / _PROJECT_FILE) for each in project if _is_there(each / _PROJECT_FILE)
    ]
    if home is not None:
        wanted.append(("home", home / FILE_NAME))
    files: dict[str, ConfigFile] = {}
    for kind, path in wanted:
        files.setdefault(
            os.path.realpath(path), ConfigFile(kind=kind, path=path, exists=_is_there(path))
        )
    return tuple(files.values())


def _in_named_folder(named: str) -> Path:
    folder = Path(named).expanduser()
    if not folder.is_dir():
        problem = "is a file" if folder.exists() else "does not exist"
        raise SettingError(
            f"${PATH_VARIABLE} is {named!r}, which {problem}.",
            hint=f"It names the folder that {FILE_NAME} is in.",
        )
    return folder.absolute() / FILE_NAME


def _project_folders(folder: Path, home: Path | None) -> list[Path]:
    """List the folders of the project, the nearest first."""
    above: list[Path] = []
    for each in (folder, *folder.parents):
        # A home folder may be a repository too; what is below it is another project.
        if above and home is not None and each.resolve() == home.resolve():
            break
        above.append(each)
        # Not Path.exists, which raises where a folder above may not be looked into.
        if any(os.path.exists(each / name) for name in _REPOSITORIES):  # noqa: PTH110
            return above
    for count, each in enumerate(above, start=1):
        if os.path.isfile(each / _PROJECT_FILE):  # noqa: PTH113 - as above
            return above[:count]
    return above[:1]


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)  # a link that leads nowhere is to be told, not passed over
