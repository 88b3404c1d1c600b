"""Where in a plugin was an exception raised?"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import pluggy

__all__ = ["exception_location"]

_OWN_FOLDERS = tuple(
    str(folder) + os.sep
    for folder in (
        Path(__file__).parent,
        Path(pluggy.__file__).parent,
        Path(metadata.__file__).parents[1],
    )
)


def exception_location(error: BaseException) -> str:
    """Return ``"FILE, line N"`` of the innermost frame in the plugin's code, or ``""``."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    location = ""
    entry = error.__traceback__
    while entry is not None:
        file = entry.tb_frame.f_code.co_filename
        if not file.startswith(("<", *_OWN_FOLDERS)):
            location = f"{file}, line {entry.tb_lineno}"
        entry = entry.tb_next
    return location
