"""How is a comparison shown on a terminal?"""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from lexer_core.comparison.wording import (
    HEADINGS,
    cells,
    change_lines,
    count_of_verdicts,
    facts,
    reasons,
    subject,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.comparison.records import ComparisonData, RunPair

__all__ = ["comparison_to_text"]

_FALLBACK_WIDTH = 100
_LEAST_WIDTH = 40
_TEXT_COLUMNS = 2
"""So many columns are set to the left; numbers to the right."""


def comparison_to_text(comparison: ComparisonData, width: int | None = None) -> str:
    """Give the comparison as plain text, a table for each new run.

    Parameters
    ----------
    comparison
        What is to be shown.
    width
        Characters in a line of prose; that of the terminal, or of ``COLUMNS``,
        or 100, when it is not given. A table is never broken.
    """
    room = width or shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns
    room = max(room, _LEAST_WIDTH)
    return "\n\n".join(_pair(pair, comparison.method, room) for pair in comparison.pairs)


def _pair(pair: RunPair, method: str, width: int) -> str:
    parts = [
        [f"{subject(pair)}: {count_of_verdicts(pair.cases)}"],
        _table([HEADINGS, *cells(pair)]),
        _wrapped(reasons(pair), width),
        ["Changed:", *_wrapped(change_lines(pair), width, indent="  ")],
        _wrapped(facts(pair, method), width),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    from rich.cells import cell_len  # knows wide characters; nothing else of rich is needed

    widths = [max(cell_len(row[at]) for row in rows) for at in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        shown = []
        for at, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - cell_len(cell))
            shown.append(cell + space if at < _TEXT_COLUMNS else space + cell)
        return "  ".join(shown).rstrip()

    heading, *body = rows
    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    return [line(heading), rule, *map(line, body)]


def _wrapped(texts: Sequence[str], width: int, indent: str = "") -> list[str]:
    return [
        line
        for text in texts
        for line in textwrap.wrap(
            text,
            width,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
