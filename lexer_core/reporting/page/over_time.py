"""How did the latencies change during the run?

One panel per engine shows every sample. The last one shows the round medians of
all engines, each relative to its own median: there, what the machine did moves
all lines together, and what an engine did moves only its own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.reporting.numbers import MISSING, significant, time_unit, whole_text
from lexer_core.reporting.page.decimation import MOST_DOTS, stretches
from lexer_core.reporting.page.figure_layout import (
    Width,
    fit_left,
    log_axis,
    new_figure,
    panel_for,
)
from lexer_core.reporting.page.measured import measured_rows, median_text
from lexer_core.reporting.page.parts import Plot, Table, paragraphs, table
from lexer_core.reporting.page.run_axis import (
    MOST_ROUND_MARKS,
    RoundMedians,
    describe_point,
    lines_of_medians,
    mark_rounds,
    medians_of_rounds,
    positions_in_run,
    run_axis,
    shade_warm_up,
    warm_up_positions,
)
from lexer_core.reporting.page.series import Series
from lexer_core.reporting.page.theme import light

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lexer_core.reporting.numbers import TimeUnit
    from lexer_core.reporting.page.measured import Measured
    from lexer_core.reporting.page.run_axis import RunAxis
    from lexer_core.results import ReportData
    from lexer_core.results.result_records import ReferenceWorkloadTimes

    Floats = npt.NDArray[np.float64]

__all__ = ["over_time_plot"]

_PARTS = 10
_REFERENCE = Series(name="reference workload", role="muted", dashes=(1.0, 1.5), marker="x")


@frozen(kw_only=True, eq=False)
class _Course:
    """An engine over the rounds, or the reference workload, which has no row."""

    series: Series
    medians: RoundMedians
    measured: Measured | None = None

    @property
    def relative(self) -> Floats:
        """The median of each round, divided by the median of all of them."""
        ratio: Floats = self.medians.seconds / np.median(self.medians.seconds)
        return ratio

    @property
    def drift(self) -> float | None:
        return None if self.measured is None else self.measured.row.diagnosis.get("drift")


def over_time_plot(report: ReportData) -> Plot | None:
    """Return the plot of all samples over the run; ``None`` if no row has samples."""
    rows = measured_rows(report)
    if not rows:
        return None
    unit = time_unit(report.results)
    axis = run_axis(rows)
    engines = [
        _Course(
            series=each.series,
            medians=medians_of_rounds(each.samples, each.rounds),
            measured=each,
        )
        for each in rows
    ]
    reference = _reference_course(report.canary, axis)
    courses = [*engines, reference] if reference is not None else engines
    relative = axis.rounds.size > 1
    return Plot(
        key="samples",
        title="Every sample, and the median of every round",
        caption=paragraphs(
            f"The run has {whole_text(axis.rounds.size)} rounds, and every engine takes a turn in "
            f"each. Dots are samples; the line is {describe_point(axis)}.",
            "Grey dots on the shaded strip are warm-up, which is not part of the samples."
            if any(each.warm_up.size for each in rows)
            else "This report has no warm-up samples.",
            _decimated(rows),
            "Last panel: round medians, relative to the engine's own median. Lines that rise and "
            "fall together show the machine, and cancel in the ratios. A line that moves alone "
            "shows its engine."
            if relative
            else "",
            "The reference workload is the same in every run, so it shows the machine alone."
            if relative and reference is not None
            else "",
        ),
        description="Latency of each sample over the rounds of the run. "
        + " ".join(_sentence(course, unit) for course in courses),
        draw=partial(_draw, courses, axis, unit),
        table=_table(courses, axis, unit),
        legend=tuple(course.series for course in courses) if relative else (),
    )


def _reference_course(times: ReferenceWorkloadTimes | None, axis: RunAxis) -> _Course | None:
    """Return the reference workload in the rounds that it shares with the engines."""
    if times is None or times.samples is None or times.sample_rounds is None:
        return None
    try:
        found = medians_of_rounds(
            np.asarray(times.samples, dtype=np.float64), np.asarray(times.sample_rounds)
        )
    except StatisticsError:
        return None  # these samples cannot be analysed; the launch medians are still shown
    shared = np.isin(found.rounds, axis.rounds)
    if not shared.any():
        return None
    medians = RoundMedians(rounds=found.rounds[shared], seconds=found.seconds[shared])
    return _Course(series=_REFERENCE, medians=medians)


def _decimated(rows: Sequence[Measured]) -> str:
    many = [
        f"{each.series.name}: {whole_text(each.samples.size)} samples, up to "
        f"{whole_text(stretches(each.samples, each.samples).most)} per group"
        for each in rows
        if each.samples.size > MOST_DOTS
    ]
    warm = any(each.warm_up.size > MOST_DOTS for each in rows)
    if not many and not warm:
        return ""
    numbers = f" ({'; '.join(many)})" if many else ""
    return (
        f"More than {whole_text(MOST_DOTS)} samples are drawn in groups of neighbours{numbers}: "
        "the light band holds nine tenths of a group, the dark band its middle half, and dots are "
        "its fastest and its slowest."
    )


def _sentence(course: _Course, unit: TimeUnit) -> str:
    name, relative = course.series.name, course.relative
    spread = (
        f"round medians {significant(float(relative.min()))} to "
        f"{significant(float(relative.max()))} times its median"
    )
    if course.measured is None:
        return f"{name}: {spread}."
    slowest = significant(float(course.measured.samples.max()) * 1000 * unit.per_ms)
    facts = [median_text(course.measured.row, unit)]
    if course.drift is not None:
        facts.append(f"second half of the run {course.drift:+.1%}")
    return f"{name}: {', '.join([*facts, spread])}, slowest sample {slowest} {unit.name}."


# --- Drawing. ---


def _draw(courses: Sequence[_Course], axis: RunAxis, unit: TimeUnit, width: Width) -> Figure:
    rows = [(course, course.measured) for course in courses if course.measured is not None]
    relative = axis.rounds.size > 1
    last = len(rows) - 1 + relative
    panels = [
        panel_for(
            width,
            150.0,
            (course.series.name, f"latency of a call, {unit.name}, logarithmic"),
            series=course.series,
            axis=at == last,
            label=at == last,
        )
        for at, (course, _) in enumerate(rows)
    ]
    if relative:
        panels.append(
            panel_for(width, 200.0, "Round median ÷ median of all rounds, logarithmic", label=True)
        )
    figure, all_axes = new_figure(width, panels)
    for (course, measured), axes in zip(rows, all_axes, strict=False):
        _draw_samples(axes, measured, axis, course.medians, 1000 * unit.per_ms)
    if relative:
        _draw_relative(all_axes[-1], courses, axis)
    for at, axes in enumerate(all_axes):
        shade_warm_up(axes, axis, named=at == 0)
        mark_rounds(axes, axis, width, labelled=at == last)
    fit_left(figure, all_axes)
    return figure


def _draw_samples(
    axes: Axes, each: Measured, axis: RunAxis, medians: RoundMedians, scale: float
) -> None:
    """Draw a row's warm-ups, samples and round medians; ``scale`` converts seconds to the unit."""
    for strip in axis.strips:
        places, seconds = warm_up_positions(each, strip)
        _draw_values(axes, places, seconds * scale, light("muted"))
    _draw_values(axes, positions_in_run(each, axis), each.samples * scale, each.series.colour)
    for places, values in lines_of_medians(medians, medians.seconds * scale, axis):
        axes.plot(places, values, color=light("text"), linewidth=1.2)
    everything = np.concatenate([each.warm_up, each.samples]) * scale
    log_axis(axes, "y", float(everything.min()), float(everything.max()), 5, pad=0.06)


