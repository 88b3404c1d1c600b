"""How is a comparison written as JSON?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from lexer_core.results.attrs_fields import plain

if TYPE_CHECKING:
    from lexer_core.comparison.records import ComparisonData

__all__ = ["SCHEMA_VERSION", "comparison_to_dict", "comparison_to_json"]

SCHEMA_VERSION = 1
"""Incremented when a field is removed or changes its meaning."""


def comparison_to_dict(comparison: ComparisonData) -> dict[str, Any]:
    """Return the comparison as JSON types (docs/comparing.md); unknown values are ``None``."""
    return {
        "schema_version": SCHEMA_VERSION,
        **cast("dict[str, Any]", plain(comparison)),
    }


def comparison_to_json(comparison: ComparisonData) -> str:
    """Return the comparison as JSON text: ASCII, with a trailing newline."""
    return json.dumps(comparison_to_dict(comparison), indent=2, allow_nan=False) + "\n"
