"""Where does what a worker prints go?

To a file, so that nobody has to drain it and the worker never waits; one that
is cut when it grows too long, so that a plugin that prints without end does not
fill the disk. The file has no name unless one is asked for: it is gone with the
process that holds it, however that ends.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

__all__ = ["LOG_LIMIT_BYTES", "WorkerLog"]

LOG_LIMIT_BYTES = 1024 * 1024
"""A log longer than this is cut down to its last quarter."""

_TAIL_BYTES = 64 * 1024
_CUT_NOTE = re.compile(rb"\A\[\.\.\. (\d+) bytes of output dropped here \.\.\.\]\n")


class WorkerLog:
    """The log of one worker, written by the worker and looked after by the parent.

    Parameters
    ----------
    path
        A file to append to, kept afterwards; ``None`` for one without a name.
    limit_bytes
        Length from which on the beginning is dropped.
    """

    def __init__(self, path: Path | None = None, *, limit_bytes: int = LOG_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._last: bytes | None = None
        self._fd = _open_nameless() if path is None else _open_named(path)

    @property
    def fd(self) -> int:
        """The descriptor to give to the worker, in append mode."""
        return self._fd

    def trim(self, pause: Callable[[], AbstractContextManager[object]]) -> None:
        """Drop the beginning of a log that has grown too long; says so in the log.

        Parameters
        ----------
        pause
            Makes the worker stand still while the end is copied, so that its
            last words are not lost. Not called for a log that is short enough.
        """
        if self._size() > self._limit:
            with pause():
                self._cut()

    def _size(self) -> int:
        with self._lock:
            return 0 if self._last is not None else os.fstat(self._fd).st_size

    def _cut(self) -> None:
        with self._lock:
            if self._last is not None:
                return
            size = os.fstat(self._fd).st_size
            if size <= self._limit:  # another thread was faster
                return
            end = _read_at(self._fd, self._limit // 4, size - self._limit // 4)
            head = _CUT_NOTE.match(_read_at(self._fd, 100, 0))
            dropped = size - len(end)
            if head is not None:  # an earlier cut, whose note goes now
                dropped += int(head.group(1)) - len(head.group(0))
            os.ftruncate(self._fd, 0)
            os.write(self._fd, b"[... %d bytes of output dropped here ...]\n" % dropped + end)

    def tail(self, lines: int | None) -> str:
        """Return the last lines; the file's own encoding errors are replaced.

        Parameters
        ----------
        lines
            How many; ``None`` for the last 64 KiB, with a note where there was more.
        """
        with self._lock:
            data = self._last if self._last is not None else self._read_end()
        text = data.decode("utf-8", "replace").rstrip()
        if lines is not None:
            return "\n".join(text.splitlines()[-lines:])
        if len(data) < _TAIL_BYTES:
            return text
        whole_lines = text.partition("\n")[2] or text
        return f"[... earlier output dropped here ...]\n{whole_lines}"

    def close(self) -> None:
        """Close the file, keeping its end for :meth:`tail`; may be called twice."""
        with self._lock:
            if self._last is None:
                self._last = self._read_end()
                os.close(self._fd)

    def _read_end(self) -> bytes:
        size = os.fstat(self._fd).st_size
        return _read_at(self._fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))


def _open_named(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)


def _open_nameless() -> int:
    import tempfile  # 6 ms that are not needed to import this module

    with tempfile.TemporaryFile("w+b", buffering=0) as file:
        fd = os.dup(file.fileno())
    if sys.platform != "win32":
        import fcntl  # POSIX only

        # Writers append wherever the end is, also after the log was cut.
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def _read_at(fd: int, count: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, count, offset)
    # Windows has no pread, and the worker writes where this pointer stands.
    os.lseek(fd, offset, os.SEEK_SET)
    data = os.read(fd, count)
    os.lseek(fd, 0, os.SEEK_END)
    return data
