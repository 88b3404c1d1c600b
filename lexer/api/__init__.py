"""See :mod:`lexer.api.lexer_context`."""
