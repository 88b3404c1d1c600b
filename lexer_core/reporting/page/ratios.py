"""How much faster is one engine than another, and how certain is that?"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import (
    MISSING,
    confidence_text,
    interval_text,
    significant,
    whole_text,
)
from lexer_core.reporting.page.figure_layout import (
    Width,
    log_axis,
    new_figure,
    panel_for,
    share_axis,
)
from lexer_core.reporting.page.parts import Plot, Table, paragraphs, table
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import light
from lexer_core.reporting.sentences import titles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.results import Comparison, Interval, ReportData

__all__ = ["ratio_plot"]

_MOST_PAIRS = 12
_ENGINES_SHOWN_IN_FULL = 3


@frozen(kw_only=True)
class _Pair:
    """A comparison, with the names of its two engines."""

    comparison: Comparison
    a: str
    b: str

    @property
    def ratio(self) -> Interval:
        return self.comparison.ratio


def ratio_plot(report: ReportData) -> Plot | None:
    """Return the plot of all ratios; ``None`` if nothing was compared."""
    if not report.comparisons:
        return None
    names = {label: harmless(name) for label, name in titles(report.results).items()}
    pairs = [
        _Pair(comparison=each, a=names.get(each.a, each.a), b=names.get(each.b, each.b))
        for each in report.comparisons
    ]
    known = [pair for pair in pairs if _drawable(pair.ratio)]
    if not known:
        return None
    drawn = _worth_drawing(known)
    left_out = len(pairs) - len(drawn)
    return Plot(
        key="ratios",
        title="Speed ratios",
        caption=paragraphs(
            "Time of the second engine ÷ time of the first. Point: the ratio. Bar: its confidence "
            "interval, corrected for the number of comparisons. To the right of 1, the first "
            "engine is faster. The shaded band is a tie: a bar inside it means that the engines "
            "are equally fast, a bar outside it that they differ, and a bar across its edge that "
            "the data do not decide.",
            f"Not drawn: {left_out} more pairs, which are in the table." if left_out else "",
        ),
        description=" ".join(f"{_sentence(pair)}." for pair in drawn),
        draw=partial(_draw, drawn),
        table=_table(pairs),
    )


def _drawable(ratio: Interval) -> bool:
    return math.isfinite(ratio.estimate) and ratio.estimate > 0


def _worth_drawing(pairs: Sequence[_Pair]) -> list[_Pair]:
    """Return all pairs, or only those with the baseline if there are too many."""
    if len(pairs) <= _ENGINES_SHOWN_IN_FULL:
        return list(pairs)
    baseline = pairs[0].comparison.a
    return [pair for pair in pairs if pair.comparison.a == baseline][:_MOST_PAIRS] or list(
        pairs[:_MOST_PAIRS]
    )


def _numbers(ratio: Interval) -> tuple[str, str]:
    """Format a ratio and its interval, with the digits of the verdict's sentence."""
    if ratio.low is None or ratio.high is None:
        return significant(ratio.estimate), ""
    low, estimate, high = interval_text(ratio.low, ratio.estimate, ratio.high)
    return estimate, f"{confidence_text(ratio.confidence)} {low}-{high}"


def _verdict(pair: _Pair) -> str:
    words = {
        "faster": "faster",
        "slower": "slower",
        "tie": "a tie",
        "undecided": "undecided",
        "none": "no verdict",
    }
    return words[pair.comparison.verdict]


def _sentence(pair: _Pair) -> str:
    estimate, interval = _numbers(pair.ratio)
    bounds = f" ({interval})" if interval else " (no interval)"
    return f"{pair.b} vs. {pair.a}: {_verdict(pair)}, {estimate}x{bounds}"


def _draw(pairs: Sequence[_Pair], width: Width) -> Figure:
    last = len(pairs) - 1
    panels = [
        panel_for(
            width,
            30.0,
            (f"{pair.b} vs. {pair.a}", _detail(pair)),
            axis=at == last,
            label=at == last,
        )
        for at, pair in enumerate(pairs)
    ]
    figure, all_axes = new_figure(width, panels)
    low, high = _range(pairs)
    for at, (pair, axes) in enumerate(zip(pairs, all_axes, strict=True)):
        log_axis(axes, "x", low, high, width.ticks)
        _draw_pair(axes, pair, low)
        label = "← slower · time ÷ time, logarithmic · faster →" if at == last else ""
        share_axis(axes, half_height=1.0, label=label)
    return figure


def _detail(pair: _Pair) -> str:
    estimate, interval = _numbers(pair.ratio)
    return f"{estimate}x{f' ({interval})' if interval else ', no interval'}: {_verdict(pair)}"


def _draw_pair(axes: Axes, pair: _Pair, lowest: float) -> None:
    delta = pair.comparison.delta
    colour = light("series-1" if pair.comparison.verdict in ("faster", "slower") else "muted")
    axes.axvspan(1 / (1 + delta), 1 + delta, color=light("grid"), linewidth=0)
    axes.axvline(1.0, color=light("muted"), linewidth=1.0)
    ratio = pair.ratio
    if ratio.low is not None and ratio.high is not None and ratio.high > 0:
        ends = [max(ratio.low, lowest), ratio.high]
        axes.plot(ends, [0.0, 0.0], color=colour, linewidth=3.0, solid_capstyle="butt")
        axes.plot(ends, [0.0, 0.0], linestyle="none", marker="|", markersize=13.0, color=colour)
    axes.plot([ratio.estimate], [0.0], marker="o", markersize=8.0, color=colour)


def _range(pairs: Sequence[_Pair]) -> tuple[float, float]:
    """Return the range of the axis: the tie band, and every ratio and interval."""
    reached = [1.0]
    for pair in pairs:
        ratio, delta = pair.ratio, pair.comparison.delta
        reached += [ratio.estimate, 1 + 2 * delta, 1 / (1 + 2 * delta)]
        reached += [end for end in (ratio.low, ratio.high) if end and math.isfinite(end)]
    return min(reached), max(reached)


def _table(pairs: Sequence[_Pair]) -> Table:
    def cells(pair: _Pair) -> list[str]:
        comparison = pair.comparison
        known = _drawable(pair.ratio)
        estimate, interval = _numbers(pair.ratio) if known else (MISSING, "")
        return [
            f"{pair.b} vs. {pair.a}",
            estimate,
            interval or MISSING,
            _verdict(pair),
            f"±{comparison.delta * 100:.3g}%",
            whole_text(comparison.rounds),
            harmless(comparison.reason) or MISSING,
        ]

    return table(
        "All comparisons; above 1, the first engine is faster",
        (
            "engines",
            "ratio",
            "interval",
            "verdict",
            "tie within",
            "rounds",
            "reason for no verdict",
        ),
        map(cells, pairs),
        texts=(3, 6),
    )
