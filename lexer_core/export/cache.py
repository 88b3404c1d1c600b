"""Where are exports cached, and for how long?

Each export has a folder, named after its fingerprint, with its files and a JSON
description; reading it never runs code. An entry appears by a rename, so it is
always complete. A lock serialises access by several processes. When the size
limit is exceeded, the least recently used entries are removed.
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

from lexer_core.cache_folder import default_directory
from lexer_core.errors import CacheError
from lexer_core.export.entry import ENTRY_FILE, Entry, StoredFile, read_entry, write_entry
from lexer_core.export.known_traces import KnownTraces

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
"""Raised for a description or file that is missing, truncated or changed. A file
without read permission is not damaged: then the cache cannot be used at all."""


@frozen(kw_only=True, eq=False)
class CachedExport:
    """An export from the cache, with its files in the caller's folder."""

    exported: ExportedModel
    entry: Entry


class ExportCache:
    """Exports by fingerprint, on disk.

    The folder is created with the first entry.

    Parameters
    ----------
    directory
        The cache folder; entries are in its subfolder ``exports``, and what is known of
        earlier traces in ``traces``. Default: :func:`default_directory`.
    max_bytes
        Limit for the total size of all entries.
    """

    def __init__(
        self, directory: Path | None = None, *, max_bytes: int = DEFAULT_MAX_BYTES
    ) -> None:
        directory = directory or default_directory()
        self.directory = directory / "exports"
        self.traces = KnownTraces(directory / "traces")
        self.max_bytes = max_bytes
        self._notes: list[str] = []

    def take_notes(self) -> tuple[str, ...]:
        """Return the notes about entries since the last call, and clear them."""
        notes = tuple(self._notes)
        self._notes.clear()
        return notes

    def get(self, key: str, workdir: Path) -> CachedExport | None:
        """Put an entry's files in a folder.

        They are linked if the file system supports it, otherwise copied, so
        that an entry can be removed while it is in use. Their digests are
        compared each time: reading a file is cheap compared to an export.

        Parameters
        ----------
        key
            A fingerprint.
        workdir
            An existing folder; the files keep their names.

        Returns
        -------
        CachedExport or None
            ``None`` if there is no such entry. A damaged entry is removed and
            noted, and counts as missing.

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
                # The least recently used entry is removed first.
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
        """Add an export, and remove others if the limit is exceeded.

        Parameters
        ----------
        key
            Its fingerprint. An existing entry is replaced.
        exported
            An exported file; everything in its folder belongs to it.
        seconds
            How long the export took.
        model_name
            The user's name for the model.

        Returns
        -------
        bool
            ``False`` for an export that is not a file or exceeds the limit.

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
                f"the export was not cached: it has {total} bytes, and the cache's limit is "
                f"{self.max_bytes}"
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
        """Return all entries, most recently used first; damaged entries are removed.

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
        """Remove an entry; return whether it existed."""
        folder = self._folder(key)
        if not folder.is_dir():
            return False
        with self._locked():
            self._remove(folder)
        return True

    def mark_wrong(self, key: str) -> None:
        """Note that a new export gave wrong outputs; no effect if the entry does not exist."""
        folder = self._folder(key)
        if not folder.is_dir():
            return
        with self._locked():
            try:
                write_entry(folder, evolve(read_entry(folder, key), known_wrong=True))
            except _DAMAGE as error:
                self._damaged(key, str(error))

    def clear(self, *, older_than: float | None = None) -> tuple[Entry, ...]:
        """Remove entries, and files that an interrupted process left behind.

        Parameters
        ----------
        older_than
            Remove only entries that were not used for this many seconds.

        Returns
        -------
        tuple of Entry
            The removed entries.
        """
        self.traces.clear(older_than=older_than)
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
        # Renamed first, so that a process that dies while it removes the files
        # does not leave an incomplete entry.
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
                f"the export cache {self.directory} was locked by another process for "
                f"{_LOCK_SECONDS:.0f} s.",
                hint="Wait for that process, or set LEXER_CACHE_DIR to use another folder.",
            ) from None
        except OSError as error:
            raise _unusable(self.directory, error) from error


def _unusable(directory: Path, error: OSError) -> CacheError:
    return CacheError(
        f"the export cache {directory} cannot be used: {error.strerror or error}.",
        hint="Set LEXER_CACHE_DIR to a writable folder.",
    )


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without hard links
        shutil.copyfile(source, target)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=32)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
