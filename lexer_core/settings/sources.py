"""Which settings does this machine, user and folder bring along?

Read when a benchmark or an export is asked for, never at import: from the
environment, and from the files that hold in the current folder.
"""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from lexer_core.settings.config_files import read_file
from lexer_core.settings.layers import Layer
from lexer_core.settings.locations import (
    FILE_NAME,
    NO_FILES,
    PATH_VARIABLE,
    ConfigFile,
    config_files,
)
from lexer_core.settings.variables import environment_layer

__all__ = ["Sources", "read_sources"]


@frozen(kw_only=True)
class Sources:
    """The layers that come from outside of the program, the strongest first.

    ``files`` are those that hold here, and those that were looked for in vain.
    """

    layers: tuple[Layer, ...]
    files: tuple[ConfigFile, ...]


def read_sources() -> Sources:
    """Read the environment, and the files that hold in the current folder.

    Raises
    ------
    SettingError
        One of them cannot be read, or says something that is no setting.
    """
    layers = [environment_layer(os.environ)]
    files: list[ConfigFile] = []
    if not os.environ.get(NO_FILES):
        for file in config_files(os.environ, _current(), _home()):
            if any(file.kind == each.kind for each in files):
                continue  # of several pyproject.toml the nearest that speaks of Lexer
            layer = _layer_of(file)
            if layer is not None:
                layers.append(layer)
            if layer is not None or file.kind != "pyproject.toml":
                files.append(file)
    return Sources(layers=tuple(layers), files=tuple(files))


def _layer_of(file: ConfigFile) -> Layer | None:
    if file.exists:
        within = ("tool", "lexer") if file.kind == "pyproject.toml" else ()
        return read_file(file.path, within=within)
    if file.kind != PATH_VARIABLE:
        return None
    note = f"${PATH_VARIABLE} names {file.path.parent}, where there is no {FILE_NAME}"
    return Layer(name=str(file.path), settings={}, notes=(note,))


def _current() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it has been removed
        return None


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # where the user has none, or nobody knows it
        return None
