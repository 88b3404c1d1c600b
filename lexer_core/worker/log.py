"""Where does a worker's output go?

To a file, so that the worker never waits for a reader. The file is trimmed when it
grows too long, so that a plugin that prints endlessly does not fill the disk. It has
no name, so it disappears with the process that holds it, however that ends.
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

__all__ = ["WorkerLog"]

_LIMIT_BYTES = 1024 * 1024
_KEPT_BYTES = _LIMIT_BYTES // 4
"""A log longer than the limit is cut down to its end."""

_TAIL_BYTES = 64 * 1024
_CUT_NOTE = re.compile(rb"\A\[\.\.\. (\d+) bytes of output dropped here \.\.\.\]\n")


class WorkerLog:
    """The log of one worker, written by the worker and trimmed by the parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: bytes | None = None
        self._fd = _open_nameless()

    @property
    def fd(self) -> int:
        """The descriptor for the worker to inherit, in append mode."""
        return self._fd

    def trim(self, pause: Callable[[], AbstractContextManager[object]]) -> None:
        """Drop the beginning of a log that is too long, with a note in the log.

        Parameters
        ----------
        pause
            Stops the worker while the end of the log is copied, so that no output
            is lost. Not called if the log is short enough.
        """
        if self._size() > _LIMIT_BYTES:
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
            if size <= _LIMIT_BYTES:  # another thread was faster
                return
            end = _read_at(self._fd, _KEPT_BYTES, size - _KEPT_BYTES)
            head = _CUT_NOTE.match(_read_at(self._fd, 100, 0))
            dropped = size - len(end)
            if head is not None:  # the note about an earlier cut, now dropped
                dropped += int(head.group(1)) - len(head.group(0))
            os.ftruncate(self._fd, 0)
            os.write(self._fd, b"[... %d bytes of output dropped here ...]\n" % dropped + end)

    def tail(self, lines: int | None) -> str:
        """Return the last lines, with encoding errors replaced.

        Parameters
        ----------
        lines
            How many; ``None`` for the last 64 KiB, with a note if there was more.
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
        """Close the file, and keep its end for :meth:`tail`; may be called twice."""
        with self._lock:
            if self._last is None:
                self._last = self._read_end()
                os.close(self._fd)

    def _read_end(self) -> bytes:
        size = os.fstat(self._fd).st_size
        return _read_at(self._fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))


def _open_nameless() -> int:
    import tempfile  # takes 6 ms to import

    with tempfile.TemporaryFile("w+b", buffering=0) as file:
        fd = os.dup(file.fileno())
    if sys.platform != "win32":
        import fcntl  # POSIX only

        # Writers append at the current end, also after the log was cut.
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_APPEND)
    return fd


def _read_at(fd: int, count: int, offset: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(fd, count, offset)
    # Windows has no pread, and the worker writes at this descriptor's position.
    os.lseek(fd, offset, os.SEEK_SET)
    data = os.read(fd, count)
    os.lseek(fd, 0, os.SEEK_END)
    return data
