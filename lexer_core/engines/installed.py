"""Which distributions are installed, and what do their metadata say?

``importlib.metadata`` would answer this too, but importing it takes a fifth of
the time of a whole listing. So plain folders on ``sys.path`` are read directly,
and only what else may hold distributions (an archive, an egg, a finder of
somebody's own) is left to it.
"""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from importlib.metadata import Distribution

__all__ = ["DistributionFacts", "InstalledDistribution", "find_distributions", "normalized"]


class DistributionFacts(NamedTuple):
    """What is used of a distribution's headers.

    ``core_requirement`` is what it requires of lexer-core, such as
    ``"lexer-core>=0.3"``; empty when it does not say.
    """

    name: str
    version: str
    core_requirement: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


class InstalledDistribution(NamedTuple):
    """One distribution: its normalized name, and how a file of its metadata is read."""

    key: str
    read_text: Callable[[str], str | None]

    def read_facts(self) -> DistributionFacts:
        """Read the few headers that are needed, without the description behind them."""
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
        return DistributionFacts(name or self.key, version, requirement)


_LEXER_CORE = re.compile(r"lexer[-_.]core(?![\w.-])", re.IGNORECASE)


def find_distributions() -> Mapping[str, InstalledDistribution]:
    """Find every installed distribution, by its normalized name.

    Where one is there several times, the first on ``sys.path`` hides the
    others, as it does for imports.
    """
    found: dict[str, InstalledDistribution] = {}
    for distribution in _everywhere():
        found.setdefault(distribution.key, distribution)
    return found


def normalized(name: str) -> str:
    """Return a distribution's name in the form that all its spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _everywhere() -> Iterator[InstalledDistribution]:
    finders = (finder for finder in sys.meta_path if finder is not PathFinder)
    if any(hasattr(finder, "find_distributions") for finder in finders):
        yield from _by_the_library(None)
        return
    for entry in dict.fromkeys(sys.path):
        folder = entry or os.curdir
        if folder.endswith(".egg"):
            yield from _by_the_library(entry)
            continue
        try:
            children = os.listdir(folder)  # noqa: PTH208 - a Path for each child takes longer
        except NotADirectoryError:
            yield from _by_the_library(entry)
        except OSError:
            continue  # what is not there, or may not be read, holds nothing
        else:
            yield from _in_folder(folder, children)


def _in_folder(folder: str, children: list[str]) -> Iterator[InstalledDistribution]:
    for child in children:
        # pip renames what it is about to remove to "~…", and may leave it behind.
        stem, dot, suffix = child.rpartition(".")
        if dot and suffix in ("dist-info", "egg-info") and not stem.startswith("~"):
            yield InstalledDistribution(
                normalized(stem.partition("-")[0]), _FolderReader(f"{folder}/{child}")
            )


class _FolderReader:
    """Reads the files of one metadata folder."""

    __slots__ = ("folder",)

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> str | None:
        try:
            with open(f"{self.folder}/{name}", "rb") as file:  # noqa: PTH123 - as above
                return file.read().decode("utf-8", "replace")
        except OSError:
            return None  # most distributions lack most files


def _by_the_library(entry: str | None) -> Iterator[InstalledDistribution]:
    from importlib.metadata import distributions  # only here: it takes time to import

    for distribution in distributions() if entry is None else distributions(path=[entry]):
        name = distribution.metadata["Name"]
        if name:
            yield InstalledDistribution(normalized(name), _reader(distribution))


def _reader(distribution: Distribution) -> Callable[[str], str | None]:
    def read_text(name: str) -> str | None:
        try:
            return distribution.read_text(name)
        except (OSError, UnicodeDecodeError):
            return None  # what cannot be read says nothing

    return read_text
