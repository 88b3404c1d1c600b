"""Which distributions are installed, and what does their metadata contain?

Importing ``importlib.metadata`` takes a fifth of the time of ``lexer engines list``.
So folders on ``sys.path`` are read directly. ``importlib.metadata`` is imported only
for archives, eggs and custom finders.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import PathFinder
from stat import S_ISREG
from typing import TYPE_CHECKING, NamedTuple

from lexer_core.engines.plugin_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from importlib.metadata import Distribution

__all__ = ["DistributionFacts", "InstalledDistribution", "find_distributions", "normalized"]


class DistributionFacts(NamedTuple):
    """Name, version and required lexer-core of a distribution.

    ``core_requirement`` is a requirement such as ``"lexer-core>=0.3"``, or empty.
    """

    name: str
    version: str
    core_requirement: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


class InstalledDistribution(NamedTuple):
    """A distribution: its normalized name, and a function that reads a metadata file.

    ``location`` is the folder of the metadata, or the archive that contains it, if known.
    """

    key: str
    read_text: Callable[[str], str | None]
    location: str = ""

    def read_facts(self) -> DistributionFacts:
        """Read the headers of the metadata, without the description that follows them."""
        text = self.read_text("METADATA") or self.read_text("PKG-INFO") or ""
        name = version = requirement = ""
        for line in text.splitlines():
            if not line.strip():
                break
            key, _, value = line.partition(":")
            key, value = key.lower(), value.strip()
            if key == "name":
                name = value
            elif key == "version":
                version = value
            elif key == "requires-dist" and _LEXER_CORE.match(value):
                requirement = re.sub(r"[\s()]", "", value.partition(";")[0])
        return DistributionFacts(
            printable(name or self.key), printable(version), printable(requirement)
        )


_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_LARGEST_FILE = 1 << 22

_LEXER_CORE = re.compile(r"lexer[-_.]core(?![\w.-])", re.IGNORECASE)


def find_distributions() -> Mapping[str, InstalledDistribution]:
    """Return every installed distribution, by its normalized name.

    The first one on ``sys.path`` hides others of the same name, as for imports.
    """
    distributions: dict[str, InstalledDistribution] = {}
    for distribution in _all_distributions():
        distributions.setdefault(distribution.key, distribution)
    return distributions


def normalized(name: str) -> str:
    """Return the normalized form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _all_distributions() -> Iterator[InstalledDistribution]:
    finders = (finder for finder in sys.meta_path if finder is not PathFinder)
    if any(hasattr(finder, "find_distributions") for finder in finders):
        yield from _from_importlib(None)
        return
    for entry in dict.fromkeys(sys.path):
        folder = entry or os.curdir
        if folder.endswith(".egg"):
            yield from _from_importlib(entry)
            continue
        try:
            children = os.listdir(folder)  # noqa: PTH208 - a Path for each child takes longer
        except NotADirectoryError:
            if os.path.isfile(folder):  # noqa: PTH113 - an archive, and not a pipe
                yield from _from_importlib(entry)
        except OSError:
            continue  # a missing or unreadable folder contains no distributions
        else:
            yield from _in_folder(folder, children)


def _in_folder(folder: str, children: list[str]) -> Iterator[InstalledDistribution]:
    for child in children:
        # pip renames folders to "~…" before it removes them, and may leave some behind.
        stem, dot, suffix = child.rpartition(".")
        if dot and suffix in ("dist-info", "egg-info") and not stem.startswith("~"):
            metadata = f"{folder}/{child}"
            yield InstalledDistribution(
                normalized(stem.partition("-")[0]), _FolderReader(metadata), metadata
            )


class _FolderReader:
    """Reads the files of one metadata folder."""

    __slots__ = ("folder",)

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> str | None:
        try:
            # Without waiting for the writer of a named pipe.
            descriptor = os.open(f"{self.folder}/{name}", os.O_RDONLY | _NO_WAITING)
            try:
                if not S_ISREG(os.fstat(descriptor).st_mode):
                    return None
                return os.read(descriptor, _LARGEST_FILE).decode("utf-8", "replace")
            finally:
                os.close(descriptor)
        except OSError:
            return None  # most distributions lack most files


def _from_importlib(entry: str | None) -> Iterator[InstalledDistribution]:
    from importlib.metadata import distributions  # on use: slow to import

    for distribution in distributions() if entry is None else distributions(path=[entry]):
        # The metadata of most finders is a folder, which is read as above.
        folder = str(getattr(distribution, "_path", ""))
        if os.path.isdir(folder):  # noqa: PTH112 - as above
            read_text: Callable[[str], str | None] = _FolderReader(folder)
            name = InstalledDistribution("", read_text).read_facts().name
        else:
            read_text, name = _reader(distribution), distribution.metadata["Name"]
        if name:
            yield InstalledDistribution(normalized(name), read_text, folder or entry or "")


def _reader(distribution: Distribution) -> Callable[[str], str | None]:
    def read_text(name: str) -> str | None:
        try:
            return distribution.read_text(name)
        except (OSError, UnicodeDecodeError):
            return None  # treat an unreadable file as missing

    return read_text
