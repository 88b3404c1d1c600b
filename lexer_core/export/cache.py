"""Where are finished exports kept, and for how long?

A folder per export, named by its fingerprint, with the files and a description
in JSON: nothing that is read here runs code. Entries appear by one rename, so
that none is ever half there; a lock keeps processes out of each other's way;
the entry that was not used for the longest time goes first when the limit is
reached.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from lexer_core.errors import CacheError
from lexer_core.export.entry import ENTRY_FILE, Entry, StoredFile, read_entry, write_entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lexer_core.records import ExportedModel

__all__ = ["DEFAULT_MAX_BYTES", "CachedExport", "ExportCache", "default_directory"]

DEFAULT_MAX_BYTES = 5 * 1024**3

_KEY = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = ".unfinished-"
_ABANDONED_SECONDS = 3600.0
_LOCK_SECONDS = 30.0
_CHUNK = 1 << 20

_DAMAGE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError)
"""What a description or file that is missing, cut short or altered raises. A
file that may not be read is not damaged: the cache itself cannot be used."""


def default_directory() -> Path:
    """``$LEXER_CACHE_DIR``, otherwise the user's cache folder for Lexer."""
    named = os.environ.get("LEXER_CACHE_DIR", "")
    return Path(named).expanduser() if named else user_cache_path("lexer", appauthor=False)


@frozen(kw_only=True, eq=False)
class CachedExport:
    """An export that was found, with its files in a folder of the caller's."""

    exported: ExportedModel
    entry: Entry


