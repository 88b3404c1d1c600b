"""How is a report converted to Markdown?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lexer_core.reporting.profile_layout import lay_out_profiles
from lexer_core.reporting.table_layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.reporting.layout_records import Column, Layout
    from lexer_core.results import ReportData

__all__ = ["escaped", "layout_to_markdown", "report_to_markdown"]

# Characters that start a tag, emphasis, code, a link, a mention or a new cell.
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#@])")


def report_to_markdown(report: ReportData) -> str:
    """Return a report as GitHub-flavoured Markdown.

    Text is escaped, so a name with ``*`` or ``|`` is shown unchanged.
    """
    return "\n".join(map(layout_to_markdown, (lay_out(report), *lay_out_profiles(report))))


def layout_to_markdown(layout: Layout) -> str:
    """Return the texts of a report as Markdown."""
    heading = [f"**{escaped(line)}**" for line in layout.heading[:1]]
    heading += [escaped(line) for line in layout.heading[1:]]
    parts = [
        "  \n".join(heading),
        _table(layout.columns),
        "  \n".join(map(escaped, layout.footnotes)),
        "  \n".join(map(escaped, (line.strip() for line in layout.problems))),
        _list(layout.sentences),
        escaped(layout.condition),
        _list([f"Note: {warning}" for warning in (*layout.warnings, *layout.noise)]),
        "  \n".join(map(escaped, layout.facts)),
        _fenced(layout.command),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: str) -> str:
    """Escape a text so that Markdown shows it unchanged."""
    return _SPECIAL.sub(r"\\\1", text)


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(text)}" for text in texts)


def _fenced(command: str) -> str:
    if not command:
        return ""
    # Longer than any run of backticks in the command.
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", command)), 0)
    return f"{fence}console\n{command}\n{fence}"


def _table(columns: Sequence[Column]) -> str:
    if not columns:
        return ""
    rules = ["---:" if column.align == "right" else ":---" for column in columns]
    lines = [[escaped(column.heading) for column in columns], rules]
    lines += [
        [escaped(column.cells[at].strip()) for column in columns]
        for at in range(len(columns[0].cells))
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
