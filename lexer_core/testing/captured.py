"""What do calls print, from Python or from C?"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["captured_output"]


@contextlib.contextmanager
def captured_output() -> Iterator[Any]:
    """Capture both streams, also of code in C; yields a function that returns the text."""
    text = io.StringIO()
    parts: list[str] = []
    with tempfile.TemporaryFile() as file:
        _flush()
        copies = [os.dup(number) for number in (1, 2)]
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield lambda: "".join(parts)
        finally:
            _flush()
            for number, copy in zip((1, 2), copies, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            parts += [text.getvalue(), file.read().decode(errors="replace")]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    if os.name == "posix":
        ctypes.CDLL(None).fflush(None)
