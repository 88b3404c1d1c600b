"""Which samples were taken when, and what came before them?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from lexer_core.reporting.numbers import MISSING, significant, time_unit
from lexer_core.reporting.page.decimation import MOST_DOTS, stretches
from lexer_core.reporting.page.figure_layout import Width, log_axis, new_sheet, panel_for
from lexer_core.reporting.page.measured import measured_rows, median_text
from lexer_core.reporting.page.plots import Plot, paragraphs
from lexer_core.reporting.page.round_marks import (
    RoundMedians,
    lines_of_medians,
    mark_rounds,
    medians_of_rounds,
    shade_warm_up,
    what_a_point_is,
)
from lexer_core.reporting.page.run_axis import positions_in_run, run_axis, warm_up_positions
from lexer_core.reporting.page.tables import Table, table
from lexer_core.reporting.page.text_utils import whole
from lexer_core.reporting.page.theme import light

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.reporting.page.measured import Measured
    from lexer_core.reporting.page.run_axis import RunAxis
    from lexer_core.results import ReportData

    Floats = npt.NDArray[np.float64]

__all__ = ["timeline_plot"]

_LEFT = 54.0
_PARTS = 10


def timeline_plot(report: ReportData) -> Plot | None:
    """Make the plot of all samples over the run; ``None`` where no row has any."""
    rows = measured_rows(report)
    if not rows:
        return None
    unit = time_unit(report.results)
    axis = run_axis(rows)
    medians = {each.row.label: medians_of_rounds(each.samples, each.rounds) for each in rows}
    return Plot(
        key="timeline",
        title="Every sample, in the order of taking",
        caption=paragraphs(
            f"From left to right: {whole(axis.rounds.size)} rounds, in each of which every engine "
            f"took its turn. Dots: samples. Line: {what_a_point_is(axis)}.",
            "Grey, on the shaded strip: the warm-up, which is no part of the samples."
            if any(each.warm_up.size for each in rows)
            else "The warm-up is not in this report.",
            _decimated(rows),
        ),
        description="Latency of each sample over the rounds of the run. "
        + " ".join(_course(each, unit) for each in rows),
        draw=partial(_draw, rows, axis, medians, unit),
        table=_parts_table(rows, axis, medians, unit),
    )


def _decimated(rows: Sequence[Measured]) -> str:
    many = [
        f"{each.series.name} {whole(each.samples.size)} samples, up to "
        f"{whole(stretches(each.samples, each.samples).most)} in a stretch"
        for each in rows
        if each.samples.size > MOST_DOTS
    ]
    warm = any(each.warm_up.size > MOST_DOTS for each in rows)
    if not many and not warm:
        return ""
    numbers = f" ({'; '.join(many)})" if many else ""
    return (
        f"More than {whole(MOST_DOTS)} are not drawn one by one but in stretches of neighbours"
        f"{numbers}: the pale band goes from the fastest to the slowest of a stretch, the darker "
        "one holds its middle half."
    )


def _course(each: Measured, unit: TimeUnit) -> str:
    drift = each.row.diagnosis.get("drift")
    moved = "" if drift is None else f", moved by {drift:+.1%} between the halves of the run"
    slowest = significant(float(each.samples.max()) * 1000 * unit.per_ms)
    return (
        f"{each.series.name}: {median_text(each.row, unit)}{moved}, slowest sample {slowest} "
        f"{unit.name}."
    )


def _draw(
    rows: Sequence[Measured],
    axis: RunAxis,
    medians: Mapping[str, RoundMedians],
    unit: TimeUnit,
    width: Width,
) -> Figure:
    last = len(rows) - 1
    panels = [
        panel_for(
            width,
            150.0,
            (each.series.name, f"latency of a call, {unit.name}, logarithmic"),
            series=each.series,
            axis=at == last,
            label=at == last,
        )
        for at, each in enumerate(rows)
    ]
    figure, all_axes = new_sheet(width, panels, left=_LEFT)
    for at, (each, axes) in enumerate(zip(rows, all_axes, strict=True)):
        _draw_row(axes, each, axis, medians[each.row.label], 1000 * unit.per_ms)
        shade_warm_up(axes, axis, named=at == 0)
        mark_rounds(axes, axis, width, labelled=at == last)
    return figure


def _draw_row(
    axes: Axes, each: Measured, axis: RunAxis, medians: RoundMedians, scale: float
) -> None:
    """Draw a row's warm-ups, samples and round medians; ``scale`` turns seconds into the unit."""
    for strip in axis.strips:
        places, seconds = warm_up_positions(each, strip)
        _draw_values(axes, places, seconds * scale, light("muted"))
    _draw_values(axes, positions_in_run(each, axis), each.samples * scale, each.series.colour)
    for places, values in lines_of_medians(medians, medians.seconds * scale, axis):
        axes.plot(places, values, color=light("text"), linewidth=1.2)
    everything = np.concatenate([each.warm_up, each.samples]) * scale
    log_axis(axes, "y", float(everything.min()), float(everything.max()), 5, pad=0.06)


