"""Where are temporary files, and who removes them?

All temporary files of a process and of the workers it starts are in one folder,
``lexer-…`` in the system's temporary folder. The folder goes when the last part of it
does, or with the process. It contains a file that the process keeps locked for as
long as it lives, so that another process can tell a folder that a killed process left
behind from one that is in use: the former is removed by the next process of the same
user that needs a folder.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from lexer_core.errors import TemporaryFolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "TemporaryFolder",
    "private_temporary_files",
    "remove_all",
    "remove_folder_of_dead_process",
]

_PREFIX = "lexer-"
_NAME = re.compile(r"lexer-[a-z0-9_]{8}")
_LOCK_FILE = "lock"
_LOCK_TRIES = 5


class TemporaryFolder:
    """A folder that is removed with the last reference to this object, at the latest.

    A copy is the same folder. An unpickled object has the path but does not remove
    the folder, and neither does a forked process.

    Parameters
    ----------
    purpose
        The beginning of its name.

    Raises
    ------
    TemporaryFolderError
        It cannot be created.
    """

    _finalizer: Callable[[], object] | None = None

    def __init__(self, purpose: str) -> None:
        try:
            self.path = _homes.new_part(purpose)
        except OSError as error:
            raise TemporaryFolderError(
                f"cannot create a temporary folder: {error.strerror or error}"
                f"{f': {error.filename!r}' if error.filename else ''}.",
                hint="Free some space there, or set TMPDIR to a writable folder.",
            ) from error
        self._finalizer = weakref.finalize(self, _homes.remove_part, self.path, os.getpid())

    def remove(self) -> None:
        """Remove the folder and everything in it; may be called twice."""
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *error: object) -> None:
        self.remove()

    def __copy__(self) -> TemporaryFolder:
        return self

    def __deepcopy__(self, memo: object) -> TemporaryFolder:
        return self

    def __getstate__(self) -> dict[str, object]:
        return {"path": self.path}


@define
class _Home:
    """The folder of this process, and the parts of it that exist."""

    path: Path
    lock: int
    parts: set[Path] = field(factory=set)
    created: int = 0


class _Homes:
    """Creates and removes the folder of this process."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """Forget the parent's folder."""
        home: _Home | None = getattr(self, "_home", None)
        if home is not None:
            # The parent's lock must not last as long as this process does.
            os.close(home.lock)
        # Reentrant, because the garbage collector may remove a part at any time.
        self._guard = threading.RLock()
        self._home: _Home | None = None

    def new_part(self, purpose: str) -> Path:
        with self._guard:
            home = self._home
            if home is None or not home.path.is_dir():  # somebody removed it
                self._leave()
                home = self._home = _new_home()
            while True:
                home.created += 1
                part = home.path / f"{purpose}{home.created}"
                try:
                    part.mkdir(mode=0o700)
                except FileExistsError:
                    continue
                home.parts.add(part)
                return part

    def remove_part(self, part: Path, owner: int) -> None:
        if owner != os.getpid():
            return
        shutil.rmtree(part, ignore_errors=True)
        with self._guard:
            home = self._home
            if home is not None and part in home.parts:
                home.parts.discard(part)
                if not home.parts:
                    self._leave()

    def remove_all(self) -> None:
        with self._guard:
            self._leave()

    def _leave(self) -> None:
        home, self._home = self._home, None
        if home is not None:
            _remove(home.path, home.lock)


_homes = _Homes()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_homes.after_fork)


@contextlib.contextmanager
def private_temporary_files() -> Iterator[None]:
    """Let all temporary files of this process go with the ``with`` block.

    That includes those of libraries and of programs that it starts. Not for the
    process of a user's program, whose files may have to last.
    """
    with TemporaryFolder("tmp") as folder:
        before = tempfile.tempdir
        variables = {name: os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")}
        tempfile.tempdir = str(folder)
        os.environ.update(dict.fromkeys(variables, str(folder)))
        try:
            yield
        finally:
            tempfile.tempdir = before
            for name, value in variables.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def remove_all() -> None:
    """Remove the folder of this process, which is about to end."""
    _homes.remove_all()


def remove_folder_of_dead_process(folder: Path) -> bool:
    """Remove the folder of a process that has ended, and return whether it was that.

    Nothing is removed that another user owns, or that is locked.
    """
    try:
        if not _is_own_folder(folder):
            return False
        lock = os.open(folder / _LOCK_FILE, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    except OSError:  # removed by another process meanwhile, or not one of Lexer's
        return False
    try:
        _lock(lock)
    except OSError:  # in use, or on a file system that cannot tell
        os.close(lock)
        return False
    _remove(folder, lock)
    return True


def _new_home() -> _Home:
    parent = Path(tempfile.gettempdir())
    _remove_dead(parent)
    for _ in range(_LOCK_TRIES):
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # see below
            lock = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            # Where locks are not supported, others cannot get this one either.
            with contextlib.suppress(OSError):
                _lock(lock)
            os.write(lock, b"%d\n" % os.getpid())
            if path.is_dir():
                return _Home(path=path, lock=lock)
            os.close(lock)
        # Another process took it for a dead one before it was locked.
    raise FileNotFoundError(2, "it disappears as soon as it is created", str(parent))


def _remove_dead(parent: Path) -> None:
    """Remove what killed processes left behind."""
    try:
        found = [path for path in parent.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:  # not readable: it cannot be known
        return
    for path in found:
        remove_folder_of_dead_process(path)


def _is_own_folder(folder: Path) -> bool:
    status = folder.lstat()
    is_own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return is_own and stat.S_ISDIR(status.st_mode)


def _remove(folder: Path, lock: int) -> None:
    """Remove a folder, its lock last: what cannot be removed now is left to others."""
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != _LOCK_FILE:
                path.unlink(missing_ok=True)
    os.close(lock)
    with contextlib.suppress(OSError):
        if [path.name for path in folder.iterdir()] == [_LOCK_FILE]:
            (folder / _LOCK_FILE).unlink()
            folder.rmdir()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