class ExportCache:
    """Exports by fingerprint, on disk.

    Making one touches nothing; the folder appears with the first entry.

    Parameters
    ----------
    directory
        Where; :func:`default_directory` unless given. Entries lie in its
        subfolder ``exports``.
    max_bytes
        Limit of the sum of all entries.
    """

    def __init__(
        self, directory: Path | None = None, *, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        self.directory = (directory or default_directory()) / "exports"
        self.max_bytes = max_bytes
        self._notes: list[str] = []

    def take_notes(self) -> tuple[str, ...]:
        """What happened to entries since the last time, in words; then forget it."""
        notes = tuple(self._notes)
        self._notes.clear()
        return notes

    def get(self, key: str, workdir: Path) -> CachedExport | None:
        """Put an entry's files into a folder.

        They are linked where the file system can, otherwise copied, so that an
        entry may be removed while somebody works with it. Their digests are
        compared each time: reading a file once costs little beside an export.

        Parameters
        ----------
        key
            A fingerprint.
        workdir
            An existing folder, in which the files get their own names.

        Returns
        -------
        CachedExport or None
            ``None`` where there is none. One that is damaged is removed, with
            a note, and is none.

        Raises
        ------
        CacheError
            The cache or the folder cannot be used.
        """
        folder = self._folder(key)
        if not folder.is_dir():
            return None
        with self._locked():
            try:
                entry = read_entry(folder, key)
                for file in entry.files:
                    _link_or_copy(folder / file.name, workdir / file.name)
                # When it was last used decides what is removed first.
                os.utime(folder / ENTRY_FILE)
            except _DAMAGE as error:
                self._damaged(key, str(error))
                return None
        for file in entry.files:
            if _digest(workdir / file.name) != file.digest:
                for other in entry.files:
                    (workdir / other.name).unlink(missing_ok=True)
                with self._locked():
                    self._damaged(key, f"{file.name} was changed")
                return None
        path = workdir / entry.model_file
        return CachedExport(exported=evolve(entry.exported, path=path), entry=entry)

    def put(self, key: str, exported: ExportedModel, *, seconds: float, model_name: str) -> bool:
        """Keep an export, and remove others where the limit demands it.

        Parameters
        ----------
        key
            Its fingerprint. An entry of that name is replaced.
        exported
            A file; everything in its folder belongs to it.
        seconds
            What it took to make.
        model_name
            What the user calls the model.

        Returns
        -------
        bool
            ``False`` for an export that is no file, or exceeds the limit.

        Raises
        ------
        CacheError
            The cache cannot be written.
        """
        if exported.path is None:
            return False
        source = exported.path.parent
        names = sorted(file.relative_to(source) for file in source.rglob("*") if file.is_file())
        total = sum((source / name).stat().st_size for name in names)
        if total > self.max_bytes:
            self._notes.append(
                f"the export has {total} bytes and the cache's limit is {self.max_bytes}: "
                "it was not kept"
            )
            return False
        with self._locked(make=True):
            unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.directory))
            try:
                files = []
                for name in names:
                    _link_or_copy(source / name, unfinished / name)
                    files.append(
                        StoredFile(
                            name=name.as_posix(),
                            size=(source / name).stat().st_size,
                            digest=_digest(unfinished / name),
                        )
                    )
                entry = Entry(
                    key=key,
                    model_name=model_name,
                    created_at=time.time(),
                    export_seconds=seconds,
                    exported=exported,
                    model_file=exported.path.relative_to(source).as_posix(),
                    files=tuple(files),
                )
                write_entry(unfinished, entry)
                folder = self._folder(key)
                if folder.exists():
                    self._remove(folder)
                unfinished.rename(folder)
            except OSError as error:
                shutil.rmtree(unfinished, ignore_errors=True)
                raise _unusable(self.directory, error) from error
            self._evict(keep=key)
        return True

    def entries(self) -> tuple[Entry, ...]:
        """List all entries, the last used one first; damaged ones are removed.

        Raises
        ------
        CacheError
            The cache cannot be read.
        """
        if not self.directory.is_dir():
            return ()
        with self._locked():
            return tuple(sorted(self._entries(), key=lambda entry: -entry.used_at))

    def discard(self, key: str) -> bool:
        """Remove one entry; says whether it was there."""
        folder = self._folder(key)
        if not folder.is_dir():
            return False
        with self._locked():
            self._remove(folder)
        return True

    def clear(self, *, older_than: float | None = None) -> tuple[Entry, ...]:
        """Remove entries, and what an interrupted process left behind.

        Parameters
        ----------
        older_than
            Only those that were not used for so many seconds.

        Returns
        -------
        tuple of Entry
            What was removed.
        """
        if not self.directory.is_dir():
            return ()
        now = time.time()
        with self._locked():
            removed = [
                entry
                for entry in self._entries()
                if older_than is None or now - entry.used_at > older_than
            ]
            for entry in removed:
                self._remove(self._folder(entry.key))
            self._remove_unfinished(0.0 if older_than is None else older_than)
        return tuple(removed)

    def evict(self) -> None:
        """Remove the entries that were not used for the longest time, down to the limit."""
        if self.directory.is_dir():
            with self._locked():
                self._evict(keep="")

    # -- with the lock held ----------------------------------------------------

    def _entries(self) -> Iterator[Entry]:
        for folder in sorted(self.directory.iterdir()):
            if not _KEY.fullmatch(folder.name):
                continue
            try:
                yield read_entry(folder, folder.name)
            except _DAMAGE as error:
                self._damaged(folder.name, str(error))

    def _evict(self, keep: str) -> None:
        self._remove_unfinished(_ABANDONED_SECONDS)
        entries = sorted(self._entries(), key=lambda entry: (entry.key == keep, entry.used_at))
        total = sum(entry.size_bytes for entry in entries)
        for entry in entries:
            if total <= self.max_bytes or entry.key == keep:
                return
            self._remove(self._folder(entry.key))
            total -= entry.size_bytes

    def _remove_unfinished(self, seconds: float) -> None:
        for folder in self.directory.glob(f"{_UNFINISHED}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime >= seconds:
                    self._remove(folder)

    def _damaged(self, key: str, reason: str) -> None:
        self._notes.append(f"a damaged entry of the export cache was removed ({reason})")
        self._remove(self._folder(key))

    def _remove(self, folder: Path) -> None:
        # First out of sight, then file by file: a process that dies in between
        # leaves no entry with half of its files.
        hidden = folder
        try:
            if not folder.name.startswith(_UNFINISHED):
                hidden = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self.directory)) / "removed"
                folder.rename(hidden)
                hidden = hidden.parent
            shutil.rmtree(hidden)
        except OSError as error:
            raise _unusable(self.directory, error) from error

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a fingerprint")
        return self.directory / key

    @contextlib.contextmanager
    def _locked(self, *, make: bool = False) -> Iterator[None]:
        try:
            if make:
                self.directory.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.directory / ".lock", timeout=_LOCK_SECONDS)
            with lock:
                yield
        except Timeout:
            raise CacheError(
                f"the export cache {self.directory} was locked for {_LOCK_SECONDS:.0f} s.",
                hint="Another process works with it. Set LEXER_CACHE_DIR to use another folder.",
            ) from None
        except OSError as error:
            raise _unusable(self.directory, error) from error


def _unusable(directory: Path, error: OSError) -> CacheError:
    return CacheError(
        f"the export cache {directory} cannot be used: {error.strerror or error}.",
        hint="Set LEXER_CACHE_DIR to a folder that can be written.",
    )


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
