"""What keeps the output of an exporter out of the caller's output?

PyTorch prints whole graphs when it cannot trace a model, some of them from C++.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["captured_output"]

_LOGGER = logging.getLogger(__name__)


@contextlib.contextmanager
def captured_output() -> Iterator[None]:
    """Redirect what is printed to Python's logging, at level DEBUG.

    That is standard output, also of code outside Python, and Python's standard
    error. Descriptor 2 stays, because a progress display may be writing to it.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as file:
        with (
            _descriptor_to(1, file.fileno()),
            contextlib.redirect_stdout(file),
            contextlib.redirect_stderr(file),
        ):
            try:
                yield
            finally:
                file.flush()
        file.seek(0, os.SEEK_SET)
        printed = file.read().strip()
    if printed:
        _LOGGER.debug("the exporter printed:\n%s", printed)


@contextlib.contextmanager
def _descriptor_to(fd: int, target: int) -> Iterator[None]:
    with contextlib.suppress(AttributeError, ValueError):  # closed, or None
        sys.stdout.flush()
    try:
        saved = os.dup(fd)
    except OSError:  # closed, so nothing can be printed to it
        yield
        return
    try:
        os.dup2(target, fd)
        yield
    finally:
        os.dup2(saved, fd)
        os.close(saved)
