"""How is a zip read that a stranger may have made?

Nothing is unpacked before every name in it was seen to be harmless, nothing
larger than a file of that size may hold, and nothing outside of the folder that
it is meant for. Whatever is wrong is an :class:`ArtifactError`.
"""

from __future__ import annotations

import contextlib
import io
import re
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from lexer_core.errors import ArtifactError, LexerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["MEBIBYTE", "Archive", "Budget", "is_safe_name", "refuse_damage"]

MEBIBYTE = 2**20

_FREE_BYTES = 256 * MEBIBYTE
_LARGEST_RATIO = 100
"""Deflate reaches 1000 with zeros. Samples reach 5, logs and reports 20."""

_MOST_ENTRIES = 100_000
_CHUNK = MEBIBYTE
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_UNSAFE = re.compile(r'[\x00-\x1f\\:*?"<>|\x7f]')


def is_safe_name(name: str) -> bool:
    """Tell whether a file of that name stays below its folder on every system."""
    return (
        not _UNSAFE.search(name)
        # Also no "." and "..", and nothing that Windows would make another name of.
        and all(part and part == part.rstrip(" .") for part in name.split("/"))
    )


class Budget:
    """How many bytes a file may become: enough for any benchmark, not for a bomb.

    Parameters
    ----------
    packed_bytes
        Size of the file on disk.
    """

    def __init__(self, packed_bytes: int) -> None:
        self._left = self.of(packed_bytes)

    @staticmethod
    def of(packed_bytes: int) -> int:
        """Give the most bytes that a file of this size may become."""
        return _FREE_BYTES + _LARGEST_RATIO * packed_bytes

    def spend(self, count: int, what: str) -> None:
        """Take so many bytes.

        Raises
        ------
        ArtifactError
            There are not so many left.
        """
        if count > self._left:
            raise ArtifactError(
                f"{what} would become {count / MEBIBYTE:.0f} MiB, more than a benchmark of this "
                "size can hold: it was made to fill the memory."
            )
        self._left -= count


class Archive:
    """A zip whose names are all harmless; a context manager.

    Parameters
    ----------
    source
        A file, or a zip within another one.
    what
        What errors call it.
    budget
        Shared with the zip that it lies in.

    Raises
    ------
    ArtifactError
        It is not a zip, is damaged, or holds names, links or kinds of entries
        that no benchmark has.
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
        """The names of the files, in their order."""
        return tuple(self._by_name)

    def size_of(self, name: str) -> int:
        """Give the size of a file, as it is declared."""
        return self._entry(name).file_size

    def read(self, name: str, largest: int) -> bytes:
        """Read a whole file.

        Parameters
        ----------
        name
            Its name.
        largest
            Bytes that it may have at the most.

        Raises
        ------
        ArtifactError
            There is none of that name, or it is too large, or damaged.
        """
        return b"".join(self.chunks(name, largest))

    def chunks(self, name: str, largest: int) -> Iterator[bytes]:
        """Read a file piece by piece; raises like :meth:`read`, and then as a whole."""
        entry = self._entry(name)
        if entry.file_size > largest:
            raise ArtifactError(
                f"{name!r} in {self.what} has {entry.file_size} bytes; "
                f"at most {largest} are possible."
            )
        self._budget.spend(entry.file_size, f"{name!r} in {self.what}")
        left = entry.file_size
        with refuse_damage(f"{name!r} in {self.what}"), self._zip.open(entry) as file:
            while left > 0:
                # Never more than was declared and paid for, whatever is there.
                piece = file.read(min(left, _CHUNK))
                if not piece:
                    raise ArtifactError(f"{name!r} in {self.what} is cut short.")
                left -= len(piece)
                yield piece

    def text(self, name: str, largest: int) -> str:
        """Read a file as UTF-8; raises like :meth:`read`."""
        try:
            return self.read(name, largest).decode("utf-8")
        except UnicodeDecodeError as error:
            raise ArtifactError(f"{name!r} in {self.what} is not UTF-8: {error}.") from error

    def inner(self, name: str, largest: int) -> Archive:
        """Open a zip that lies in this one; it is read into memory."""
        what = f"{name!r} in {self.what}"
        return Archive(io.BytesIO(self.read(name, largest)), what, self._budget)

    def unpack(self, names: Sequence[str], folder: Path) -> tuple[Path, ...]:
        """Write files to a folder of the caller's, in which nothing is yet.

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
                raise ArtifactError(f"{name!r} in {self.what} does not lie beside {names[0]!r}.")
            path = folder / place.relative_to(root)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                # "x": never over, or through, something that is there.
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
            raise ArtifactError(f"{self.what} lacks {name!r}.") from None

    def _check(self) -> None:
        if len(self._entries) > _MOST_ENTRIES:
            raise ArtifactError(f"{self.what} holds {len(self._entries)} files.")
        # Of a file that was cut short, zipfile may find the end of a zip within it.
        if self._entries and min(entry.header_offset for entry in self._entries) > 0:
            raise ArtifactError(f"{self.what} is damaged: it was cut short, or begins with more.")
        seen = set()
        for entry in self._entries:
            name, mode = entry.filename, entry.external_attr >> 16
            # zipfile cuts a name at its first NUL, and turns the system's separators.
            if not is_safe_name(name.removesuffix("/")) or entry.orig_filename != name:
                raise ArtifactError(
                    f"{self.what} holds a file called {entry.orig_filename!r}, "
                    "which could be written outside of its folder."
                )
            if name in seen:
                raise ArtifactError(f"{self.what} holds {name!r} twice.")
            seen.add(name)
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArtifactError(f"{name!r} in {self.what} is a link or no file at all.")
            if entry.flag_bits & _ENCRYPTED:
                raise ArtifactError(f"{name!r} in {self.what} is encrypted.")
            if entry.compress_type not in _METHODS:
                raise ArtifactError(
                    f"{name!r} in {self.what} is packed by a method that Lexer does not read.",
                    hint="Pack it as stored or deflated.",
                )


@contextlib.contextmanager
def refuse_damage(what: str) -> Iterator[None]:
    """Turn what zipfile and numpy raise on damaged data into an :class:`ArtifactError`."""
    try:
        yield
    except LexerError:
        raise
    except Exception as error:
        # Beside BadZipFile: struct.error, zlib.error, EOFError, OverflowError, NotImplementedError,
        # SyntaxError and more, few of them documented.
        reason = str(error) or type(error).__name__
        raise ArtifactError(f"{what} is damaged: {reason.splitlines()[0]}.") from error
