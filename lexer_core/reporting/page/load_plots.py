"""How does the latency rise with the rate of the requests?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lexer_core.reporting.load_layout import configurations_in_order, slo_text
from lexer_core.reporting.numbers import significant
from lexer_core.reporting.page.figure_layout import (
    Width,
    fit_left,
    linear_axis,
    log_axis,
    new_figure,
    panel_for,
)
from lexer_core.reporting.page.parts import Plot, paragraphs, table
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.results.load_test import LoadConfiguration, LoadTest

__all__ = ["rate_plot"]

_HEIGHT = 220.0
_ROOM = 1.08
_HIGHEST = 20.0
"""Times the limit, where the picture ends: beyond it, a backlog grows without end."""


def rate_plot(test: LoadTest) -> Plot | None:
    """Return latency over offered rate for each configuration; ``None`` if none has points."""
    shown = [each for each in configurations_in_order(test) if each.points]
    if not shown:
        return None
    return Plot(
        key="rates",
        title="Latency by rate",
        caption=paragraphs(
            "Latency from the arrival of a request to its answer, over the requests per second "
            f"that were offered; logarithmic. The red line is the limit, {slo_text(test)}. "
            "Circles: the rate passes; crosses: it fails; dots: undecided or withheld. The "
            "shaded strip is between the highest rate that passes and the lowest that fails.",
        ),
        description=" ".join(
            f"{harmless(each.label)}: "
            + ", ".join(
                f"p99 {significant(point.p99_ms)} ms at {significant(point.rate)} per second"
                for point in each.points
            )
            + "."
            for each in shown
        ),
        draw=partial(_draw, test, shown),
        table=table(
            "Latency by rate, in ms",
            ("configuration", "offered/s", "result", "p50", "p95", "p99", "wait p99", "call"),
            (
                (
                    harmless(each.label),
                    significant(point.rate),
                    point.verdict,
                    *(
                        significant(value)
                        for value in (
                            point.p50_ms,
                            point.p95_ms,
                            point.p99_ms,
                            point.wait_p99_ms,
                            point.service_mean_ms,
                        )
                    ),
                )
                for each in shown
                for point in each.points
            ),
            texts=(2,),
        ),
    )


def _draw(test: LoadTest, shown: Sequence[LoadConfiguration], width: Width) -> Figure:
    figure, all_axes = new_figure(
        width,
        [
            panel_for(
                width,
                _HEIGHT,
                (harmless(each.label), "p50 (thin) and p99 (bold) in ms"),
                axis=True,
                label=each is shown[-1],
            )
            for each in shown
        ],
    )
    most = max(point.rate for each in shown for point in each.points) * _ROOM
    top = _HIGHEST * test.limit_ms
    latencies = [
        min(value, top)
        for each in shown
        for point in each.points
        for value in (point.p50_ms, point.p99_ms)
        if value is not None
    ]
    low, high = min([*latencies, test.limit_ms]), max([*latencies, test.limit_ms])
    for each, axes in zip(shown, all_axes, strict=True):
        linear_axis(axes, "x", most, width.ticks)
        log_axis(axes, "y", low, high, 5)
        _draw_panel(axes, each, test.limit_ms)
    all_axes[-1].set_xlabel("requests per second")
    fit_left(figure, all_axes)
    return figure


def _draw_panel(axes: Axes, each: LoadConfiguration, limit: float) -> None:
    bad = light("bad")
    axes.axhline(limit, color=bad, linewidth=1.0, dashes=(4, 3))
    if each.highest_passing is not None and each.lowest_failing is not None:
        ends = sorted((each.highest_passing, each.lowest_failing))
        axes.axvspan(*ends, color=light("muted"), alpha=0.15, linewidth=0.0)
    for name, line_width in (("p50_ms", 1.0), ("p99_ms", 2.0)):
        known = [point for point in each.points if getattr(point, name) is not None]
        axes.plot(
            [point.rate for point in known],
            [getattr(point, name) for point in known],
            color=light("series-1"),
            linewidth=line_width,
        )
        for point in known:
            marker = {"passes": "o", "fails": "x"}.get(point.verdict, ".")
            axes.plot(
                [point.rate],
                [getattr(point, name)],
                marker=marker,
                markersize=6.0,
                color=bad if point.verdict == "fails" else light("series-1"),
            )
