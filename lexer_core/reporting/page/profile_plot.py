"""In which modules does each engine spend its time, drawn side by side?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from lexer_core.reporting.numbers import significant, time_unit
from lexer_core.reporting.page.figure_layout import (
    Width,
    linear_axis,
    new_figure,
    panel_for,
    share_axis,
)
from lexer_core.reporting.page.parts import Plot, paragraphs, table
from lexer_core.reporting.page.series import Series
from lexer_core.reporting.page.text_utils import harmless
from lexer_core.reporting.page.theme import light
from lexer_core.reporting.profile_layout import profile_sentences, profile_text, profiled_models
from lexer_core.reporting.profile_table import profile_table
from lexer_core.reporting.sentences import titles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from lexer_core.reporting.profile_table import ProfileTable
    from lexer_core.results import BenchmarkResult, ReportData

__all__ = ["profile_plots"]

_BAR = 26.0
_DIGIT = 9.0
_COLOURS = tuple(f"series-{at}" for at in (1, 2, 3, 4, 5, 7))
"""Without the grey one. Colours may repeat, because neighbours differ and have numbers."""

_MOST_NUMBERED = 12
_REST, _UNKNOWN = "muted", "border"


@frozen(kw_only=True)
class _Segment:
    """A part of the bars: its mark, its name, its colour, and its share by label."""

    mark: str
    name: str
    role: str
    shares: Mapping[str, float]


def profile_plots(report: ReportData) -> tuple[Plot, ...]:
    """Return a plot for each model whose time is known by module."""
    names = titles(report.results)
    plots = []
    for number, (model, rows) in enumerate(profiled_models(report).items()):
        modules = profile_table(rows)
        if modules is not None:
            plots.append(
                _plot(modules, names, model, key=f"modules-{number}" if number else "modules")
            )
    return tuple(plots)


def _plot(modules: ProfileTable, names: Mapping[str, str], model: str, *, key: str) -> Plot:
    segments = _segments(modules)
    unit = time_unit(modules.rows)
    return Plot(
        key=key,
        title=harmless(f"Time by module{f': {model}' if model else ''}"),
        caption=paragraphs(
            "A bar per engine, as long as its median. Its parts are modules of the model, in the "
            "order in which they are first executed, with the same numbers and colours for every "
            "engine. From profiled calls, scaled to the median of calls that were not profiled.",
            " ".join(map(harmless, profile_sentences(modules, names))).replace("`", "'"),
        ),
        description=" ".join(
            f"{harmless(names[row.label])}: "
            + ", ".join(
                f"{segment.name} {segment.shares[row.label]:.0%}"
                for segment in segments
                if row.label in segment.shares
            )
            + "."
            for row in modules.rows
        ),
        draw=partial(_draw, modules.rows, names, segments),
        table=table(
            f"Time in {unit.name} per call and its share, by module",
            ("module", *(harmless(names[row.label]) for row in modules.rows)),
            (
                (
                    harmless(line.name),
                    *(profile_text(line.shares.get(row.label), row, unit) for row in modules.rows),
                )
                for line in modules.lines
            ),
        ),
        legend=tuple(
            Series(
                name=f"{segment.mark} {segment.name}".strip(),
                role=segment.role,
                dashes=(),
                marker="s",
            )
            for segment in segments
        ),
    )


def _segments(modules: ProfileTable) -> list[_Segment]:
    """Return the modules that take the most time, then the others together."""
    by_size = sorted(
        (line for line in modules.lines if line.module is not None),
        key=lambda line: line.largest,
        reverse=True,
    )[:_MOST_NUMBERED]
    kept = [line for line in modules.lines if line in by_size]
    segments = [
        _Segment(
            mark=str(at),
            name=harmless(line.name),
            role=_COLOURS[(at - 1) % len(_COLOURS)],
            shares=line.shares,
        )
        for at, line in enumerate(kept, start=1)
    ]
    unknown = [line for line in modules.lines if line.name == "unattributed"]
    rest = [line for line in modules.lines if line not in kept and line not in unknown]
    for name, role, lines in (("other modules", _REST, rest), ("unattributed", _UNKNOWN, unknown)):
        shares: dict[str, float] = {}
        for line in lines:
            for label, share in line.shares.items():
                shares[label] = shares.get(label, 0.0) + share
        if shares:
            segments.append(_Segment(mark="", name=name, role=role, shares=shares))
    return segments


def _draw(
    rows: Sequence[BenchmarkResult],
    names: Mapping[str, str],
    segments: Sequence[_Segment],
    width: Width,
) -> Figure:
    unit = time_unit(rows)
    totals = {row.label: (row.p50_ms or 0.0) * unit.per_ms for row in rows}
    longest = max(totals.values()) or 1.0
    last = len(rows) - 1
    figure, all_axes = new_figure(
        width,
        [
            panel_for(
                width,
                _BAR,
                harmless(f"{names[row.label]} {significant(totals[row.label])} {unit.name}"),
                axis=at == last,
                label=at == last,
            )
            for at, row in enumerate(rows)
        ],
    )
    for at, (row, axes) in enumerate(zip(rows, all_axes, strict=True)):
        left = 0.0
        for segment in segments:
            length = segment.shares.get(row.label, 0.0) * totals[row.label]
            axes.barh(
                0.0,
                length,
                left=left,
                height=1.0,
                color=light(segment.role),
                edgecolor=light("page"),
                linewidth=1.0,
            )
            if length / longest * width.pixels > _DIGIT * (len(segment.mark) + 1):
                axes.text(
                    left + length / 2,
                    0.0,
                    segment.mark,
                    ha="center",
                    va="center",
                    color=light("page"),
                    fontweight="bold",
                )
            left += length
        linear_axis(axes, "x", longest * 1.02, width.ticks)
        label = f"{unit.name} per call" if at == last else ""
        share_axis(axes, half_height=0.5, label=label)
    return figure
