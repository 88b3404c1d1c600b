"""Which settings come from the environment and from configuration files?

They are read when a benchmark or an export starts, never at import.
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

__all__ = ["SettingSources", "read_sources"]


@frozen(kw_only=True)
class SettingSources:
    """The layers from outside the program, the strongest first.

    ``files`` are the files that were read and those that were looked for but do
    not exist.
    """

    layers: tuple[Layer, ...]
    files: tuple[ConfigFile, ...]


def read_sources() -> SettingSources:
    """Read the environment and the files that apply to the current folder.

    Raises
    ------
    SettingError
        A source cannot be read or contains an invalid setting.
    """
    layers = [environment_layer(os.environ)]
    files: list[ConfigFile] = []
    if not os.environ.get(NO_FILES):
        for file in config_files(os.environ, _current_folder(), _home_folder()):
            if any(file.kind == each.kind for each in files):
                continue  # only the nearest pyproject.toml with a [tool.lexer] table counts
            layer = _layer_of(file)
            if layer is not None:
                layers.append(layer)
            if layer is not None or file.kind != "pyproject.toml":
                files.append(file)
    return SettingSources(layers=tuple(layers), files=tuple(files))


def _layer_of(file: ConfigFile) -> Layer | None:
    if file.exists:
        within = ("tool", "lexer") if file.kind == "pyproject.toml" else ()
        return read_file(file.path, within=within)
    if file.kind != PATH_VARIABLE:
        return None
    note = f"${PATH_VARIABLE} is {file.path.parent}, which contains no {FILE_NAME}"
    return Layer(name=str(file.path), settings={}, notes=(note,))


def _current_folder() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it has been removed
        return None


def _home_folder() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # the user has none, or it cannot be determined
        return None
