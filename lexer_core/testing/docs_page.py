"""How are the checks shown in the documentation?"""

from __future__ import annotations

from lexer_core.testing.check_table import SUITES
from lexer_core.testing.model_zoo import CAPABILITIES

__all__ = ["capability_rows", "check_sections"]


def check_sections() -> str:
    """Return the checks as Markdown: a heading and a table per topic."""
    sections = []
    for suite in SUITES:
        rows = [f"| `{check.name}` | {check.level} | {check.protects} |" for check in suite.checks]
        head = [f"### {suite.title}", "", "| check | level | what it protects |", "|---|---|---|"]
        sections.append("\n".join([*head, *rows]))
    return "\n\n".join(sections)


def capability_rows() -> str:
    """Return the capabilities as a Markdown table."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in CAPABILITIES.items()]
    return "\n".join(["| capability | what is meant |", "|---|---|", *rows])
