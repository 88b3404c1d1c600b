"""What is a table on a page?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lexer_core.reporting.table_layout import Column

__all__ = ["Table", "from_columns", "table"]


@frozen(kw_only=True)
class Table:
    """Headings and rows of texts; the first cell of a row names it.

    ``right`` says of each column whether it is set to the right, ``tones`` of
    each cell whether it is ``"good"`` or ``"bad"`` news.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    tones: tuple[tuple[str, ...], ...]


def table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Iterable[int] = (),
) -> Table:
    """Make a table of numbers; the columns ``texts``, and the first, hold words."""
    kept = tuple(tuple(row) for row in rows)
    words = {0, *texts}
    return Table(
        caption=caption,
        headings=tuple(headings),
        rows=kept,
        right=tuple(at not in words for at in range(len(headings))),
        tones=tuple(("",) * len(headings) for _ in kept),
    )


def from_columns(caption: str, columns: Sequence[Column]) -> Table:
    """Make a table of the columns that the terminal shows as well."""
    count = len(columns[0].cells)
    return Table(
        caption=caption,
        headings=tuple(column.heading for column in columns),
        rows=tuple(tuple(_indented(column.cells[at]) for column in columns) for at in range(count)),
        right=tuple(column.align == "right" for column in columns),
        tones=tuple(
            tuple(column.tones[at] if column.tones else "" for column in columns)
            for at in range(count)
        ),
    )


def _indented(cell: str) -> str:
    """Keep the spaces before a number, as wide as digits: they line numbers up."""
    text = cell.lstrip(" ")
    return "\N{FIGURE SPACE}" * (len(cell) - len(text)) + text
