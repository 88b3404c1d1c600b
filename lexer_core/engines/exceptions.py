"""What did an exception say, in one line, and where?"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

import pluggy

__all__ = ["exception_location", "exception_summary"]

_PASSED_THROUGH = tuple(
    str(folder) + os.sep
    for folder in (
        Path(__file__).parent,
        Path(pluggy.__file__).parent,
        Path(metadata.__file__).parents[1],
    )
)


def exception_summary(error: BaseException) -> str:
    """Return the exception's type and the first line of what it says."""
    lines = str(error).strip().splitlines()
    name = type(error).__name__
    return f"{name}: {lines[0]}" if lines else name


def exception_location(error: BaseException) -> str:
    """Return ``"file, line n"`` for the last line of foreign code, or ``""``."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    place = ""
    entry = error.__traceback__
    while entry is not None:
        file = entry.tb_frame.f_code.co_filename
        if not file.startswith(("<", *_PASSED_THROUGH)):
            place = f"{file}, line {entry.tb_lineno}"
        entry = entry.tb_next
    return place
