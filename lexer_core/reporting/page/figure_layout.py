"""How are the panels of a figure laid out, and their axes drawn?

A figure is a column of panels, each with its title above, so that long names fit
even on a phone. Positions are in CSS pixels: at 72 dots per inch, one point of
the figure is one pixel of the SVG.
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
    from matplotlib.ticker import Locator

    from lexer_core.reporting.page.series import Series

__all__ = [
    "NARROW",
    "STYLE",
    "WIDE",
    "Panel",
    "Width",
    "fit_left",
    "linear_axis",
    "linear_locator",
    "log_axis",
    "new_figure",
    "panel_for",
    "share_axis",
]

_DPI = 72
_LINE = 17.0
_TITLE_GAP = 7.0
_BETWEEN = 16.0
_AXIS_ROOM = 22.0
_LABEL_ROOM = 18.0
_SWATCH = 22.0
_RIGHT = 22.0
_TICK_CHARACTER = 6.8
_TICK_ROOM = 12.0

STYLE = {
    # Text stays text: it can be searched and copied, and uses the page's font.
    "svg.fonttype": "none",
    # Dollar signs in a name do not start a formula.
    "text.parse_math": False,
    # The caption states how the data was decimated; matplotlib must not do it again.
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
    """A figure's width in pixels, the characters of a title that fit, and the most ticks."""

    name: str
    pixels: float
    columns: int
    ticks: int


WIDE = Width(name="wide", pixels=880.0, columns=118, ticks=9)
NARROW = Width(name="narrow", pixels=350.0, columns=42, ticks=4)


@frozen(kw_only=True)
class Panel:
    """One plot of a figure: the lines of its title, and its height in pixels.

    The first ``bold`` lines are bold. ``series`` adds a sample of its line before
    the title. ``axis`` and ``label`` reserve room below for the ticks and the name
    of the axis.
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
    """Return a panel whose title, one text or several, is wrapped to the width."""
    columns = width.columns if series is None else width.columns - 4
    heading, *others = [title] if isinstance(title, str) else title
    # Bold characters are wider.
    bold = wrapped(heading, columns - columns // 10)
    lines = [*bold, *(line for text in others for line in wrapped(text, columns))]
    return Panel(
        height=height, title=tuple(lines), bold=len(bold), series=series, axis=axis, label=label
    )


def new_figure(
    width: Width, panels: Sequence[Panel], *, left: float = 16.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure with empty panels below each other, and their axes.

    Parameters
    ----------
    width
        The figure's width.
    panels
        From top to bottom; at least one.
    left
        Pixels to the left of the axes; see also :func:`fit_left`.
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
    """Make an axis logarithmic from ``low`` to ``high``, plus a margin.

    Parameters
    ----------
    axes, which
        The axes, and ``"x"`` or ``"y"``.
    low, high
        The smallest and largest value; both positive.
    most
        Maximum number of ticks.
    pad
        The margin, as a share of the axis.
    """
    span = max(math.log(high / low), 0.02)  # a single value has a margin, too
    low, high = low * math.exp(-pad * span), high * math.exp(pad * span)
    nearly_linear = high / low < _NEARLY_LINEAR
    locator = linear_locator(most) if nearly_linear else _decade_locator(low, high, most)
    _set_axis(axes, which, "log", low, high, locator)


def linear_axis(axes: Axes, which: str, high: float, most: int) -> None:
    """Make an axis linear from 0 to ``high``, with at most ``most`` ticks."""
    _set_axis(axes, which, "linear", 0.0, high, linear_locator(most))


def linear_locator(most: int, *, integer: bool = False) -> Locator:
    """Return a locator of at most ``most`` round numbers at equal distances."""
    from matplotlib.ticker import MaxNLocator  # an extra

    return MaxNLocator(most - 1, steps=[1, 2, 5, 10], integer=integer, min_n_ticks=1)


def fit_left(figure: Figure, all_axes: Sequence[Axes]) -> None:
    """Move the left edge of all axes, so that the widest label of a y-axis fits."""
    labels = [label.get_text() for axes in all_axes for label in axes.get_yticklabels()]
    width = figure.get_figwidth() * _DPI
    left = _TICK_CHARACTER * max(map(len, labels), default=0) + _TICK_ROOM
    for axes in all_axes:
        box = axes.get_position()
        size = ((width - left - _RIGHT) / width, box.height)
        axes.set_position((left / width, box.y0, *size))


def _set_axis(
    axes: Axes, which: str, scale: str, low: float, high: float, locator: Locator
) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator  # an extra

    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)(scale)
    (axes.set_xlim if which == "x" else axes.set_ylim)(low, high)
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.12g}"))
    axis.grid(visible=True)
    axis.set_tick_params(length=0, pad=6)


def _decade_locator(low: float, high: float, most: int) -> Locator:
    """Return a locator of about ``most`` multiples of powers of ten: by 1, 2 and 5 if they fit."""
    from matplotlib.ticker import LogLocator  # an extra

    decades = math.log10(high / low)
    subs = next((subs for subs in _SUBS if len(subs) * decades <= most), _SUBS[-1])
    return LogLocator(subs=subs, numticks=most)


_SUBS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
_NEARLY_LINEAR = 7.0
"""Below this ratio of its ends, a logarithmic axis has the ticks of a linear one.

Above it, at least two multiples by 1, 2 and 5 are within the axis; with fewer,
LogLocator chooses its own ticks.
"""


def share_axis(axes: Axes, *, half_height: float, label: str) -> None:
    """Make a panel one line of several that share the axis at the bottom.

    Parameters
    ----------
    axes
        The panel.
    half_height
        The line is at 0 of the vertical axis, which ends at this distance.
    label
        Name of the axis, for the last panel; empty for those above it.
    """
    axes.set_ylim(-half_height, half_height)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    if label:
        axes.set_xlabel(label)
    else:
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(labelbottom=False)
