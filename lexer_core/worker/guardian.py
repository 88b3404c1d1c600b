"""Who cleans up after a process that was killed?

A process that has workers also has a guardian: another process that waits until the
first one ends, however that happens, and then ends what its workers had started and
removes its temporary folder. Until then it sleeps, a bare interpreter in a session of
its own, where neither Ctrl-C nor the end of a terminal reaches it. It goes with the
last worker.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lexer_core.temporary_folders import remove_folder_of_dead_process
from lexer_core.worker.leftovers import MARK, end_marked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

__all__ = ["Guardian", "guarded", "guardian_of", "main"]

_MODULE = "lexer_core.worker.guardian"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]
_WAIT = "import os, sys; os.read(0, 1); os.execv(sys.argv[1], sys.argv[1:])"


class Guardian:
    """The guardian of this process; ends with the last reference to it.

    Parameters
    ----------
    folder
        The temporary folder of this process, with which the marks of its workers begin.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        paths = (str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH"))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment.pop(MARK, None)  # of a worker that this process runs in
        clean_up = [sys.executable, "-P", "-m", _MODULE, str(folder)]
        process = subprocess.Popen(  # noqa: S603  an interpreter and a module of Lexer's
            [sys.executable, "-I", "-S", "-c", _WAIT, *clean_up],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(os.sep).absolute(),
            start_new_session=True,
        )
        assert process.stdin is not None
        _pipes.add(process.stdin)
        self._finalizer = weakref.finalize(self, _end, process, process.stdin, os.getpid())


def guardian_of(folder: Path) -> Guardian | None:
    """Return the guardian of this process's folder; ``None`` if it cannot be started."""
    with _lock:
        guardian = _guardians.get(folder)
        if guardian is None:
            try:
                guardian = _guardians[folder] = Guardian(folder)
            except OSError:
                # Too many files or processes: what needs one more will say so. The
                # next process of Lexer then removes the folder if this one is killed.
                return None
        return guardian


@contextmanager
def guarded(part: Path) -> Iterator[None]:
    """Have a guardian during the ``with`` block, in which temporary files are written.

    Parameters
    ----------
    part
        A :class:`~lexer_core.temporary_folders.TemporaryFolder`.
    """
    guardian = guardian_of(part.parent)
    try:
        yield
    finally:
        del guardian


_lock = threading.Lock()
_guardians: weakref.WeakValueDictionary[Path, Guardian] = weakref.WeakValueDictionary()
_pipes: weakref.WeakSet[IO[bytes]] = weakref.WeakSet()


def _end(process: subprocess.Popen[bytes], pipe: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:
        process.kill()
        process.wait()
        pipe.close()


def _after_fork() -> None:
    """Close the forked process's end, so that the guardian notices the parent's exit."""
    global _lock, _guardians  # noqa: PLW0603
    for pipe in list(_pipes):
        pipe.close()
    _lock = threading.Lock()
    _guardians = weakref.WeakValueDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def main(folder: Path) -> None:
    """Clean up after the process that a temporary folder belonged to."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    end_marked(str(folder))
    remove_folder_of_dead_process(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
