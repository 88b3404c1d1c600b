"""Which sections does a page have, and in which order?

The order is that of the terminal: the verdict and the condition of the machine, the
latencies and how certain they are, costs, output checks, warnings, the environment,
and how to repeat the run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import attrs
from attrs import frozen

from lexer_core.reporting.page.costs import cost_plot
from lexer_core.reporting.page.detail_tables import (
    diagnosis_table,
    engine_table,
    environment_table,
    output_table,
    package_table,
    parity_table,
    phase_table,
    reference_workload_text,
    settings_table,
)
from lexer_core.reporting.page.distributions import distribution_plots
from lexer_core.reporting.page.load_plots import rate_plot
from lexer_core.reporting.page.measured import undrawn
from lexer_core.reporting.page.medians import median_plot
from lexer_core.reporting.page.over_time import over_time_plot
from lexer_core.reporting.page.overview import difference_table, overview_table
from lexer_core.reporting.page.parts import Table, from_columns
from lexer_core.reporting.page.profile_plot import profile_plots
from lexer_core.reporting.page.ratios import ratio_plot
from lexer_core.reporting.page.repro_snippet import snippet
from lexer_core.reporting.page.scaling_plot import scaling_plot
from lexer_core.reporting.page.tuning_plots import front_plot, race_plot
from lexer_core.reporting.profile_layout import lay_out_profiles
from lexer_core.reporting.run_lines import model_title
from lexer_core.reporting.sentences import titles
from lexer_core.reporting.table_layout import in_order, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lexer_core.reporting.layout_records import Layout
    from lexer_core.reporting.page.parts import Plot
    from lexer_core.results import BenchmarkResult, ReportData
    from lexer_core.results.load_test import LoadTest
    from lexer_core.results.tuning import Tuning

__all__ = [
    "Block",
    "Code",
    "Figure",
    "Grid",
    "Listing",
    "Run",
    "Section",
    "Text",
    "content_of",
    "overview_of",
]


@frozen(kw_only=True)
class Text:
    """Lines of text; ``tone`` is ``"bad"``, ``"small"`` or empty."""

    kind: ClassVar = "text"
    lines: tuple[str, ...]
    tone: str = ""


@frozen(kw_only=True)
class Listing:
    """A bulleted list."""

    kind: ClassVar = "list"
    items: tuple[str, ...]


@frozen(kw_only=True)
class Grid:
    """A table; if it has a ``summary``, it is collapsed under it."""

    kind: ClassVar = "table"
    table: Table
    summary: str = ""


@frozen(kw_only=True)
class Code:
    """Preformatted text; if it has a ``summary``, it is collapsed under it."""

    kind: ClassVar = "code"
    text: str
    label: str
    summary: str = ""


@frozen(kw_only=True, eq=False)
class Figure:
    """A plot with its explanation and its numbers."""

    kind: ClassVar = "figure"
    plot: Plot


_NOT_TOGETHER = (
    "These runs were measured at different times, perhaps on different machines, so differences "
    "between them include differences between the machines. To test whether a model became "
    "slower, use lexer compare, or lexer compare --rerun, which measures both together."
)

Block = Text | Listing | Grid | Code | Figure


@frozen(kw_only=True, eq=False)
class Section:
    """A heading and the blocks below it; ``key`` is its id within the run."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@frozen(kw_only=True, eq=False)
class Run:
    """One benchmark: title, what was measured, verdict, condition, and sections.

    ``condition`` is that of the machine in one line; empty if nothing is known.
    """

    key: str
    title: str
    details: tuple[str, ...]
    verdict: tuple[str, ...]
    condition: str
    sections: tuple[Section, ...]


