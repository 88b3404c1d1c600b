"""The documented import path of ``LexerContext``."""

from __future__ import annotations

from lexer_core.context import LexerContext

__all__ = ["LexerContext"]
