"""How does standard output stay free for results, and what if it cannot be written?

Whatever the user's code, plugins and runtimes print goes to standard error, so
that results can be piped. Standard output that is full is an error. What cannot be
written to standard error is lost.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

from lexer_core.errors import StandardOutputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import ReadableBuffer

__all__ = ["discard_stdout", "open_standard_streams", "stdout_to_stderr"]


class _Stdout(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:  # not an error: the reader has what it wanted
            raise
        except OSError as error:
            raise StandardOutputError(
                f"cannot write to standard output: {error.strerror}.",
                hint="Redirect it to a file with enough space, or name a file with -o.",
            ) from error


class _Stderr(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:  # there is nowhere to report it
            return memoryview(data).nbytes


def open_standard_streams() -> None:
    """Make standard streams usable that are closed or full.

    A closed descriptor is opened on the null device, or the next file that is opened
    would get its number, and output would be written to it.
    """
    if os.name != "posix":  # there, the streams of a console are not files
        return
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115  stays open
    sys.stdout = _opened(_Stdout(1, "w", closefd=False), sys.stdout)
    sys.stderr = _opened(_Stderr(2, "w", closefd=False), sys.stderr)


def _opened(file: io.FileIO, before: object) -> io.TextIOWrapper:
    """Return a text stream on a file, like an earlier one, which may be ``None``."""
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=getattr(before, "encoding", None),
        errors=getattr(before, "errors", None),
        line_buffering=getattr(before, "line_buffering", False),
    )


def discard_stdout() -> None:
    """Discard what is still buffered, so that Python exits quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Redirect standard output to standard error, also for code outside Python."""
    sys.stdout.flush()
    try:
        saved = os.dup(1)
    except OSError:  # standard output is closed
        saved = None
    try:
        if saved is not None:
            with suppress(OSError):  # standard error is closed
                os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)