def _draw_values(axes: Axes, places: Floats, values: Floats, colour: str) -> None:
    """Draw each value as a dot; of many, the extremes and the middle half of neighbours."""
    if values.size > MOST_DOTS:
        _draw_bands(axes, places, values, colour)
    elif values.size:
        _draw_dots(axes, places, values, colour)


def _draw_dots(axes: Axes, places: Floats, values: Floats, colour: str) -> None:
    from matplotlib.patches import PathPatch  # an extra
    from matplotlib.path import Path

    # One path of subpaths without length: a tenth of what markers would take.
    corners = np.repeat(np.column_stack([places, values]), 2, axis=0)
    codes = np.tile([Path.MOVETO, Path.LINETO], values.size)
    axes.add_patch(
        PathPatch(
            Path(corners, codes),
            fill=False,
            edgecolor=colour,
            linewidth=3.0 if values.size <= MOST_DOTS // 3 else 2.2,
            capstyle="round",
            alpha=0.75,
        )
    )


def _draw_bands(axes: Axes, places: Floats, values: Floats, colour: str) -> None:
    found = stretches(places, values)
    edges = np.append(found.start, found.end[-1])
    for low, high, alpha in (
        (found.low, found.high, 0.3),
        (found.lower_quartile, found.upper_quartile, 0.6),
    ):
        axes.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=alpha, linewidth=0)
    # A stretch as narrow as a hair must not hide the slowest sample of all.
    axes.stairs(found.high, edges, baseline=None, color=colour, alpha=0.6, linewidth=0.8)


def _parts_table(
    rows: Sequence[Measured],
    axis: RunAxis,
    medians: Mapping[str, RoundMedians],
    unit: TimeUnit,
) -> Table:
    """Tabulate the median of each tenth of the run."""

    def text(seconds: Floats) -> str:
        if not seconds.size:
            return MISSING
        return significant(float(np.median(seconds)) * 1000 * unit.per_ms)

    def cell(each: Measured, part: npt.NDArray[np.int_]) -> str:
        found = medians[each.row.label]
        return text(found.seconds[np.isin(found.rounds, part)])

    number = {int(round_id): at for at, round_id in enumerate(axis.rounds, start=1)}
    body = [
        (
            _rounds_text(number[int(part[0])], number[int(part[-1])]),
            *(cell(each, part) for each in rows),
        )
        for part in np.array_split(axis.rounds, min(_PARTS, axis.rounds.size))
    ]
    if any(each.warm_up.size for each in rows):
        body.insert(0, ("warm-up, all of it", *(text(each.warm_up) for each in rows)))
    return table(
        f"Median of the rounds in each part of the run, in {unit.name}",
        ("part", *(each.series.name for each in rows)),
        body,
    )


def _rounds_text(first: int, last: int) -> str:
    return f"round {first}" if first == last else f"rounds {first} to {last}"
