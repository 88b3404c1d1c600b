"""How are the latencies distributed?"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lexer_core.reporting.numbers import (
    MISSING,
    confidence_text,
    interval_text,
    significant,
    time_unit,
    whole_text,
)
from lexer_core.reporting.page.decimation import distribution_steps
from lexer_core.reporting.page.figure_layout import (
    Width,
    fit_left,
    linear_axis,
    log_axis,
    new_figure,
    panel_for,
)
from lexer_core.reporting.page.measured import Measured, measured_rows, median_text
from lexer_core.reporting.page.parts import Plot, Table, paragraphs, table
from lexer_core.reporting.page.theme import light

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["distribution_plots"]

_BINS = 200
_PERCENTILES = {"p90": "p90_ms", "p95": "p95_ms", "p99": "p99_ms"}
_SHARES = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9)


def distribution_plots(report: ReportData) -> list[Plot]:
    """Return the histograms and distribution functions of the rows that have samples."""
    rows = measured_rows(report)
    if not rows:
        return []
    unit = time_unit(report.results)
    looped = [
        f"{each.series.name}: {whole_text(each.row.loops)}" for each in rows if each.row.loops > 1
    ]
    means = f"A sample is the mean of several calls ({', '.join(looped)})." if looped else ""
    summaries = [_summary(each, unit) for each in rows]
    return [
        Plot(
            key="distribution",
            title="Latency distribution",
            caption=paragraphs(
                f"Height: share of an engine's samples in each of {_BINS} logarithmic bins; every "
                "sample is counted. Diamond and bar: median and its confidence interval. Strokes: "
                "p90, p95 and p99; dotted if the samples do not bound them.",
                means,
            ),
            description=f"Histograms on a logarithmic axis. {' '.join(summaries)}",
            draw=partial(_draw_histograms, rows, unit),
            table=_percentile_table(rows, unit),
        ),
        Plot(
            key="ecdf",
            title="Cumulative distribution and tail",
            caption=paragraphs(
                "Top: share of samples at or below each latency; a steeper line is steadier. "
                "Bottom: share of samples at or above it, on a logarithmic scale, which shows "
                "rare slow samples; each line ends at the slowest one.",
                _decimated(rows),
                means,
            ),
            description="Empirical distribution functions on a logarithmic axis. "
            + " ".join(summaries),
            draw=partial(_draw_functions, rows, unit),
            table=_quantile_table(rows, unit),
            legend=tuple(each.series for each in rows),
        ),
    ]


def _decimated(rows: Sequence[Measured]) -> str:
    drawn = {each.series.name: distribution_steps(each.samples)[0].size for each in rows}
    fewer = [
        f"{each.series.name}: {drawn[each.series.name]} of {whole_text(each.samples.size)} samples"
        for each in rows
        if drawn[each.series.name] < each.samples.size
    ]
    if not fewer:
        return ""
    return (
        f"Not every sample is drawn ({'; '.join(fewer)}): they are chosen evenly by rank, more "
        "densely in the tails, including the fastest and the slowest."
    )


def _summary(each: Measured, unit: TimeUnit) -> str:
    """Summarise a row's samples in a sentence."""
    row = each.row
    found = [
        f"{name} {significant(value * unit.per_ms)}"
        for name, field in _PERCENTILES.items()
        if (value := getattr(row, field)) is not None
    ]
    low, high = each.samples.min() * 1000 * unit.per_ms, each.samples.max() * 1000 * unit.per_ms
    return (
        f"{each.series.name}: {', '.join([median_text(row, unit), *found])} {unit.name}, "
        f"from {significant(low)} to {significant(high)}."
    )


# --- Histograms. ---


def _draw_histograms(rows: Sequence[Measured], unit: TimeUnit, width: Width) -> Figure:
    last = len(rows) - 1
    panels = [
        panel_for(
            width,
            84.0,
            (each.series.name, _line(each, unit)),
            series=each.series,
            axis=at == last,
            label=at == last,
        )
        for at, each in enumerate(rows)
    ]
    figure, all_axes = new_figure(width, panels)
    low, high = _range(rows, unit)
    edges = _bins(low, high)
    for at, (each, axes) in enumerate(zip(rows, all_axes, strict=True)):
        shares = np.histogram(_scaled(each, unit), edges)[0] / each.samples.size
        tallest = float(shares.max())
        axes.stairs(shares, edges, fill=True, color=each.series.colour, alpha=0.3)
        axes.stairs(shares, edges, color=each.series.colour, linewidth=1.0)
        _mark_percentiles(axes, each, unit, tallest)
        log_axis(axes, "x", low, high, width.ticks)
        axes.set_ylim(-0.38 * tallest, 1.06 * tallest)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.axhline(0.0, color=light("border"), linewidth=1.0)
        if at < last:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel(f"latency of a call, {unit.name}, logarithmic")
    return figure


def _line(each: Measured, unit: TimeUnit) -> str:
    p99 = each.row.p99_ms
    tail = "" if p99 is None else f", p99 {significant(p99 * unit.per_ms)}"
    slowest = significant(float(each.samples.max()) * 1000 * unit.per_ms)
    return f"{median_text(each.row, unit)}{tail}, slowest {slowest} {unit.name}"


