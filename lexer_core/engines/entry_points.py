"""Which distributions provide which engines?

Only metadata is read, and only of distributions with an engine; nothing is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lexer_core.hookspecs import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.engines.installed import DistributionFacts, InstalledDistribution

__all__ = ["EngineEntryPoint", "find_entry_points", "top_level"]


class EngineEntryPoint(NamedTuple):
    """An entry point that provides an engine.

    ``group`` is the entry-point group, which stands for the contract that the engine
    was written for. ``value`` names the plugin's module. ``location`` is the folder or
    archive of the distribution's metadata, if known.
    """

    name: str
    group: str
    value: str
    distribution: DistributionFacts
    location: str = ""


def top_level(value: str) -> str:
    """Return the top-level module that the value of an entry point names."""
    return value.partition(":")[0].partition(".")[0].strip()


def find_entry_points(
    installed: Mapping[str, InstalledDistribution],
) -> tuple[EngineEntryPoint, ...]:
    """Return the entry points of all engines, sorted by name.

    Entry points for other contracts are included, unless the same distribution also
    provides the engine for this contract. Several distributions may provide
    the same name.
    """
    entry_points: list[EngineEntryPoint] = []
    for distribution in installed.values():
        text = distribution.read_text("entry_points.txt")
        if text is None or ENTRY_POINT_GROUP not in text:
            continue
        facts = distribution.read_facts()
        entries = [entry for entry in _entries(text) if entry[0].startswith(ENTRY_POINT_GROUP)]
        current = {name for group, name, _ in entries if group == ENTRY_POINT_GROUP}
        entry_points.extend(
            EngineEntryPoint(name, group, value, facts, distribution.location)
            for group, name, value in entries
            if group == ENTRY_POINT_GROUP or name not in current
        )
    return tuple(sorted(entry_points))


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield group, name and value of each entry point in ``entry_points.txt``."""
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if equals:
                yield group, name.strip(), value.strip()
