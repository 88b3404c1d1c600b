"""Which distributions claim which engine names?

From metadata alone: nothing is imported, and only files that mention an engine
are parsed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lexer_core.hookspecs import ENTRY_POINT_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lexer_core.engines.installed import DistributionFacts, InstalledDistribution

__all__ = ["EngineEntryPoint", "find_entry_points"]


class EngineEntryPoint(NamedTuple):
    """A distribution's statement that it provides an engine.

    ``group`` is the entry-point group, and so the contract that the engine was
    written for; ``value`` is the entry point's value, a module.
    """

    name: str
    group: str
    value: str
    distribution: DistributionFacts


def find_entry_points(
    installed: Mapping[str, InstalledDistribution],
) -> tuple[EngineEntryPoint, ...]:
    """Find every engine that a distribution claims to provide, by name.

    Groups of other contracts are included, unless the same distribution
    provides the engine for this contract too. Several distributions may claim
    one name.
    """
    claims: list[EngineEntryPoint] = []
    for distribution in installed.values():
        text = distribution.read_text("entry_points.txt")
        if text is None or ENTRY_POINT_GROUP not in text:
            continue
        facts = distribution.read_facts()
        entries = [entry for entry in _entries(text) if entry[0].startswith(ENTRY_POINT_GROUP)]
        current = {name for group, name, _ in entries if group == ENTRY_POINT_GROUP}
        claims.extend(
            EngineEntryPoint(name, group, value, facts)
            for group, name, value in entries
            if group == ENTRY_POINT_GROUP or name not in current
        )
    return tuple(sorted(claims))


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield group, name and value of each entry point."""
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif line and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if equals:
                yield group, name.strip(), value.strip()
