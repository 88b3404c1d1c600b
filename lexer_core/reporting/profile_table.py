"""Which modules are compared in the profiles of several engines, and in which order?

Modules are cut off at a depth, and small ones are put together, the same for every engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.results import BenchmarkResult, ProfilePart

__all__ = ["ProfileLine", "ProfileTable", "operator_shares", "profile_table"]

_LARGE = 0.5
_SEVERAL = 3
_SMALL = 0.01
_MOST_LINES = 24


@frozen(kw_only=True)
class ProfileLine:
    """What one module costs in each engine.

    Parameters
    ----------
    module
        The module's path; ``""`` is the model itself; ``None``: it is not known, or there
        are several, as in the line of all small modules.
    name
        What the line is called.
    shares
        The share of the time of a call by the row's label, 0 to 1; only of the rows that
        spend time there.
    """

    module: str | None
    name: str
    shares: Mapping[str, float] = field(factory=dict)

    @property
    def largest(self) -> float:
        """The largest share."""
        return max(self.shares.values(), default=0.0)


@frozen(kw_only=True)
class ProfileTable:
    """The modules of one model, and the rows whose time is known by module.

    Parameters
    ----------
    rows
        The rows of the report, in its order.
    lines
        One for each module in the order in which they are first executed, then small
        modules, the model itself, and what could not be attributed.
    depth
        How many names of a path are shown.
    """

    rows: tuple[BenchmarkResult, ...]
    lines: tuple[ProfileLine, ...]
    depth: int


def profile_table(rows: Sequence[BenchmarkResult], depth: int | None = None) -> ProfileTable | None:
    """Return the modules of the rows of one model; ``None`` if none is known by module.

    Parameters
    ----------
    rows
        Rows of the report.
    depth
        How many names of a path to show: with 2, ``blocks.3.attn`` is a part of
        ``blocks.3``. Default: as few as show where most of the time goes.
    """
    known = tuple(
        row for row in rows if row.profile is not None and row.profile.status == "modules"
    )
    if not known:
        return None
    parts = {row.label: row.profile.parts for row in known if row.profile is not None}
    depth = _suitable_depth(parts) if depth is None else depth
    return ProfileTable(rows=known, lines=tuple(_lines(parts, depth)), depth=depth)


def operator_shares(parts: Iterable[ProfilePart]) -> list[tuple[str, float]]:
    """Return the share of each type of operator, the largest first."""
    shares: dict[str, float] = {}
    for part in parts:
        shares[part.operator] = shares.get(part.operator, 0.0) + part.share
    return sorted(shares.items(), key=lambda each: each[1], reverse=True)


def _suitable_depth(parts: Mapping[str, Sequence[ProfilePart]]) -> int:
    """Return the smallest depth at which no module that has parts is most of the time.

    If several modules are shown, leaves are not: engines fuse different ones, so that times
    are compared best by block.
    """
    paths = {part.module for each in parts.values() for part in each if part.module}
    deepest = max(map(_depth, paths), default=1)
    for depth in range(1, deepest):
        if len(_grouped(parts, depth + 1)) > _MOST_LINES and len(_grouped(parts, depth)) > 1:
            return depth
        large = {
            module
            for module, shares in _shares(parts, depth).items()
            if module and max(shares.values()) > _LARGE
        }
        inside = {path for path in paths if _depth(path) > depth and _cut(path, depth) in large}
        has_blocks = any(_depth(path) > depth + 1 for path in inside)
        if not inside or (not has_blocks and len(_grouped(parts, depth)) >= _SEVERAL):
            return depth
    return deepest


def _lines(parts: Mapping[str, Sequence[ProfilePart]], depth: int) -> list[ProfileLine]:
    shares = _shares(parts, depth)
    order = _merged([[_cut(part.module, depth) for part in each] for each in parts.values()])
    lines = [
        ProfileLine(module=module, name=_name(module, shares), shares=shares[module])
        for module in order
        if module
    ]
    by_size = sorted(lines, key=lambda line: line.largest, reverse=True)
    kept = [line for line in by_size[:_MOST_LINES] if line.largest >= _SMALL]
    small = [line for line in lines if line not in kept]
    if len(small) == 1:
        kept, small = [*kept, *small], []
    shown = [line for line in lines if line in kept]
    if small:
        shown.append(
            ProfileLine(
                module=None,
                name=f"{len(small)} small modules",
                shares=_sum(line.shares for line in small),
            )
        )
    for module, name in (("", "the model itself"), (None, "unattributed")):
        if module in shares:
            shown.append(ProfileLine(module=module, name=name, shares=shares[module]))
    return shown


def _shares(
    parts: Mapping[str, Sequence[ProfilePart]], depth: int
) -> dict[str | None, dict[str, float]]:
    """Return the shares of each module by the label of the row."""
    shares: dict[str | None, dict[str, float]] = {}
    for label, each in parts.items():
        for part in each:
            of_module = shares.setdefault(_cut(part.module, depth), {})
            of_module[label] = of_module.get(label, 0.0) + part.share
    return shares


def _grouped(parts: Mapping[str, Sequence[ProfilePart]], depth: int) -> list[str | None]:
    """Return the modules at a depth that are not small."""
    return [
        module for module, shares in _shares(parts, depth).items() if max(shares.values()) >= _SMALL
    ]


def _merged(orders: Sequence[Sequence[str | None]]) -> list[str | None]:
    """Return one order that has every module once, each after one that precedes it."""
    longest, *others = sorted((list(dict.fromkeys(order)) for order in orders), key=len)[::-1]
    merged = longest
    for order in others:
        at = 0
        for module in order:
            if module in merged:
                at = merged.index(module) + 1
            else:
                merged.insert(at, module)
                at += 1
    return merged


def _name(module: str, shares: Mapping[str | None, object]) -> str:
    has_parts = any(other and other.startswith(f"{module}.") for other in shares)
    return f"{module} (itself)" if has_parts else module


def _sum(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for shares in several:
        for label, share in shares.items():
            total[label] = total.get(label, 0.0) + share
    return total


def _depth(module: str) -> int:
    return module.count(".") + 1


def _cut(module: str | None, depth: int) -> str | None:
    return module if module is None else ".".join(module.split(".")[:depth])
