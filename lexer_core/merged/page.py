"""How do merged runs look as an HTML page?

The tables of the machines come first, then the sections of each run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexer_core.merged.plots import cost_plot, rate_plot
from lexer_core.merged.table import lay_out_group, lay_out_machines
from lexer_core.reporting.page import report_page
from lexer_core.reporting.page.content import Figure, Grid, Listing, Section, Text
from lexer_core.reporting.page.overview import difference_table
from lexer_core.reporting.page.parts import from_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.artifact.manifest import FailedRun
    from lexer_core.merged.records import Machine, MergedGroup, MergedRun
    from lexer_core.reporting.layout_records import Layout
    from lexer_core.reporting.page.content import Block

__all__ = ["merged_page"]

_MOST_RUNS = 20
_TOO_MANY = (
    "With the sections of {count} runs, this page would be too large. For the page of one of them: "
    "lexer show fleet.lexer --run NAME -o run.lexer, and lexer report run.lexer -o run.html."
)


def merged_page(
    runs: Sequence[MergedRun],
    machines: Sequence[Machine],
    groups: Sequence[MergedGroup],
    notes: Sequence[str],
    failed: Sequence[FailedRun] = (),
) -> str:
    """Return merged runs as a self-contained HTML page.

    Raises
    ------
    MissingPackageError
        The extra ``lexer-core[report]`` is not installed.
    """
    layout = lay_out_machines(machines, notes, failed)
    names = [f"{run.machine}, {run.name}" for run in runs]
    overview = [
        _section("machines", "Machines", layout, "Machines and their runs"),
        *(_of_group(group, number) for number, group in enumerate(groups, start=1)),
    ]
    if len(runs) > _MOST_RUNS:
        text = _TOO_MANY.format(count=len(runs))
        overview.append(Section(key="runs", title="Runs", blocks=(Text(lines=(text,)),)))
        return report_page([], title=layout.heading[0], overview=overview)
    differing = difference_table({name: run.report for name, run in zip(names, runs, strict=True)})
    if differing.rows:
        grid = Grid(table=differing, summary="Show all differences between the runs")
        overview.append(Section(key="differences", title="Differences", blocks=(grid,)))
    return report_page(
        [run.report for run in runs], names=names, title=layout.heading[0], overview=overview
    )


def _of_group(group: MergedGroup, number: int) -> Section:
    plots = [plot for plot in (rate_plot(group), cost_plot(group)) if plot is not None]
    return _section(
        f"group{number}",
        group.title,
        lay_out_group(group, repeat_names=True),
        "All cases by machine, the best first",
        [Figure(plot=plot) for plot in plots],
    )


def _section(
    key: str, title: str, layout: Layout, caption: str, figures: Sequence[Figure] = ()
) -> Section:
    blocks: list[Block] = [Text(lines=(sentence,)) for sentence in layout.sentences]
    blocks += figures
    blocks.append(Grid(table=from_columns(caption, layout.columns)))
    if small := (*layout.footnotes, *layout.facts):
        blocks.append(Text(lines=small, tone="small"))
    if layout.problems:
        blocks.append(Text(lines=layout.problems, tone="bad"))
    if layout.warnings:
        blocks.append(Listing(items=layout.warnings))
    return Section(key=key, title=title, blocks=tuple(blocks))
