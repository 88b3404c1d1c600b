"""Which cells of a table need a footnote?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lexer_core.results import BenchmarkResult

__all__ = ["Footnotes", "collect_footnotes"]

_MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
_APPROXIMATE = "~"
_APPROXIMATE_NOTE = (
    "~ from too few independent samples for a confidence interval; --tails measures until p99 "
    "has one"
)

# p95 is last: if its column is left out, the numbers of the others have no gap.
_PERCENTILES = {"p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms", "p95": "p95_ms"}


@frozen
class Footnotes:
    """The mark of each cell that has a footnote, and the footnotes.

    Percentiles of too few samples have a ``~`` in front, and one footnote for all
    of them. Other cells of a column with the same kind of note share a mark, and so do columns
    with the same notes on the same rows.
    """

    marks: Mapping[tuple[str, str], str]
    approximate: frozenset[tuple[str, str]]
    lines: tuple[str, ...]

    def marked(self, text: str, heading: str, row: BenchmarkResult) -> str:
        """Return the text of a row's cell in a column with its mark: ``~18.5``, ``9.78¹``."""
        cell = (heading, row.label)
        return f"{_APPROXIMATE if cell in self.approximate else ''}{text}{self.marks.get(cell, '')}"


def collect_footnotes(rows: Sequence[BenchmarkResult], names: Mapping[str, str]) -> Footnotes:
    """Collect the notes on the percentiles of all rows."""
    notes: dict[tuple[str, str], dict[str, list[str]]] = {}
    approximate: set[tuple[str, str]] = set()
    for heading, name in _PERCENTILES.items():
        for row in rows:
            note = row.notes_on_percentiles.get(name, "")
            if name == "p50_ms" and row.loops > 1 and not note:
                note = f"of means of {row.loops} calls"
            if note and row.status == "ok":
                kind, _, detail = note.partition(":")
                if kind.strip() == "insufficient" and getattr(row, name) is not None:
                    approximate.add((heading, row.label))
                    continue
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
    if approximate:
        lines.append(_APPROXIMATE_NOTE)
    return Footnotes(marks, frozenset(approximate), tuple(lines))


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
