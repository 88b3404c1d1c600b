"""How is a report shown in a notebook?

As an HTML fragment without a style sheet, which uses the notebook's colours and
fonts, light or dark.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from lexer_core.reporting.profile_layout import lay_out_profiles
from lexer_core.reporting.table_layout import in_order, lay_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lexer_core.reporting.layout_records import Column, Layout
    from lexer_core.results import ReportData

__all__ = ["layout_to_html", "report_to_html"]

# Readable on white and on black.
_TONES = {"good": "color:#2e8b57", "bad": "color:#d9433f", "": ""}


def report_to_html(report: ReportData) -> str:
    """Return a report as an HTML fragment; all text is escaped."""
    profiles = "".join(map(layout_to_html, lay_out_profiles(report)))
    return layout_to_html(lay_out(report), _shares(report)) + profiles


def layout_to_html(layout: Layout, shares: Sequence[float] = ()) -> str:
    """Return the texts of a report as an HTML fragment.

    ``shares`` are the lengths of the bars of the medians, from 0 to 1; none if empty.
    """
    title, *details = layout.heading or ("",)
    parts = [
        f"<p><strong>{escape(title)}</strong></p>" if title else "",
        _small(details),
        _table(layout.columns, shares),
        _small(layout.footnotes),
        "".join(
            f'<p style="{_TONES["bad"]}">{escape(line.strip())}</p>' for line in layout.problems
        ),
        _list(layout.sentences),
        _small([layout.condition] if layout.condition else []),
        _list([f"Note: {warning}" for warning in (*layout.warnings, *layout.noise)]),
        _small(layout.facts),
        f"<pre>{escape(layout.command)}</pre>" if layout.command else "",
    ]
    return f'<div class="lexer-report">{"".join(parts)}</div>'


def _small(lines: Sequence[str]) -> str:
    return f"<p><small>{'<br>'.join(map(escape, lines))}</small></p>" if lines else ""


def _list(texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _shares(report: ReportData) -> list[float]:
    """Return the length of each row's bar as a share of the slowest median; 0 without one."""
    medians = [
        row.p50_ms if row.p50_ms is not None and math.isfinite(row.p50_ms) else 0.0
        for row in in_order(report.results)
    ]
    slowest = max(medians, default=0.0)
    return [median / slowest if slowest else 0.0 for median in medians]


def _table(columns: Sequence[Column], shares: Sequence[float]) -> str:
    if not columns:
        return ""
    named, *rest = columns
    heads = "".join(
        f'<th scope="col" style="text-align:{column.align}">{escape(column.heading)}</th>'
        for column in columns
    )
    rows = []
    for at, name in enumerate(named.cells):
        cells = "".join(
            _cell(column, at, shares[at] if shares and column.heading.startswith("p50 ") else 0.0)
            for column in rest
        )
        rows.append(f'<tr><th scope="row" style="text-align:left">{escape(name)}</th>{cells}</tr>')
    return (
        '<div style="overflow-x:auto"><table>'
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(column: Column, at: int, share: float) -> str:
    tone = _TONES[column.tones[at]] if column.tones else ""
    style = f"text-align:{column.align};white-space:nowrap;{tone}".rstrip(";")
    return f'<td style="{style}">{escape(column.cells[at])}{_bar(share)}</td>'


def _bar(share: float) -> str:
    """Return a bar under the number, in the colour of the text."""
    if share <= 0:
        return ""
    style = f"width:{100 * share:.1f}%;height:0.3em;background:currentColor;opacity:0.4"
    return f'<div aria-hidden="true" style="{style}"></div>'
