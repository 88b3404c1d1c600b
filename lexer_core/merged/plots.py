"""How fast and how expensive is each machine, at a glance?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import rate_text
from lexer_core.reporting.page.figure_layout import (
    Width,
    linear_axis,
    new_figure,
    panel_for,
    share_axis,
)
from lexer_core.reporting.page.parts import Plot, paragraphs, table
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import SERIES, light

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from lexer_core.merged.records import MergedGroup

__all__ = ["cost_plot", "rate_plot"]

_BAR = 16.0
_MOST = 30


@frozen(kw_only=True)
class _Bar:
    """One machine: what is written above its bar, the length, and the role of its colour."""

    machine: str
    detail: str
    case: str
    text: str
    value: float
    role: str


def rate_plot(group: MergedGroup) -> Plot | None:
    """Return the bars of items per second of the best case of each machine."""
    roles = _roles(group)
    bars = [
        _Bar(
            machine=row.machine,
            detail=f"{row.case}, {rate_text(row.items_per_sec)} per second",
            case=row.case,
            text=rate_text(row.items_per_sec),
            value=row.items_per_sec,
            role=roles[row.machine],
        )
        for row in group.best
        if row.items_per_sec is not None
    ]
    return _plot(
        bars,
        key="rates",
        title="Items per second of each machine",
        axis="items per second",
        caption="The best case of each machine. Longer is faster. Sequential calls of one caller.",
    )


def cost_plot(group: MergedGroup) -> Plot | None:
    """Return the bars of the costs; ``None`` without prices or with several currencies."""
    roles = _roles(group)
    priced = [row for row in group.best if row.cost_per_million is not None and row.price]
    currencies = {row.price.currency for row in priced if row.price}
    if len(currencies) != 1:
        return None
    currency = currencies.pop()
    bars = [
        _Bar(
            machine=row.machine,
            detail=f"{row.case}, {row.cost_text} per million items",
            case=row.case,
            text=row.cost_text,
            value=row.cost_per_million,
            role=roles[row.machine],
        )
        for row in priced
        if row.cost_per_million is not None
    ]
    return _plot(
        sorted(bars, key=lambda bar: bar.value),
        key="costs",
        title="Cost per million items on each machine",
        axis=f"{currency} per million items".strip(),
        caption=(
            "The best case of each machine. Shorter is cheaper. At the price of the whole machine, "
            "which does nothing else and never waits."
        ),
    )


def _roles(group: MergedGroup) -> Mapping[str, str]:
    return {name: f"series-{at % SERIES + 1}" for at, name in enumerate(group.machines)}


def _plot(bars: Sequence[_Bar], *, key: str, title: str, axis: str, caption: str) -> Plot | None:
    if not bars:
        return None
    drawn = bars[:_MOST]
    left_out = len(bars) - len(drawn)
    more = f"The first {_MOST}; {left_out} more are in the table." if left_out else ""
    return Plot(
        key=key,
        title=title,
        caption=paragraphs(caption, more),
        description=" ".join(f"{bar.machine}: {bar.detail}." for bar in drawn),
        draw=partial(_draw, drawn, axis),
        table=table(
            title,
            ("machine", "case", axis),
            ((bar.machine, bar.case, bar.text) for bar in bars),
            texts=(1,),
        ),
    )


def _draw(bars: Sequence[_Bar], axis: str, width: Width) -> Figure:
    last = len(bars) - 1
    panels = [
        panel_for(
            width,
            _BAR,
            (harmless(bar.machine), harmless(bar.detail)),
            axis=at == last,
            label=at == last,
        )
        for at, bar in enumerate(bars)
    ]
    figure, all_axes = new_figure(width, panels)
    longest = max(bar.value for bar in bars) or 1.0
    for at, (bar, axes) in enumerate(zip(bars, all_axes, strict=True)):
        axes.barh(0.0, bar.value, height=1.0, color=light(bar.role))
        linear_axis(axes, "x", longest * 1.02, width.ticks)
        share_axis(axes, half_height=0.5, label=axis if at == last else "")
    return figure
