"""The documented import path of ``Lexer``."""

from __future__ import annotations

from lexer_core.decorator import Lexer

__all__ = ["Lexer"]
