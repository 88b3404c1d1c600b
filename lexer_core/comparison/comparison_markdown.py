"""How is a comparison shown in a pull request?"""

from __future__ import annotations

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
from lexer_core.reporting.report_markdown import escaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.comparison.records import ComparisonData, RunPair

__all__ = ["MARKER", "comparison_to_markdown"]

MARKER = "<!-- lexer compare -->"
"""First line of the text, and not shown: by it a job finds the comment that it wrote
for an earlier commit, to replace it."""

_BOLD = ("REGRESSION", "IMPROVED")


def comparison_to_markdown(comparison: ComparisonData) -> str:
    """Give the comparison as GitHub shows it in a comment.

    The verdicts come first, what changed and how it was judged are folded away.
    Every text in it is taken for what it says: a title with ``*`` or ``@`` in it
    stays that title.
    """
    heading = f"### Lexer: {escaped(count_of_verdicts(comparison.cases))}"
    parts = [f"{MARKER}\n{heading}"]
    for pair in comparison.pairs:
        parts += _pair(pair, comparison.method)
    return "\n\n".join(part for part in parts if part) + "\n"


def _pair(pair: RunPair, method: str) -> list[str]:
    return [
        f"{escaped(subject(pair))}:",
        _table(pair),
        _list(reasons(pair)),
        _folded("What changed", change_lines(pair)),
        _folded("How this was judged", facts(pair, method)),
    ]


def _table(pair: RunPair) -> str:
    lines: list[tuple[str, ...]] = [HEADINGS, (":---", ":---", "---:", "---:", "---:", "---:")]
    for label, verdict, *numbers in cells(pair):
        shown = f"**{verdict}**" if verdict in _BOLD else verdict
        lines.append((escaped(label), shown, *map(escaped, numbers)))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escaped(_one_line(text))}" for text in texts)


def _folded(summary: str, texts: Sequence[str]) -> str:
    # The empty lines let Markdown be read within the tags.
    return f"<details><summary>{summary}</summary>\n\n{_list(texts)}\n\n</details>"


def _one_line(text: str) -> str:
    return " ".join(text.split())
