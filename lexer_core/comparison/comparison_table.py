"""How does a comparison look on a terminal?"""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING

from lexer_core.comparison.wording import (
    HEADINGS,
    change_lines,
    judging_lines,
    pair_title,
    reason_lines,
    table_cells,
    verdict_counts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.comparison.records import ComparisonData, RunPair

__all__ = ["comparison_to_text"]

_FALLBACK_WIDTH = 100
_MIN_WIDTH = 40
_TEXT_COLUMNS = 2
"""Number of left-aligned columns; the others hold numbers and are right-aligned."""


def comparison_to_text(comparison: ComparisonData, width: int | None = None) -> str:
    """Return the comparison as plain text, with a table for each new run.

    Parameters
    ----------
    comparison
        The comparison.
    width
        Maximum length of text lines. Default: the terminal's width (``COLUMNS``)
        or 100. Tables are never wrapped.
    """
    columns = width or shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns
    columns = max(columns, _MIN_WIDTH)
    return "\n\n".join(_pair(pair, comparison.method, columns) for pair in comparison.pairs)


def _pair(pair: RunPair, method: str, width: int) -> str:
    parts = [
        _wrapped([f"NOT COMPARABLE: {pair.wrong_base}."] if pair.wrong_base else [], width),
        [f"{pair_title(pair)}: {verdict_counts(pair.cases)}"],
        _table([HEADINGS, *table_cells(pair)]),
        _wrapped(reason_lines(pair), width),
        ["Changed:", *_wrapped(change_lines(pair), width, indent="  ")],
        _wrapped(judging_lines(pair, method), width),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    from rich.cells import cell_len  # measures wide characters; rich is slow to import

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