def content_of(measured: ReportData, *, key: str, name: str = "") -> Run:
    """Return the content of one benchmark.

    Parameters
    ----------
    measured
        The benchmark.
    key
        Prefix of the ids of the run.
    name
        The run's name among several; empty if it is the only one.
    """
    # The same order everywhere: that of the table.
    report = attrs.evolve(measured, results=in_order(measured.results))
    layout = lay_out(report)
    drawn = _worth_drawing(report)
    model = model_title(report) or "A model"
    first, *others = layout.heading or ("",)
    inputs = first.removeprefix(model_title(report)).removeprefix(" · ")
    sections = (
        Section(key="results", title="Results", blocks=_results(report)),
        Section(key="latency", title="Latency", blocks=_latency(drawn)),
        Section(
            key="time",
            title="Over time",
            blocks=_figures([over_time_plot(drawn)]),
        ),
        Section(key="ratios", title="Ratios", blocks=_figures([ratio_plot(drawn)])),
        Section(key="profile", title="Where the time goes", blocks=_profiles(report)),
        Section(key="costs", title="Costs", blocks=_figures([cost_plot(drawn)])),
        Section(key="outputs", title="Outputs", blocks=_outputs(report)),
        Section(key="diagnosis", title="Diagnosis", blocks=_diagnosis(report)),
        Section(key="environment", title="Environment", blocks=_environment(report)),
        Section(key="again", title="How to reproduce", blocks=_again(measured)),
    )
    return Run(
        key=key,
        title=f"{name}: {model}" if name else model,
        details=tuple(line for line in (inputs, *others) if line),
        verdict=layout.sentences,
        condition=f"{layout.condition[:1].upper()}{layout.condition[1:]}.".removeprefix("."),
        sections=tuple(section for section in sections if section.blocks),
    )


def overview_of(runs: Mapping[str, ReportData]) -> tuple[Section, ...]:
    """Return the sections that show several runs side by side."""
    side_by_side, footnotes = overview_table(runs)
    differing = difference_table(runs)
    blocks: list[Block] = [
        Text(lines=(_NOT_TOGETHER,)),
        Grid(table=side_by_side),
        *_small(footnotes),
    ]
    if differing.rows:
        blocks.append(Grid(table=differing))
    return (Section(key="overview", title="Overview", blocks=tuple(blocks)),)


def _figures(plots: Iterable[Plot | None]) -> tuple[Block, ...]:
    return tuple(Figure(plot=plot) for plot in plots if plot is not None)


def _small(lines: Sequence[str]) -> tuple[Block, ...]:
    return (Text(lines=tuple(lines), tone="small"),) if lines else ()


def _grid(table: Table | None, summary: str = "") -> tuple[Block, ...]:
    return () if table is None else (Grid(table=table, summary=summary),)


def _results(report: ReportData) -> tuple[Block, ...]:
    layout = lay_out(report)
    if report.tuning is not None:
        return _configurations(report, report.tuning, layout)
    if report.load_test is not None:
        return _rates(report.load_test, layout)
    named, *others = layout.columns
    speed = [column for column in others if column.group == "speed"]
    cost = [column for column in others if column.group == "cost"]
    blocks: list[Block] = [*_figures([median_plot(report)])]
    if report.results:
        blocks.append(Grid(table=from_columns("All engines, fastest first", [named, *speed])))
    blocks += _small(layout.footnotes)
    if cost:
        blocks.append(Grid(table=from_columns("Costs", [named, *cost])))
    if layout.problems:
        blocks.append(Text(lines=layout.problems, tone="bad"))
    names = titles(report.results)
    blocks += [
        Code(text=log, label="Log", summary=f"Output of the {names[row.label]} process")
        for row in report.results
        if (log := _log(row))
    ]
    return tuple(blocks)


def _configurations(report: ReportData, tuning: Tuning, layout: Layout) -> tuple[Block, ...]:
    test = report.load_test
    return (
        *_figures([front_plot(report, tuning) if test is None else rate_plot(test)]),
        *_table_of(layout, "All configurations, the best first"),
        *_figures([race_plot(tuning), scaling_plot(report, tuning)]),
    )


