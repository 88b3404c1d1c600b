"""``RunComparison``: how does a user read, print and write a comparison?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from lexer_core.comparison.comparison_json import comparison_to_dict, comparison_to_json
from lexer_core.comparison.comparison_markdown import comparison_to_markdown
from lexer_core.comparison.comparison_table import comparison_to_text
from lexer_core.comparison.records import ComparisonData
from lexer_core.output_files import write_if_named

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["RunComparison"]


@frozen(kw_only=True, repr=False)
class RunComparison(ComparisonData):
    """Every new run against the base; prints as tables.

    The fields are those of :class:`~lexer_core.comparison.ComparisonData`.
    """

    def __str__(self) -> str:
        return comparison_to_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON types (docs/comparing.md)."""
        return comparison_to_dict(self)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the comparison as JSON text, and write it to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(comparison_to_json(self), path)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return Markdown for a pull request, and write it to ``path`` if given.

        Raises
        ------
        OutputFileError
            The file cannot be written.
        """
        return write_if_named(comparison_to_markdown(self), path)
