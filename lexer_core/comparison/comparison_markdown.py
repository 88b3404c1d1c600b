"""How does a comparison look in a pull request?"""

from __future__ import annotations

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
from lexer_core.reporting.report_markdown import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.comparison.records import ComparisonData, RunPair

__all__ = ["MARKER", "comparison_to_markdown"]

MARKER = "<!-- lexer compare -->"
"""Hidden first line, by which a CI job finds its previous comment to replace it."""

_BOLD = ("REGRESSION", "IMPROVED")


def comparison_to_markdown(comparison: ComparisonData) -> str:
    """Return the comparison as Markdown for a GitHub comment.

    Verdicts come first; what changed and how it was judged are collapsed. All
    texts are escaped, so a ``*`` or ``@`` in a title is shown as it is.
    """
    wrong = next((pair.wrong_base for pair in comparison.pairs if pair.wrong_base), "")
    said = f"NOT COMPARABLE: {wrong}." if wrong else verdict_counts(comparison.cases)
    heading = f"### Lexer: {escaped(said)}"
    parts = [f"{MARKER}\n{heading}"]
    for pair in comparison.pairs:
        parts += _pair(pair, comparison.method)
    return "\n\n".join(part for part in parts if part) + "\n"


def _pair(pair: RunPair, method: str) -> list[str]:
    return [
        f"{escaped(pair_title(pair))}:",
        _table(pair),
        _list(reason_lines(pair)),
        _collapsed("What changed", change_lines(pair)),
        _collapsed("How this was judged", judging_lines(pair, method)),
    ]


def _table(pair: RunPair) -> str:
    lines: list[tuple[str, ...]] = [HEADINGS, (":---", ":---", "---:", "---:", "---:", "---:")]
    for label, verdict, *numbers in table_cells(pair):
        shown = f"**{verdict}**" if verdict in _BOLD else verdict
        lines.append((escaped(label), shown, *map(escaped, numbers)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(_one_line(text))}" for text in texts)


def _collapsed(summary: str, texts: Sequence[str]) -> str:
    # The empty lines make GitHub render Markdown inside the tags.
    return f"<details><summary>{summary}</summary>\n\n{_list(texts)}\n\n</details>"


def _one_line(text: str) -> str:
    return " ".join(text.split())
