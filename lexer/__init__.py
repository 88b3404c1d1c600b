"""The import paths of the documentation. Everything here is lexer_core's own."""
