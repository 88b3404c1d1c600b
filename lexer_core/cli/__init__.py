"""The ``lexer`` command, a file per command."""