def _draw_relative(axes: Axes, courses: Sequence[_Course], axis: RunAxis) -> None:
    reached = [1.0]
    for course in courses:
        for places, values in lines_of_medians(course.medians, course.relative, axis):
            axes.plot(
                places,
                values,
                color=course.series.colour,
                linestyle=course.series.line_style,
                linewidth=1.6,
                marker=course.series.marker,
                markersize=4.0 if values.size <= MOST_ROUND_MARKS else 0.0,
            )
            reached += [float(values.min()), float(values.max())]
    axes.axhline(1.0, color=light("muted"), linewidth=1.0, zorder=0.9)
    log_axis(axes, "y", min(reached), max(reached), 6, pad=0.06)


def _draw_values(axes: Axes, places: Floats, values: Floats, colour: str) -> None:
    """Draw each value as a dot; if there are too many, draw the density of groups of neighbours."""
    if values.size > MOST_DOTS:
        _draw_bands(axes, places, values, colour)
    elif values.size:
        _draw_dots(axes, places, values, colour)


def _draw_dots(axes: Axes, places: Floats, values: Floats, colour: str) -> None:
    from matplotlib.patches import PathPatch  # an extra
    from matplotlib.path import Path

    # One path of subpaths without length is a tenth of the size of markers.
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
        (found.lower, found.upper, 0.3),
        (found.lower_quartile, found.upper_quartile, 0.6),
    ):
        axes.stairs(high, edges, baseline=low, fill=True, color=colour, alpha=alpha, linewidth=0)
    # Bands from the fastest to the slowest would be solid blocks: most groups of thousands
    # of samples contain an outlier.
    middles = (found.start + found.end) / 2.0
    extremes = np.concatenate([found.low, found.high])
    _draw_dots(axes, np.tile(middles, 2), extremes, colour)


# --- The table. ---


def _table(courses: Sequence[_Course], axis: RunAxis, unit: TimeUnit) -> Table:
    """Tabulate the median of each tenth of the run, and how far the rounds spread."""

    def time(seconds: Floats) -> str:
        if not seconds.size:
            return MISSING
        return significant(float(np.median(seconds)) * 1000 * unit.per_ms)

    def extreme(course: _Course, at: int) -> str:
        number = numbers[int(course.medians.rounds[at])]
        return f"{significant(float(course.relative[at]))}x (round {number})"

    numbers = {int(round_id): at for at, round_id in enumerate(axis.rounds, start=1)}
    body = [
        (
            _rounds_text(numbers[int(part[0])], numbers[int(part[-1])]),
            *(time(each.medians.seconds[np.isin(each.medians.rounds, part)]) for each in courses),
        )
        for part in np.array_split(axis.rounds, min(_PARTS, axis.rounds.size))
    ]
    warm_ups = [each.measured.warm_up if each.measured else np.empty(0) for each in courses]
    if any(seconds.size for seconds in warm_ups):
        body.insert(0, ("warm-up", *map(time, warm_ups)))
    if axis.rounds.size > 1:
        drifts = [MISSING if each.drift is None else f"{each.drift:+.1%}" for each in courses]
        body += [
            ("second half vs. first half", *drifts),
            ("fastest round ÷ median", *(extreme(c, int(c.relative.argmin())) for c in courses)),
            ("slowest round ÷ median", *(extreme(c, int(c.relative.argmax())) for c in courses)),
        ]
    return table(
        f"Median of the round medians in each part of the run, in {unit.name}",
        ("part", *(each.series.name for each in courses)),
        body,
    )


def _rounds_text(first: int, last: int) -> str:
    return f"round {first}" if first == last else f"rounds {first} to {last}"
