"""How large may the parts of an artifact be that are read into memory?

The limits are far above what any benchmark needs. They also apply to saving, so
that whatever was saved can be loaded.
"""

from __future__ import annotations

from lexer_core.artifact.archive import MEBIBYTE

__all__ = ["LARGEST_LOG", "LARGEST_METADATA", "LARGEST_REPORT", "LARGEST_SAMPLES"]

LARGEST_METADATA = 8 * MEBIBYTE
LARGEST_REPORT = 32 * MEBIBYTE
LARGEST_LOG = 4 * MEBIBYTE
LARGEST_SAMPLES = 4096 * MEBIBYTE