def _mark_percentiles(axes: Axes, each: Measured, unit: TimeUnit, tallest: float) -> None:
    row, colour = each.row, each.series.colour
    level = -0.2 * tallest
    interval = row.intervals.get("p50_ms")
    if interval is not None and interval.low is not None and interval.high is not None:
        ends = [interval.low * unit.per_ms, interval.high * unit.per_ms]
        axes.plot(ends, [level, level], color=colour, linewidth=4.0, solid_capstyle="butt")
    if row.p50_ms is not None:
        axes.plot([row.p50_ms * unit.per_ms], [level], marker="D", markersize=7.0, color=colour)
    for name in _PERCENTILES.values():
        value = getattr(row, name)
        if value is not None:
            axes.plot(
                [value * unit.per_ms] * 2,
                [1.7 * level, 0.3 * level],
                color=colour,
                linewidth=2.0,
                linestyle=(0, (1.5, 1.5)) if name in row.notes_on_percentiles else "solid",
            )


def _range(rows: Sequence[Measured], unit: TimeUnit) -> tuple[float, float]:
    low = min(float(each.samples.min()) for each in rows) * 1000 * unit.per_ms
    high = max(float(each.samples.max()) for each in rows) * 1000 * unit.per_ms
    return low, high


def _bins(low: float, high: float) -> Sequence[float]:
    # A margin, so that rounding excludes neither the smallest nor the largest sample.
    span = max(math.log(high / low), 1e-3)
    edges: list[float] = np.geomspace(
        low * math.exp(-span * 1e-6), low * math.exp(span * (1 + 1e-6)), _BINS + 1
    ).tolist()
    return edges


# --- Distribution functions. ---


def _draw_functions(rows: Sequence[Measured], unit: TimeUnit, width: Width) -> Figure:
    from matplotlib.ticker import LogLocator  # an extra

    panels = [
        panel_for(width, 220.0, "Share of samples at or below a latency"),
        panel_for(width, 220.0, "Share of samples at or above a latency", label=True),
    ]
    figure, (body, tail) = new_figure(width, panels)
    low, high = _range(rows, unit)
    for each in rows:
        values, at_or_below = distribution_steps(_scaled(each, unit))
        style: dict[str, Any] = {
            "color": each.series.colour,
            "linestyle": each.series.line_style,
            "linewidth": 2.0,
            "drawstyle": "steps-post",
        }
        count = each.samples.size
        body.plot([values[0], *values], [0.0, *(100.0 * at_or_below / count)], **style)
        tail.plot(values, (count - at_or_below + 1) / count, **style | {"drawstyle": "steps-pre"})
    for axes in (body, tail):
        log_axis(axes, "x", low, high, width.ticks)
    linear_axis(body, "y", 100.0, 5)
    body.set_yticks([0, 25, 50, 75, 100], labels=["0%", "25%", "50%", "75%", "100%"])
    rarest = 1.0 / max(each.samples.size for each in rows)
    log_axis(tail, "y", rarest, 1.0, 5)
    # Powers of ten only: their reciprocals are whole numbers.
    tail.yaxis.set_major_locator(LogLocator(numticks=5))
    tail.yaxis.set_major_formatter(lambda share, _: _one_in(share))
    tail.set_xlabel(f"latency of a call, {unit.name}, logarithmic")
    fit_left(figure, [body, tail])
    return figure


def _one_in(share: float) -> str:
    count = round(1 / share)
    return "all" if count == 1 else f"1 in {whole_text(count)}"


def _scaled(each: Measured, unit: TimeUnit) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return each.samples * (1000 * unit.per_ms)


# --- Tables. ---


def _percentile_table(rows: Sequence[Measured], unit: TimeUnit) -> Table:
    def cells(each: Measured) -> list[str]:
        row = each.row
        numbers = (row.min_ms, row.p50_ms, row.p90_ms, row.p95_ms, row.p99_ms, row.max_ms)
        return [
            each.series.name,
            whole_text(each.samples.size),
            *(significant(None if ms is None else ms * unit.per_ms) for ms in numbers),
            *(_bounds(row, name, unit) for name in ("p50_ms", *_PERCENTILES.values())),
        ]

    return table(
        f"Percentiles of the latency in {unit.name}; a missing interval is not bounded by the "
        "samples",
        (
            *("engine", "samples", "min", "p50", "p90", "p95", "p99", "max"),
            *(f"{name} interval" for name in ("p50", *_PERCENTILES)),
        ),
        map(cells, rows),
    )


def _bounds(row: BenchmarkResult, name: str, unit: TimeUnit) -> str:
    interval = row.intervals.get(name)
    if interval is None or interval.low is None or interval.high is None:
        return MISSING
    low, _, high = interval_text(
        interval.low * unit.per_ms, interval.estimate * unit.per_ms, interval.high * unit.per_ms
    )
    return f"{low} to {high} ({confidence_text(interval.confidence)})"


def _quantile_table(rows: Sequence[Measured], unit: TimeUnit) -> Table:
    def cell(each: Measured, share: float) -> str:
        beyond = each.samples.size * min(share, 100.0 - share) / 100.0
        if beyond < 1:
            return MISSING
        return significant(float(np.quantile(_scaled(each, unit), share / 100.0)))

    return table(
        f"Quantiles of the latency in {unit.name}; tails of less than one sample are left out",
        ("share", *(each.series.name for each in rows)),
        ((f"{share:g}%", *(cell(each, share) for each in rows)) for share in _SHARES),
    )
