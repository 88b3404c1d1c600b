"""Of which texts does a shown report consist?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Column", "Layout", "printable"]


@frozen(kw_only=True)
class Column:
    """A column: a heading and a cell per row.

    ``tones`` says which cells are good or bad news. Columns of one ``group`` stay
    together if the table is split. ``optional`` columns are left out if there is
    not enough room.
    """

    heading: str
    cells: tuple[str, ...]
    align: Literal["left", "right"] = "right"
    tones: tuple[Literal["good", "bad", ""], ...] = ()
    group: Literal["speed", "cost"] = "speed"
    optional: bool = False


@frozen(kw_only=True)
class Layout:
    """All texts of a report, without control characters.

    The first ``names`` columns name the rows. ``condition`` is that of the machine in one line,
    and ``noise`` and ``details`` are for a detailed report. ``warnings`` are the other
    caveats, the most important first. Show ``command`` on one line, so that it can be
    copied.
    """

    heading: tuple[str, ...]
    columns: tuple[Column, ...]
    footnotes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    condition: str = ""
    is_noisy: bool = False
    warnings: tuple[str, ...] = ()
    noise: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    command: str = ""
    names: int = 1


def printable(lines: Iterable[str]) -> tuple[str, ...]:
    """Remove control characters, so that a plugin's message cannot control the terminal."""
    return tuple(
        "".join(
            character if character.isprintable() else " " if character.isspace() else ""
            for character in line
        )
        for line in lines
    )
