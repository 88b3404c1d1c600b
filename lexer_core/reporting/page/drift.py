"""Did the machine change while it was measured, or one of the engines?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from lexer_core.errors import StatisticsError
from lexer_core.reporting.numbers import MISSING, significant
from lexer_core.reporting.page.figure_layout import Width, log_axis, new_sheet, panel_for
from lexer_core.reporting.page.measured import measured_rows
from lexer_core.reporting.page.plots import Plot, paragraphs
from lexer_core.reporting.page.round_marks import (
    MOST_ROUND_MARKS,
    RoundMedians,
    lines_of_medians,
    mark_rounds,
    medians_of_rounds,
    shade_warm_up,
    what_a_point_is,
)
from lexer_core.reporting.page.run_axis import run_axis
from lexer_core.reporting.page.series import Series
from lexer_core.reporting.page.tables import Table, table
from lexer_core.reporting.page.text_utils import whole
from lexer_core.reporting.page.theme import light

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.figure import Figure

    from lexer_core.reporting.page.run_axis import RunAxis
    from lexer_core.results import ReportData
    from lexer_core.results.result_records import ReferenceWorkloadTimes

__all__ = ["drift_plot"]

_LEFT = 54.0
_CANARY = Series(name="canary", role="muted", dashes=(1.0, 1.5), marker="x")


@frozen(kw_only=True, eq=False)
class _Course:
    """The round medians of one engine, or of the canary, and how far it drifted."""

    series: Series
    medians: RoundMedians
    drift: float | None = None

    @property
    def relative(self) -> npt.NDArray[np.float64]:
        """Each round's median, as a multiple of the median of all rounds."""
        found: npt.NDArray[np.float64] = self.medians.seconds / np.median(self.medians.seconds)
        return found


def drift_plot(report: ReportData) -> Plot | None:
    """Make the plot of the rounds' medians; ``None`` where there are no two rounds."""
    rows = measured_rows(report)
    if not rows:
        return None
    axis = run_axis(rows)
    if axis.rounds.size < 2:  # noqa: PLR2004  one round has no course
        return None
    courses = [
        _Course(
            series=each.series,
            medians=medians_of_rounds(each.samples, each.rounds),
            drift=each.row.diagnosis.get("drift"),
        )
        for each in rows
    ]
    canary = _canary_course(report.canary, axis)
    told = [*courses, canary] if canary is not None else courses
    return Plot(
        key="drift",
        title="What the machine did to everybody",
        caption=paragraphs(
            f"Drawn: {what_a_point_is(axis)}, as a multiple of the engine's own median. Lines that "
            "rise and fall together are the machine's doing, and cancel in the ratios; a line that "
            "goes its own way is the engine's.",
            "The canary is work that is the same in every run: it shows the machine alone."
            if canary is not None
            else "",
        ),
        description="Medians of rounds relative to each engine's own median. "
        + " ".join(map(_sentence, told)),
        draw=partial(_draw, told, axis),
        table=_table(told, axis),
        legend=tuple(course.series for course in told),
    )


def _canary_course(canary: ReferenceWorkloadTimes | None, axis: RunAxis) -> _Course | None:
    """Follow the canary through the rounds that it shares with the engines."""
    if canary is None or canary.samples is None or canary.sample_rounds is None:
        return None
    try:
        found = medians_of_rounds(
            np.asarray(canary.samples, dtype=np.float64), np.asarray(canary.sample_rounds)
        )
    except StatisticsError:
        return None  # samples that cannot be analysed: the table of launches still has it
    shared = np.isin(found.rounds, axis.rounds)
    if not shared.any():
        return None
    medians = RoundMedians(rounds=found.rounds[shared], seconds=found.seconds[shared])
    return _Course(series=_CANARY, medians=medians)


def _sentence(course: _Course) -> str:
    return (
        f"{course.series.name}: from {significant(float(course.relative.min()))} to "
        f"{significant(float(course.relative.max()))} times its median."
    )


def _draw(courses: Sequence[_Course], axis: RunAxis, width: Width) -> Figure:
    panels = [panel_for(width, 230.0, "Round ÷ all rounds, logarithmic", label=True)]
    figure, (axes,) = new_sheet(width, panels, left=_LEFT)
    shade_warm_up(axes, axis, named=True)
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
    mark_rounds(axes, axis, width, labelled=True)
    return figure


def _table(courses: Sequence[_Course], axis: RunAxis) -> Table:
    number = {int(round_id): at for at, round_id in enumerate(axis.rounds, start=1)}

    def extreme(course: _Course, at: int) -> str:
        round_id = int(course.medians.rounds[at])
        return f"{significant(float(course.relative[at]))} (round {number[round_id]})"

    return table(
        "Medians of rounds, relative to the median of all rounds",
        ("engine", "rounds", "second half against first", "fastest round", "slowest round"),
        (
            (
                course.series.name,
                whole(course.medians.rounds.size),
                MISSING if course.drift is None else f"{course.drift:+.1%}",
                extreme(course, int(course.relative.argmin())),
                extreme(course, int(course.relative.argmax())),
            )
            for course in courses
        ),
    )
