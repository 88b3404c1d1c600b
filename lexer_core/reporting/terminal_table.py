"""How is a report printed on a terminal?

Nothing is cut off: columns that do not fit next to each other go into a second
table below, and long lines wrap.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, TextIO

import attrs

from lexer_core.reporting.load_chart import load_chart
from lexer_core.reporting.profile_layout import lay_out_profiles
from lexer_core.reporting.table_layout import lay_out
from lexer_core.reporting.tuning_chart import tuning_chart

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console
    from rich.table import Table

    from lexer_core.reporting.layout_records import Column, Layout
    from lexer_core.results import ReportData

__all__ = ["encodable", "layouts_to_text", "print_layouts", "print_report", "report_to_text"]

_FALLBACK_WIDTH = 100
_MOST_CAVEATS = 3
_GAP = 2
_WIDEST_WORD = 30
_TONES = {"good": "green", "bad": "red", "": ""}

_ASCII = str.maketrans(
    {"±": "+-", "✓": "ok", "✗": "NO", "—": "-", "–": "-", "×": "x", "·": "|", "µ": "u", "…": "..."}
    | {"─": "-", "│": "|", "└": "+", "░": ":", "≤": "<=", "≥": ">=", "◂": "<"}
    | {mark: f"({at})" for at, mark in enumerate("¹²³⁴⁵⁶⁷⁸⁹", start=1)}
)


def report_to_text(
    report: ReportData,
    width: int | None = None,
    *,
    verbose: bool = False,
    how_to_see_more: str = "--verbose",
    depth: int | None = None,
) -> str:
    """Return a report as plain text, with its profiles if it has any.

    Parameters
    ----------
    report
        The report.
    width
        Characters per line. Default: ``COLUMNS``, the width of the terminal, or 100.
    verbose
        Whether to show all caveats, the details of a noisy machine, and where the time
        went. Otherwise the most important caveats are shown, and how many more there are.
    how_to_see_more
        What shows the other caveats.
    depth
        How many names of a module's path the profiles show. Default: as few as show where
        most of the time goes.
    """
    table = _rendered(lay_out(report), width, verbose, how_to_see_more)
    profiles = lay_out_profiles(report, depth)
    return "\n\n".join([table, *([layouts_to_text(profiles, width)] if profiles else [])])


def layouts_to_text(layouts: Sequence[Layout], width: int | None = None) -> str:
    """Return several tables as plain text, one below the other."""
    return "\n\n".join(_rendered(layout, width, True, "") for layout in layouts)


def _rendered(
    layout: Layout,
    width: int | None,
    verbose: bool,
    how_to_see_more: str,
    chart: Sequence[str] = (),
) -> str:
    from rich.console import Console  # takes 60 ms to import

    text = io.StringIO()
    console = Console(
        file=text,
        width=width or _terminal_width(),
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
        # Without the environment: FORCE_COLOR is for terminals, not for str().
        _environ={},
    )
    _print(console, layout, verbose, how_to_see_more, chart)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _terminal_width() -> int:
    return shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns


def print_report(
    report: ReportData,
    file: TextIO | None = None,
    *,
    verbose: bool = False,
    how_to_see_more: str = "--verbose",
    depth: int | None = None,
) -> None:
    """Print a report, in colour on a terminal unless ``NO_COLOR`` is set.

    Characters that the stream cannot encode are replaced by ASCII. ``verbose``,
    ``how_to_see_more`` and ``depth`` are as in :func:`report_to_text`. On a terminal that is
    wide enough, a tuning has a chart of throughput over latency, and a load test one of
    latency over rate.
    """
    stream = file or sys.stdout
    width = _terminal_width()
    chart = (load_chart(report, width) or tuning_chart(report, width)) if stream.isatty() else ()
    _print_to(stream, lay_out(report), verbose, how_to_see_more, chart)
    if profiles := lay_out_profiles(report, depth):
        stream.write("\n")
        print_layouts(profiles, stream)


def print_layouts(layouts: Sequence[Layout], file: TextIO | None = None) -> None:
    """Print several tables as :func:`print_report` prints one, with all caveats."""
    stream = file or sys.stdout
    for at, layout in enumerate(layouts):
        if at:
            stream.write("\n")
        _print_to(stream, layout, True, "")


def _print_to(
    stream: TextIO,
    layout: Layout,
    verbose: bool,
    how_to_see_more: str,
    chart: Sequence[str] = (),
) -> None:
    from rich.console import Console  # as above

    shows_all = encodable("±✓─", stream.encoding) == "±✓─"
    if stream.isatty() and shows_all and not os.environ.get("NO_COLOR"):
        console = Console(file=stream, force_jupyter=False)
        _print(console, layout, verbose, how_to_see_more, chart)
    else:
        if not shows_all:
            # Before the columns are aligned: some replacements are longer.
            layout = _encodable_layout(layout, stream.encoding)
        text = _rendered(layout, None, verbose, how_to_see_more, chart)
        stream.write(encodable(text, stream.encoding) + "\n")


def encodable(text: str, encoding: str | None) -> str:
    """Replace the characters that an encoding lacks by ASCII."""
    name = encoding or "utf-8"
    try:
        text.encode(name)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(name, errors="replace").decode(name)
    return text


def _encodable_layout(layout: Layout, encoding: str | None) -> Layout:
    def converted(texts: Sequence[str]) -> tuple[str, ...]:
        return tuple(encodable(text, encoding) for text in texts)

    columns = tuple(
        attrs.evolve(
            column, heading=encodable(column.heading, encoding), cells=converted(column.cells)
        )
        for column in layout.columns
    )
    return attrs.evolve(layout, columns=columns, footnotes=converted(layout.footnotes))


def _print(
    console: Console,
    layout: Layout,
    verbose: bool,
    how_to_see_more: str,
    chart: Sequence[str] = (),
) -> None:
    from rich.text import Text  # as above

    def lines(texts: Sequence[str], style: str = "", mark: str = "") -> None:
        for text in texts:
            body = text.lstrip()
            indent = " " * (len(text) - len(body)) + mark
            for at, line in enumerate(_wrapped(body, console.width - len(indent))):
                start = indent if at == 0 else " " * len(indent)
                console.print(Text(start + line, style=style), soft_wrap=True)

    lines(layout.heading[:1], "bold")
    lines(layout.heading[1:], "dim")
    pages = _pages(layout.columns, console.width, layout.names)
    for columns in pages:
        console.print()
        # If one column alone is wider than the terminal, do not cut it off.
        needed = sum(_width(column) + _GAP for column in columns)
        table = _table(columns, console.width)
        console.print(table, width=max(console.width, needed), crop=False, soft_wrap=True)
    cells = [cell for columns in pages for column in columns for cell in column.cells]
    # If a column is left out, its footnote has no mark in the table.
    lines([note for note in layout.footnotes if _marks_any(note, cells)], "dim")
    if chart:
        console.print()
        for line in chart:
            console.print(Text(line), soft_wrap=True)
    for texts, style in ((layout.problems, "red"), (layout.sentences, "bold")):
        if texts:
            console.print()
            lines(texts, style)
    _print_caveats(layout, lines, verbose, how_to_see_more)
    facts = (*layout.facts, *layout.details) if verbose else layout.facts
    if facts:
        console.print()
        lines(facts, "dim")
    if layout.command:
        # On one line, so that it can be copied.
        console.print(Text(f"Repeat: {layout.command}", style="dim"), soft_wrap=True)


def _print_caveats(
    layout: Layout, lines: Callable[..., None], verbose: bool, how_to_see_more: str
) -> None:
    caveats = (*layout.warnings, *layout.noise)
    shown = caveats if verbose else layout.warnings[:_MOST_CAVEATS]
    if not (layout.condition or caveats):
        return
    lines([""])
    if layout.condition:
        lines([layout.condition], "yellow" if layout.is_noisy else "dim", "! " * layout.is_noisy)
    lines(shown, "yellow", "! ")
    if more := len(caveats) - len(shown):
        lines([f"{more} more with {how_to_see_more}"], "dim")


def _marks_any(footnote: str, cells: Sequence[str]) -> bool:
    mark = footnote.split(" ", 1)[0]
    return any(cell.startswith(mark) or cell.endswith(mark) for cell in cells)


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, max(width, 20), break_on_hyphens=False, break_long_words=False) or [
        ""
    ]


def _width(column: Column) -> int:
    return max(map(_cells, (column.heading, *column.cells)))


def _cells(text: str) -> int:
    from rich.cells import cell_len  # as above; counts wide characters twice

    return cell_len(text)


def _least_name_width(named: Column) -> int:
    words = [word for cell in (named.heading, *named.cells) for word in cell.split()]
    return min(max(map(_cells, words)), _WIDEST_WORD)


def _pages(columns: Sequence[Column], width: int, names: int) -> list[tuple[Column, ...]]:
    """Distribute the columns over as few tables as possible, each with the rows' names.

    All in one table; otherwise without the optional columns; otherwise speed and
    costs in separate tables, where what does not fit into the first may share the
    second; otherwise as many columns in each as fit.
    """
    if not columns:
        return []
    named, rest = columns[:names], columns[names:]
    least = _least_name_width(named[0])
    # A name that is shown once for several rows is not wrapped to save an optional column.
    preferred = least if names == 1 else min(_width(named[0]), _WIDEST_WORD)

    def fits(chosen: Sequence[Column], first: int = least) -> bool:
        others = sum(_width(column) + _GAP for column in (*named[1:], *chosen))
        return others <= width - first

    needed = [column for column in rest if not column.optional]
    for chosen, first in ((rest, preferred), (needed, preferred), (needed, least)):
        if fits(chosen, first):
            return [(*named, *chosen)]
    pages: list[list[Column]] = []
    for group in ("speed", "cost"):
        members = [column for column in rest if column.group == group]
        if not fits(members):
            members = [column for column in members if not column.optional]
        # The few that a group has too many for one table share the next one.
        if len(pages) < 2 or not fits([*pages[-1], *members]):  # noqa: PLR2004
            pages.append([])
        for column in members:
            if pages[-1] and not fits([*pages[-1], column]):
                pages.append([])
            pages[-1].append(column)
    return [(*named, *page) for page in pages if page]


def _table(columns: Sequence[Column], width: int) -> Table:
    from rich import box  # as above
    from rich.table import Table
    from rich.text import Text

    # The box puts one space between columns, the padding the other.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    named, *rest = columns
    left = width - sum(_width(column) + _GAP for column in rest)
    name_width = max(min(_width(named), left), _least_name_width(named))
    table.add_column(Text(named.heading), width=name_width, overflow="fold")
    for column in rest:
        table.add_column(
            Text(column.heading), justify=column.align, no_wrap=True, width=_width(column)
        )
    for at, name in enumerate(named.cells):
        texts = [_folded(name, name_width), *(column.cells[at] for column in rest)]
        styles = [_tone(column, at) for column in columns]
        table.add_row(*map(Text, texts, styles))
    return table


def _folded(name: str, width: int) -> str:
    """Break a name that is too long where a part of it ends, such as an option."""
    lines = [""]
    for part in re.split(r"(?=\[)|(?<=[, ])", name):
        if lines[-1] and _cells(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)


def _tone(column: Column, at: int) -> str:
    return _TONES[column.tones[at]] if column.tones else ""
