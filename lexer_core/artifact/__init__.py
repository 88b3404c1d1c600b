"""How is a benchmark kept, and read back?

A ``.lexer`` file is one zip with everything about one benchmark; docs/artifact.md
describes it entry by entry.
"""

from __future__ import annotations

from lexer_core.artifact.read import Content, contents, load
from lexer_core.artifact.write import save, save_as_set

__all__ = ["Content", "contents", "load", "save", "save_as_set"]
