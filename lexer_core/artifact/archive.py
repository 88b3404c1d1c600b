"""How is an untrusted zip read safely?

Before anything is unpacked, every name is checked. No file may unpack to more
than is plausible for the size of the archive, or be written outside the target
folder. Whatever is wrong is an :class:`ArtifactError`.
"""

from __future__ import annotations

import contextlib
import io
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from lexer_core.errors import ArtifactError, LexerError
from lexer_core.validated_data import is_safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MEBIBYTE", "Archive", "Budget", "refuse_damage"]

MEBIBYTE = 2**20

_FREE_BYTES = 256 * MEBIBYTE
_LARGEST_RATIO = 100
"""Deflate reaches 1000 on zeros; samples reach 5, logs and reports 20."""

_MOST_ENTRIES = 100_000
_CHUNK = MEBIBYTE
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1


class Budget:
    """The number of bytes that an archive may unpack to, as a limit on zip bombs.

    Parameters
    ----------
    packed_bytes
        Size of the archive on disk.
    """

    def __init__(self, packed_bytes: int) -> None:
        self._left = self.of(packed_bytes)

    @staticmethod
    def of(packed_bytes: int) -> int:
        """Return the maximum unpacked size of an archive of this size."""
        return _FREE_BYTES + _LARGEST_RATIO * packed_bytes

    def spend(self, count: int, what: str) -> None:
        """Subtract a number of bytes from the budget.

        Raises
        ------
        ArtifactError
            The budget is exceeded.
        """
        if count > self._left:
            raise ArtifactError(
                f"{what} would unpack to {count / MEBIBYTE:.0f} MiB, which is implausible for a "
                "file of this size: it may be a zip bomb."
            )
        self._left -= count


class Archive:
    """A zip whose names have all been checked; a context manager.

    Parameters
    ----------
    source
        A file, or a zip inside another one.
    what
        Its name in errors.
    budget
        Shared with the zip that contains it.

    Raises
    ------
    ArtifactError
        It is not a zip, is damaged, or has unsafe names, links or kinds of
        entries.
    """

    def __init__(self, source: IO[bytes], what: str, budget: Budget) -> None:
        self.what = what
        self._budget = budget
        with refuse_damage(what):
            self._zip = zipfile.ZipFile(source)
            self._entries = self._zip.infolist()
        try:
            self._check()
        except BaseException:
            self._zip.close()
            raise
        self._by_name = {entry.filename: entry for entry in self._entries if not entry.is_dir()}

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *details: object) -> None:
        self._zip.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the files, in order."""
        return tuple(self._by_name)

    def size_of(self, name: str) -> int:
        """Return the declared size of a file."""
        return self._entry(name).file_size

    def is_stored(self, name: str) -> bool:
        """Return whether a file is in the archive without compression."""
        return self._entry(name).compress_type == zipfile.ZIP_STORED

    def read(self, name: str, largest: int) -> bytes:
        """Read a whole file.

        Parameters
        ----------
        name
            Its name.
        largest
            Maximum number of bytes.

        Raises
        ------
        ArtifactError
            It does not exist, is too large, or is damaged.
        """
        return b"".join(self.chunks(name, largest))

    def chunks(self, name: str, largest: int) -> Iterator[bytes]:
        """Read a file in chunks; raises like :meth:`read`."""
        entry = self._entry(name)
        if entry.file_size > largest:
            raise ArtifactError(
                f"{name!r} in {self.what} has {entry.file_size} bytes; the maximum is {largest}."
            )
        self._budget.spend(entry.file_size, f"{name!r} in {self.what}")
        left = entry.file_size
        with refuse_damage(f"{name!r} in {self.what}"), self._zip.open(entry) as file:
            while left > 0:
                # Never more than was declared and subtracted from the budget.
                piece = file.read(min(left, _CHUNK))
                if not piece:
                    raise ArtifactError(f"{name!r} in {self.what} is truncated.")
                left -= len(piece)
                yield piece

    def text(self, name: str, largest: int) -> str:
        """Read a file as UTF-8; raises like :meth:`read`."""
        try:
            return self.read(name, largest).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{name!r} in {self.what} is not valid UTF-8: {error}.") from error

    def inner(self, name: str, largest: int) -> Archive:
        """Open a zip inside this one; it is read into memory."""
        what = f"{name!r} in {self.what}"
        return Archive(io.BytesIO(self.read(name, largest)), what, self._budget)

    def unpack(self, names: Sequence[str], folder: Path) -> tuple[Path, ...]:
        """Write files to an empty folder.

        Parameters
        ----------
        names
            The files. They keep their places towards the first one's folder,
            which becomes ``folder``.
        folder
            Where to.

        Raises
        ------
        ArtifactError
            One of them is not there, or damaged, or not below the first one's
            folder; or they cannot be written.
        """
        root = PurePosixPath(names[0]).parent
        paths = []
        for name in names:
            place = PurePosixPath(name)
            if not place.is_relative_to(root):
                raise ArtifactError(
                    f"{name!r} in {self.what} is not in the folder of {names[0]!r}."
                )
            path = folder / place.relative_to(root)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # "x": never overwrite, or follow, an existing file.
                with path.open("xb") as file:
                    for piece in self.chunks(name, self.size_of(name)):
                        file.write(piece)
            except OSError as error:
                raise ArtifactError(
                    f"{name!r} of {self.what} cannot be unpacked: {error.strerror or error}."
                ) from error
            paths.append(path)
        return tuple(paths)

    def _entry(self, name: str) -> zipfile.ZipInfo:
        try:
            return self._by_name[name]
        except KeyError:
            raise ArtifactError(f"{self.what} does not contain {name!r}.") from None

    def _check(self) -> None:
        if len(self._entries) > _MOST_ENTRIES:
            raise ArtifactError(
                f"{self.what} has {len(self._entries)} files; the maximum is {_MOST_ENTRIES}."
            )
        # In a truncated file, zipfile may find the end of an inner zip.
        if self._entries and min(entry.header_offset for entry in self._entries) > 0:
            raise ArtifactError(
                f"{self.what} is damaged: it is truncated, or has extra data at the start."
            )
        seen = set()
        for entry in self._entries:
            name, mode = entry.filename, entry.external_attr >> 16
            # zipfile truncates names at the first NUL and converts separators.
            if not is_safe_name(name.removesuffix("/")) or entry.orig_filename != name:
                raise ArtifactError(
                    f"{self.what} has a file named {entry.orig_filename!r}, "
                    "which could be written outside the folder."
                )
            if name in seen:
                raise ArtifactError(f"{self.what} contains {name!r} twice.")
            seen.add(name)
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArtifactError(f"{name!r} in {self.what} is a link or special file.")
            if entry.flag_bits & _ENCRYPTED:
                raise ArtifactError(f"{name!r} in {self.what} is encrypted.")
            if entry.compress_type not in _METHODS:
                raise ArtifactError(
                    f"{name!r} in {self.what} uses an unsupported compression method.",
                    hint="Use stored or deflated.",
                )


@contextlib.contextmanager
def refuse_damage(what: str) -> Iterator[None]:
    """Convert errors of zipfile and numpy on damaged data to an :class:`ArtifactError`."""
    try:
        yield
    except LexerError:
        raise
    except Exception as error:
        # Apart from BadZipFile: struct.error, zlib.error, EOFError, OverflowError,
        # NotImplementedError, SyntaxError and more, few of them documented.
        reason = str(error) or type(error).__name__
        raise ArtifactError(f"{what} is damaged: {reason.splitlines()[0]}.") from error
