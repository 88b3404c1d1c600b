"""How are the panels of a figure laid out, and their axes drawn?

Every figure is a column of panels with a title above each, so that names of
any length have room, on a phone as well. Positions are in CSS pixels: a figure
has 72 dots per inch, and one of its points is then one pixel of the SVG.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import field, frozen

from lexer_core.reporting.page.text_utils import wrapped
from lexer_core.reporting.page.theme import light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.page.series import Series

__all__ = [
    "NARROW",
    "STYLE",
    "WIDE",
    "Panel",
    "Width",
    "linear_axis",
    "linear_ticks",
    "log_axis",
    "log_ticks",
    "new_sheet",
    "panel_for",
]

_DPI = 72
_LINE = 17.0
_TITLE_GAP = 7.0
_BETWEEN = 16.0
_AXIS_ROOM = 22.0
_LABEL_ROOM = 18.0
_SWATCH = 22.0
_RIGHT = 14.0

STYLE = {
    # Text stays text: it can be searched, copied, and takes the page's font.
    "svg.fonttype": "none",
    # A name with dollar signs in it is a name, and no formula.
    "text.parse_math": False,
    # Decimated before, in a way that is stated; not again in one that is not.
    "path.simplify": False,
    "figure.dpi": _DPI,
    "savefig.dpi": _DPI,
    "font.size": 13.0,
    "text.color": light("text"),
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": light("border"),
    "axes.labelcolor": light("muted"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": light("grid"),
    "grid.linewidth": 1.0,
    "xtick.color": light("border"),
    "ytick.color": light("border"),
    "xtick.labelcolor": light("muted"),
    "ytick.labelcolor": light("muted"),
    "xtick.labelsize": 12.0,
    "ytick.labelsize": 12.0,
}
"""matplotlib's settings for every figure."""


@frozen(kw_only=True)
class Width:
    """A figure's width in pixels, and how many characters of a title fit into it."""

    name: str
    pixels: float
    columns: int
    ticks: int


WIDE = Width(name="wide", pixels=880.0, columns=118, ticks=9)
NARROW = Width(name="narrow", pixels=350.0, columns=42, ticks=5)


@frozen(kw_only=True)
class Panel:
    """One plot of a figure: its title's lines, and its height in pixels.

    The first ``bold`` lines stand out. ``series`` puts a sample of its line
    before the title. ``axis`` and ``label`` make room below for ticks and for
    the axis' name.
    """

    height: float
    title: tuple[str, ...] = ()
    bold: int = 1
    series: Series | None = None
    axis: bool = True
    label: bool = False
    above: float = field(init=False)
    below: float = field(init=False)

    @above.default
    def _above(self) -> float:
        return len(self.title) * _LINE + (_TITLE_GAP if self.title else 0.0)

    @below.default
    def _below(self) -> float:
        return (_AXIS_ROOM if self.axis else 0.0) + (_LABEL_ROOM if self.label else 0.0)


