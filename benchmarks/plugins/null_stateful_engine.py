"""The null engine with a state to reset, so that each sample is one call.

Otherwise each sample would contain many calls, because they are too short for the
clock, and a million samples would take minutes.
"""

from __future__ import annotations

from null_engine import (
    lexer_create_session,
    lexer_engine_info,
    lexer_export_model,
    lexer_fetch_outputs,
    lexer_place_inputs,
)

from lexer_core.hookspecs import hookimpl

__all__ = [
    "lexer_create_session",
    "lexer_engine_info",
    "lexer_export_model",
    "lexer_fetch_outputs",
    "lexer_place_inputs",
    "lexer_reset_state",
]


@hookimpl
def lexer_reset_state() -> None:
    """Reset nothing."""
