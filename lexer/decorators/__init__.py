"""See :mod:`lexer.decorators.lexer`."""