def panel_for(
    width: Width,
    height: float,
    title: str | Sequence[str],
    *,
    series: Series | None = None,
    axis: bool = True,
    label: bool = False,
) -> Panel:
    """Make a panel whose title, a text or several below each other, is wrapped to the width."""
    columns = width.columns if series is None else width.columns - 4
    heading, *others = [title] if isinstance(title, str) else title
    # Bold letters are wider.
    bold = wrapped(heading, columns - columns // 10)
    lines = [*bold, *(line for text in others for line in wrapped(text, columns))]
    return Panel(
        height=height, title=tuple(lines), bold=len(bold), series=series, axis=axis, label=label
    )


def new_sheet(width: Width, panels: Sequence[Panel], *, left: float) -> tuple[Figure, list[Axes]]:
    """Make a figure with empty panels below each other.

    Parameters
    ----------
    width
        Its width.
    panels
        From top to bottom; at least one.
    left
        Pixels to the left of the axes, for the labels of ticks.
    """
    from matplotlib.figure import Figure  # an extra, and slow to import

    total = sum(panel.above + panel.height + panel.below for panel in panels)
    total += _BETWEEN * (len(panels) - 1)
    figure = Figure(figsize=(width.pixels / _DPI, total / _DPI), dpi=_DPI)
    axes = []
    top = total
    for panel in panels:
        _write_title(figure, panel, top, width.pixels, total)
        bottom = top - panel.above - panel.height
        box = (left / width.pixels, bottom / total)
        size = ((width.pixels - left - _RIGHT) / width.pixels, panel.height / total)
        axes.append(figure.add_axes((*box, *size)))
        top = bottom - panel.below - _BETWEEN
    return figure, axes


def _write_title(figure: Figure, panel: Panel, top: float, width: float, total: float) -> None:
    from matplotlib.lines import Line2D  # an extra

    indent = 0.0
    if panel.series is not None:
        indent = _SWATCH + 8.0
        line = Line2D(
            [0.0, _SWATCH / 2 / width, _SWATCH / width],
            [(top - _LINE / 2) / total] * 3,
            transform=figure.transFigure,
            color=panel.series.colour,
            linestyle=panel.series.line_style,
            linewidth=2.0,
            marker=panel.series.marker,
            markevery=[1],
            markersize=6.0,
        )
        figure.add_artist(line)
    for at, text in enumerate(panel.title):
        first = at < panel.bold
        figure.text(
            indent / width,
            (top - _LINE * (at + 1) + 4.0) / total,
            text,
            ha="left",
            va="baseline",
            fontweight="bold" if first else "normal",
            color=light("text" if first else "muted"),
        )


# --- Axes. ---


def log_axis(
    axes: Axes, which: str, low: float, high: float, most: int, *, pad: float = 0.03
) -> None:
    """Make an axis logarithmic from ``low`` to ``high``, with a margin, and label round numbers."""
    # A single value has a margin too.
    span = max(math.log(high / low), 0.02)
    low, high = low * math.exp(-pad * span), high * math.exp(pad * span)
    ticks = log_ticks(low, high, most)
    _set_axis(axes, which, "log", low, high, ticks, [f"{tick:.12g}" for tick in ticks])


def linear_axis(axes: Axes, which: str, high: float, most: int) -> None:
    """Make an axis run from 0 to ``high``, and label round numbers."""
    high = high if high > 0 else 1.0
    ticks = linear_ticks(0.0, high, most)
    _set_axis(axes, which, "linear", 0.0, high, ticks, [f"{tick:.12g}" for tick in ticks])


def _set_axis(
    axes: Axes,
    which: str,
    scale: str,
    low: float,
    high: float,
    ticks: Sequence[float],
    labels: Sequence[str],
) -> None:
    from matplotlib.ticker import NullLocator  # an extra

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)(scale)
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    axis.set_minor_locator(NullLocator())
    axis.set_ticks(list(ticks), labels=list(labels))
    axis.grid(visible=True)
    axis.set_tick_params(length=0, pad=6)


# Leading digits of ticks within a decade, the densest first.
_WITHIN_DECADE = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))
_NEARLY_LINEAR = 3.0


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Choose round numbers from ``low`` to ``high`` for a logarithmic axis, at most so many.

    >>> log_ticks(0.8, 120, 5), log_ticks(9.8, 10.3, 5)
    ([1.0, 3.0, 10.0, 30.0, 100.0], [9.8, 10.0, 10.2])
    """
    if high / low < _NEARLY_LINEAR:
        return linear_ticks(low, high, most)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks: list[float] = []
    for stride in range(1, last - first + 2):
        for digits in _WITHIN_DECADE if stride == 1 else _WITHIN_DECADE[-1:]:
            ticks = [
                float(f"{digit}e{exponent}")
                for exponent in range(first, last + 1, stride)
                for digit in digits
                if low <= float(f"{digit}e{exponent}") <= high
            ]
            if len(ticks) <= most:
                return ticks
    return ticks


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Choose round numbers from ``low`` to ``high``, at most so many and at least one.

    >>> linear_ticks(0, 31, 5)
    [0.0, 10.0, 20.0, 30.0]
    """
    exponent = math.floor(math.log10((high - low) / most))
    for power in (exponent, exponent + 1, exponent + 2):
        for digit in (1, 2, 5):
            step = float(f"{digit}e{power}")
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first < most:
                # Rounded, because 3 * 0.1 is not 0.3.
                return [round(at * step, max(0, -power)) for at in range(first, last + 1)]
    return [low]
