"""How does a reader tell engines apart in the plots of a page?

By name, dashes, marker and colour; never by colour alone.
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

# Their number has no common factor with the number of colours.
_DASHES: tuple[tuple[float, ...], ...] = ((), (6, 2.5), (1.5, 2), (7, 2, 1.5, 2))
_MARKERS = ("o", "s", "^", "D")


@frozen(kw_only=True)
class Series:
    """One engine in the plots.

    ``dashes`` are the lengths of strokes and gaps in pixels, empty for a solid
    line; ``marker`` is a matplotlib marker.
    """

    name: str
    role: str
    dashes: tuple[float, ...]
    marker: str

    @property
    def colour(self) -> str:
        """The colour in the figure, later replaced by that of the theme."""
        return light(self.role)

    @property
    def line_style(self) -> Literal["solid"] | tuple[float, tuple[float, ...]]:
        """The dashes, as a matplotlib line style."""
        return (0.0, self.dashes) if self.dashes else "solid"


def series_of(rows: Sequence[BenchmarkResult]) -> Mapping[str, Series]:
    """Return the series of each measured row, by its label."""
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
