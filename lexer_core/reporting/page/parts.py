"""What are a plot and a table on a page?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from matplotlib.figure import Figure

    from lexer_core.reporting.layout_records import Column
    from lexer_core.reporting.page.figure_layout import Width
    from lexer_core.reporting.page.series import Series

__all__ = ["Plot", "Table", "from_columns", "paragraphs", "table"]


@frozen(kw_only=True)
class Table:
    """Headings and rows of text; the first cell of a row names it.

    ``right`` says which columns are right-aligned, and ``tones`` which cells are
    ``"good"`` or ``"bad"``.
    """

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    tones: tuple[tuple[str, ...], ...]


@frozen(kw_only=True, eq=False)
class Plot:
    """A figure, with its explanation and its numbers.

    Parameters
    ----------
    key
        Its name on the page, for ids.
    title
        What it is.
    caption
        How to read it, and what is not drawn one by one; one text per paragraph.
    description
        What it shows, with numbers, for screen readers.
    draw
        Draws the figure at a width.
    table
        The numbers.
    legend
        The engines, if the figure does not name them itself.
    """

    key: str
    title: str
    caption: tuple[str, ...]
    description: str
    draw: Callable[[Width], Figure]
    table: Table
    legend: tuple[Series, ...] = ()


def paragraphs(*texts: str) -> tuple[str, ...]:
    """Return the texts that are not empty."""
    return tuple(text for text in texts if text)


def table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Iterable[int] = (),
) -> Table:
    """Return a table of numbers; the first column and those in ``texts`` hold words."""
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
    """Return a table of columns that the terminal shows as well."""
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
    """Turn leading spaces into spaces as wide as digits, which align numbers."""
    text = cell.lstrip(" ")
    return "\N{FIGURE SPACE}" * (len(cell) - len(text)) + text