def _rates(test: LoadTest, layout: Layout) -> tuple[Block, ...]:
    return (
        *_figures([rate_plot(test)]),
        *_table_of(layout, "All rates, the best configuration first"),
    )


def _table_of(layout: Layout, title: str) -> tuple[Block, ...]:
    """Return what was measured as a table, and why the rest was not."""
    blocks: list[Block] = []
    if layout.columns:
        blocks.append(Grid(table=from_columns(title, layout.columns)))
    blocks += _small(layout.footnotes)
    if layout.problems:
        blocks.append(Text(lines=layout.problems, tone="bad"))
    return tuple(blocks)


def _worth_drawing(report: ReportData) -> ReportData:
    """Return a tuning with only its best rows, which have the samples of a benchmark."""
    if report.tuning is None:
        return report
    best = {each.label for each in report.tuning.configurations if each.confirmed}
    return attrs.evolve(
        report,
        results=tuple(row for row in report.results if row.label in best),
        comparisons=tuple(pair for pair in report.comparisons if {pair.a, pair.b} <= best),
    )


def _log(row: BenchmarkResult) -> str:
    """Return what the worker printed, or the end of it that a failure keeps."""
    return (row.log or (row.error.log if row.error else "")).strip()


def _latency(report: ReportData) -> tuple[Block, ...]:
    missing = undrawn(report)
    blocks = list(_figures(distribution_plots(report)))
    if missing:
        hint = (
            "Latency distributions need the raw samples, which .lexer files contain and JSON files "
            "do not. Not drawn: "
        )
        blocks.insert(0, Text(lines=(f"{hint}{'; '.join(missing)}.",)))
    return tuple(blocks)


def _profiles(report: ReportData) -> tuple[Block, ...]:
    blocks = list(_figures(profile_plots(report)))
    for layout in lay_out_profiles(report):
        if not blocks:
            blocks.append(Grid(table=from_columns("Time by operator", layout.columns)))
        blocks += [Text(lines=lines) for lines in (layout.problems, layout.facts) if lines]
    return tuple(blocks)


def _outputs(report: ReportData) -> tuple[Block, ...]:
    each = output_table(report)
    several = each is not None and len(each.rows) > len(report.results)
    return (
        *_grid(parity_table(report)),
        *_grid(each, "" if not several else "Each output"),
    )


def _diagnosis(report: ReportData) -> tuple[Block, ...]:
    layout = lay_out(report)
    blocks: list[Block] = []
    if caveats := (*layout.warnings, *layout.noise):
        blocks.append(Listing(items=caveats))
    elif any(row.status == "ok" for row in report.results):
        blocks.append(Text(lines=("No warnings.",)))
    if layout.details:
        blocks.append(Text(lines=layout.details))
    if text := reference_workload_text(report.canary):
        blocks.append(Text(lines=(text,)))
    return (*blocks, *_grid(diagnosis_table(report)))


def _environment(report: ReportData) -> tuple[Block, ...]:
    return (
        *_grid(environment_table(report)),
        *_grid(engine_table(report)),
        *_grid(package_table(report), "Package versions"),
        *_grid(phase_table(report), "Time by phase"),
    )


def _again(report: ReportData) -> tuple[Block, ...]:
    blocks: list[Block] = []
    known = {
        "Measured at": report.created_at,
        "Seed": "" if report.seed is None else str(report.seed),
        "Stop reason": report.stopped_because,
    }
    facts = [f"{name}: {value}" for name, value in known.items() if value]
    if facts:
        blocks.append(Text(lines=(f"{'. '.join(facts)}.",)))
    if report.command:
        blocks.append(Code(text=report.command, label="Command"))
    else:
        blocks += [
            Text(lines=("The run was started from Python. With your model and inputs:",)),
            Code(text=snippet(report), label="Python"),
        ]
    return (*blocks, *_grid(settings_table(report), "Settings"))
