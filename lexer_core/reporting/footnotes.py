"""Which cells of a table need a footnote?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import BenchmarkResult

__all__ = ["Footnotes", "collect_footnotes"]

_MARKS = "¹²³⁴⁵⁶⁷⁸⁹"

# p95 is last: if its column is left out, the numbers of the others have no gap.
_PERCENTILES = {"p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms", "p95": "p95_ms"}


@frozen
class Footnotes:
    """The mark of each cell that has a footnote, and the footnotes.

    Cells of a column with the same kind of note share a mark, and so do columns
    with the same notes on the same rows.
    """

    marks: Mapping[tuple[str, str], str]
    lines: tuple[str, ...]

    def mark(self, heading: str, row: BenchmarkResult) -> str:
        """Return the mark of a row's cell in a column; empty if it has none."""
        return self.marks.get((heading, row.label), "")


def collect_footnotes(rows: Sequence[BenchmarkResult], names: Mapping[str, str]) -> Footnotes:
    """Collect the notes on the percentiles of all rows."""
    notes: dict[tuple[str, str], dict[str, list[str]]] = {}
    for heading, name in _PERCENTILES.items():
        for row in rows:
            note = row.notes_on_percentiles.get(name, "")
            if name == "p50_ms" and row.loops > 1 and not note:
                note = f"of means of {row.loops} calls"
            if note and row.status == "ok":
                kind, _, detail = note.partition(":")
                details = notes.setdefault((heading, kind.strip()), {})
                details.setdefault(detail.strip(), []).append(row.label)
    marks: dict[tuple[str, str], str] = {}
    lines = []
    for at, (headings, kind, details) in enumerate(_merged(notes)):
        mark = _MARKS[at] if at < len(_MARKS) else f"({at + 1})"
        marks |= {
            (heading, label): mark
            for heading in headings
            for labels in details.values()
            for label in labels
        }
        explanations = [
            ": ".join(
                part for part in (", ".join(names[label] for label in labels), detail) if part
            )
            for detail, labels in details.items()
        ]
        lines.append(f"{mark} {', '.join(sorted(headings))} {kind} ({'; '.join(explanations)})")
    return Footnotes(marks, tuple(lines))


def _merged(
    notes: Mapping[tuple[str, str], dict[str, list[str]]],
) -> list[tuple[list[str], str, dict[str, list[str]]]]:
    groups: list[tuple[list[str], str, dict[str, list[str]]]] = []
    for (heading, kind), details in notes.items():
        for headings, other_kind, other_details in groups:
            if (other_kind, other_details) == (kind, details):
                headings.append(heading)
                break
        else:
            groups.append(([heading], kind, details))
    return groups
