"""What is a plot on a page, apart from how it is drawn?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from lexer_core.reporting.page.figure_layout import Width
    from lexer_core.reporting.page.series import Series
    from lexer_core.reporting.page.tables import Table

__all__ = ["Plot", "paragraphs"]


@frozen(kw_only=True, eq=False)
class Plot:
    """A figure, with everything that is said about it in words and numbers.

    Parameters
    ----------
    key
        Its name within the page, for ids.
    title
        What it is.
    caption
        How to read it, and what is not drawn one by one.
    description
        What it shows, in one or a few sentences with the numbers, for whoever
        does not see it.
    draw
        Makes the figure at a width.
    table
        The numbers behind it.
    legend
        The engines, where the figure does not name them itself.
    """

    key: str
    title: str
    caption: tuple[str, ...]
    description: str
    draw: Callable[[Width], Figure]
    table: Table
    legend: tuple[Series, ...] = ()


def paragraphs(*texts: str) -> tuple[str, ...]:
    """Return the texts that say something."""
    return tuple(text for text in texts if text)
