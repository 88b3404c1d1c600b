"""Where the documentation imports ``LexerContext`` from."""

from __future__ import annotations

from lexer_core.context import LexerContext

__all__ = ["LexerContext"]
