"""How is one engine told from another, in every plot of a page?

By its name beside what is drawn, by its dashes and its marker, and by its
colour: never by colour alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from attrs import frozen

from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import SERIES, light
from lexer_core.reporting.sentences import titles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import BenchmarkResult

__all__ = ["Series", "series_of"]

# Their lengths have no common factor with the number of colours.
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2.5), (1.5, 2), (7, 2, 1.5, 2))
_MARKERS = ("o", "s", "^", "D")


@frozen(kw_only=True)
class Series:
    """One engine in the plots.

    ``dashes`` are lengths of strokes and gaps in pixels, empty for a solid
    line; ``marker`` is matplotlib's letter for a shape.
    """

    name: str
    role: str
    dashes: tuple[float, ...]
    marker: str

    @property
    def colour(self) -> str:
        """The colour that is drawn, and replaced by the theme's."""
        return light(self.role)

    @property
    def line_style(self) -> Literal["solid"] | tuple[float, tuple[float, ...]]:
        """The dashes, as matplotlib takes them."""
        return (0.0, self.dashes) if self.dashes else "solid"


def series_of(rows: Sequence[BenchmarkResult]) -> Mapping[str, Series]:
    """Give each measured row its name, colour, dashes and marker, by its label."""
    names = titles(rows)
    measured = [row.label for row in rows if row.status == "ok"]
    return {
        label: Series(
            name=harmless(names[label]),
            role=f"series-{at % SERIES + 1}",
            dashes=_DASHES[at % len(_DASHES)],
            marker=_MARKERS[at % len(_MARKERS)],
        )
        for at, label in enumerate(measured)
    }
