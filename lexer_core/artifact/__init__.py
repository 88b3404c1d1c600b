"""How is a report saved and loaded?

A ``.lexer`` file is a zip with everything about one benchmark; docs/artifact.md
documents its entries.
"""

from __future__ import annotations

from lexer_core.artifact.read import Content, contents, load
from lexer_core.artifact.write import save, save_as_set

__all__ = ["Content", "contents", "load", "save", "save_as_set"]
