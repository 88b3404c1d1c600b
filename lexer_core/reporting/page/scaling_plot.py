"""How does throughput grow with threads and batch size?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from attrs import frozen

from lexer_core.reporting.numbers import rate_text
from lexer_core.reporting.page.figure_layout import (
    Width,
    linear_axis,
    linear_locator,
    new_figure,
    panel_for,
)
from lexer_core.reporting.page.parts import Plot, paragraphs, table
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import SERIES, light

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.results import ReportData
    from lexer_core.results.tuning import Tuning, TuningConfiguration

__all__ = ["scaling_plot"]

_HEIGHT = 130.0
_ROOM = 1.15
_RIGHT = 1.12
_MOST_PANELS = 12
_FEWEST = 2
_AXES: tuple[Literal["threads", "batch"], ...] = ("threads", "batch")


@frozen(kw_only=True)
class _Scaling:
    """Throughput along one axis: for each line its name, and the points (size, items/s)."""

    title: str
    axis: str
    lines: Mapping[str, tuple[tuple[int, float], ...]]

    @property
    def ideal(self) -> tuple[tuple[int, float], ...]:
        """The best line's first point, and where it would be in proportion to the axis."""
        (size, rate), *_ = max(self.lines.values(), key=lambda points: points[0][1])
        last = max(points[-1][0] for points in self.lines.values())
        return ((size, rate), (last, rate * last / size))


def scaling_plot(report: ReportData, tuning: Tuning) -> Plot | None:
    """Return throughput over threads and batch size; ``None`` if neither was varied."""
    panels = [panel for axis in _AXES for panel in _panels(report, tuning.configurations, axis)][
        :_MOST_PANELS
    ]
    if not panels:
        return None
    return Plot(
        key="scaling",
        title="Scaling",
        caption=paragraphs(
            "Items per second over threads, and over the batch size. Dashed: in proportion, from "
            "the best of the first. The numbers of those that left the race are from the race.",
        ),
        description=" ".join(
            f"{harmless(panel.title)}, {harmless(name)}: "
            + ", ".join(f"{rate_text(rate)} at {size}" for size, rate in points)
            + "."
            for panel in panels
            for name, points in panel.lines.items()
        ),
        draw=partial(_draw, panels),
        table=table(
            "Items per second by threads and batch size",
            ("configurations", "line", "axis", "size", "items/s"),
            (
                (harmless(panel.title), harmless(name), panel.axis, str(size), rate_text(rate))
                for panel in panels
                for name, points in panel.lines.items()
                for size, rate in points
            ),
            texts=(1, 2),
        ),
    )


def _panels(
    report: ReportData,
    configurations: Sequence[TuningConfiguration],
    axis: Literal["threads", "batch"],
) -> list[_Scaling]:
    other = "batch" if axis == "threads" else "threads"
    groups: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for each in configurations:
        size, rate = getattr(each, axis), report[each.label].throughput_per_sec
        if size is None or not rate:
            continue
        fixed = getattr(each, other)
        line = "" if fixed is None else f"{other} {fixed}"
        groups.setdefault(_group(each), {}).setdefault(line, []).append((size, rate))
    panels = []
    for title, lines in groups.items():
        sorted_lines = {
            name: tuple(sorted(points)) for name, points in lines.items() if len(points) >= _FEWEST
        }
        if sorted_lines:
            panels.append(_Scaling(title=title, axis=axis, lines=sorted_lines))
    return panels


def _group(configuration: TuningConfiguration) -> str:
    """Return the label without threads and batch size."""
    name, bracket, varied = configuration.label.partition("[")
    kept = [
        part
        for part in varied.removesuffix("]").split(",")
        if part and not part.startswith(("batch=", "threads="))
    ]
    return f"{name}[{','.join(kept)}]" if bracket and kept else name


def _draw(panels: Sequence[_Scaling], width: Width) -> Figure:
    figure, all_axes = new_figure(
        width,
        [
            panel_for(
                width,
                _HEIGHT,
                (harmless(panel.title), f"items per second; {_names_of(panel)}"),
                axis=True,
                label=True,
            )
            for panel in panels
        ],
        left=64.0,
    )
    for panel, axes in zip(panels, all_axes, strict=True):
        _draw_panel(axes, panel, width)
    return figure


def _names_of(panel: _Scaling) -> str:
    names = [name for name in panel.lines if name]
    return f"lines: {harmless(', '.join(names))}" if names else "one line"


def _draw_panel(axes: Axes, panel: _Scaling, width: Width) -> None:
    top = max(rate for points in panel.lines.values() for _, rate in points) * _ROOM
    last = max(points[-1][0] for points in panel.lines.values())
    linear_axis(axes, "x", last * _RIGHT, width.ticks)
    axes.xaxis.set_major_locator(linear_locator(width.ticks, integer=True))
    linear_axis(axes, "y", top, 4)
    axes.set_xlabel(panel.axis)
    axes.plot(*zip(*panel.ideal, strict=True), color=light("muted"), linewidth=1.0, dashes=(4, 3))
    for at, (name, points) in enumerate(panel.lines.items()):
        colour = light(f"series-{at % SERIES + 1}")
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, marker="o", markersize=4)
        axes.annotate(
            harmless(name), points[-1], xytext=(4, 2), textcoords="offset points", color=colour
        )
