"""How does standard output hold results alone?

What the user's code, plugins and runtimes print goes to standard error, so that
results can be piped.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["results_alone_on_stdout"]


@contextmanager
def results_alone_on_stdout() -> Iterator[None]:
    """Send what is printed meanwhile to standard error, past Python too."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output
        kept = None
    try:
        if kept is not None:
            with suppress(OSError):  # there is no standard error to send it to
                os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)
